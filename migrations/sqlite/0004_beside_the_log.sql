-- What is kept besides the log. `at` and `*_at` are microseconds since 1970, UTC.
CREATE TABLE log_chunks (
    run TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL, -- counts through all steps of the attempt
    step INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    at INTEGER NOT NULL,
    UNIQUE (run, epoch, seq)
) STRICT;

CREATE TABLE api_calls (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    instance INTEGER NOT NULL,
    token TEXT NOT NULL, -- a fingerprint, never the token
    method TEXT NOT NULL,
    path TEXT NOT NULL, -- the template, without ids
    status INTEGER, -- null: no answer
    millis INTEGER NOT NULL,
    request_id TEXT, -- GitLab's
    cause BLOB -- the event for whose sake it was made
) STRICT;
CREATE INDEX api_calls_by_age ON api_calls (at);

CREATE TABLE people (
    instance INTEGER NOT NULL,
    id INTEGER NOT NULL,
    name TEXT NOT NULL,
    avatar TEXT,
    PRIMARY KEY (instance, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE instances (
    id INTEGER PRIMARY KEY,
    base_url TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE secrets (
    name TEXT PRIMARY KEY,
    key_id TEXT NOT NULL, -- of the master key that seals `data_key`
    data_key BLOB NOT NULL,
    value BLOB NOT NULL
) STRICT;
