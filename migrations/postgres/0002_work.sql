-- What is to be done next. Times are the database's clock, in milliseconds since 1970, UTC.
CREATE TABLE work (
    kind TEXT NOT NULL COLLATE "C",
    key TEXT NOT NULL COLLATE "C",
    class BIGINT NOT NULL, -- 0 is most urgent
    revision BIGINT NOT NULL, -- raised by every touch
    due_at BIGINT NOT NULL,
    lease_owner TEXT,
    lease_epoch BIGINT NOT NULL, -- 0: never leased
    lease_until BIGINT, -- null: not leased
    attempts BIGINT NOT NULL,
    made BIGINT GENERATED ALWAYS AS IDENTITY, -- the order in which rows came
    PRIMARY KEY (kind, key)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX work_by_urgency ON work (kind, class, due_at, made);

-- An epoch is never given out twice, so that a fence of a row's former life does not fit a later one.
CREATE SEQUENCE lease_epochs;
