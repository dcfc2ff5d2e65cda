-- The event log. Columns of `events` are hashed in the order in which they stand here, `hash` excepted.
CREATE TABLE log_head (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    position INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT;
INSERT INTO log_head (only, position, hash) VALUES (1, 0, zeroblob(32));

CREATE TABLE streams (
    stream TEXT PRIMARY KEY,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    event_id BLOB NOT NULL UNIQUE,
    stream TEXT NOT NULL,
    version INTEGER NOT NULL,
    type TEXT NOT NULL,
    schema_version INTEGER NOT NULL,
    body TEXT NOT NULL,
    meta TEXT NOT NULL,
    recorded_at INTEGER NOT NULL, -- microseconds since 1970, UTC
    prev_hash BLOB NOT NULL,
    hash BLOB NOT NULL,
    UNIQUE (stream, version)
) STRICT;

CREATE TABLE payloads (
    sha256 BLOB PRIMARY KEY,
    bytes BLOB NOT NULL, -- lz4
    received_at INTEGER NOT NULL -- microseconds since 1970, UTC
) STRICT;
