-- What is to be done next. Times are the store's lease clock, in milliseconds.
CREATE TABLE work (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    class INTEGER NOT NULL, -- 0 is most urgent
    revision INTEGER NOT NULL, -- raised by every touch
    due_at INTEGER NOT NULL,
    lease_owner TEXT,
    lease_epoch INTEGER NOT NULL, -- 0: never leased
    lease_until INTEGER, -- null: not leased
    attempts INTEGER NOT NULL,
    UNIQUE (kind, key)
) STRICT;
CREATE INDEX work_by_urgency ON work (kind, class, due_at);

-- The last epoch that was given out. An epoch is never given out twice, so that a fence of a row's
-- former life does not fit a later one.
CREATE TABLE lease_head (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    epoch INTEGER NOT NULL
) STRICT;
INSERT INTO lease_head (only, epoch) VALUES (1, 0);
