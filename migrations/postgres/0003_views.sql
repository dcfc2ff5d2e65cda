-- Read models: all of this can be dropped and made again from the log.
CREATE TABLE documents (
    name TEXT NOT NULL COLLATE "C", -- the projection
    key TEXT NOT NULL COLLATE "C",
    body TEXT NOT NULL,
    position BIGINT NOT NULL, -- of the event that was folded in last
    PRIMARY KEY (name, key)
);

CREATE TABLE entries (
    name TEXT NOT NULL COLLATE "C", -- the projection
    scope TEXT NOT NULL COLLATE "C", -- the list
    sort_key BIGINT NOT NULL, -- lists run downwards
    key TEXT NOT NULL COLLATE "C",
    body TEXT NOT NULL,
    PRIMARY KEY (name, scope, sort_key, key)
);

CREATE TABLE checkpoints (
    name TEXT PRIMARY KEY COLLATE "C",
    version BIGINT NOT NULL,
    position BIGINT NOT NULL,
    hash BYTEA NOT NULL
);
