-- Read models: all of this can be dropped and made again from the log.
CREATE TABLE documents (
    name TEXT NOT NULL, -- the projection
    key TEXT NOT NULL,
    scope TEXT NOT NULL, -- what a list is made of
    sort_key INTEGER NOT NULL, -- lists run downwards
    body TEXT NOT NULL,
    position INTEGER NOT NULL, -- of the event that was folded in last
    PRIMARY KEY (name, key)
) STRICT;
CREATE INDEX documents_by_scope ON documents (name, scope, sort_key, key);

CREATE TABLE checkpoints (
    name TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    position INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT;
