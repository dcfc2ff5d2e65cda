-- The event log. Columns of `events` are hashed in the order in which they stand here, `hash` excepted.
-- Times named `at` or `*_at` are microseconds since 1970, UTC, if nothing else is said.
CREATE TABLE log_head (
    alone INTEGER PRIMARY KEY CHECK (alone = 1),
    position BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    recorded_at BIGINT NOT NULL -- of the last event
);
INSERT INTO log_head (alone, position, hash, recorded_at)
    VALUES (1, 0, decode(repeat('00', 32), 'hex'), 0);

CREATE TABLE events (
    position BIGINT PRIMARY KEY,
    event_id UUID NOT NULL UNIQUE,
    stream TEXT NOT NULL COLLATE "C",
    version BIGINT NOT NULL,
    type TEXT NOT NULL,
    schema_version BIGINT NOT NULL,
    body TEXT NOT NULL,
    meta TEXT NOT NULL,
    recorded_at BIGINT NOT NULL,
    prev_hash BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    UNIQUE (stream, version)
);

-- Also a role that may do everything does not change what happened by mistake.
CREATE FUNCTION aldis_events_are_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are never changed or deleted';
END
$$;
CREATE TRIGGER events_are_final BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION aldis_events_are_final();

CREATE TABLE payloads (
    position BIGINT PRIMARY KEY, -- of its event
    bytes BYTEA NOT NULL, -- lz4
    received_at BIGINT NOT NULL
);
ALTER TABLE payloads ALTER COLUMN bytes SET STORAGE EXTERNAL;
