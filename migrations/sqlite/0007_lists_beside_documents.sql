-- Lists are kept apart from documents, in the order in which they are read: a new entry is beside
-- the last one. Projections fold the log anew.
DROP TABLE documents;
DELETE FROM checkpoints;

CREATE TABLE documents (
    name TEXT NOT NULL, -- the projection
    key TEXT NOT NULL,
    body TEXT NOT NULL,
    position INTEGER NOT NULL, -- of the event that was folded in last
    PRIMARY KEY (name, key)
) STRICT;

CREATE TABLE entries (
    name TEXT NOT NULL, -- the projection
    scope TEXT NOT NULL, -- the list
    sort_key INTEGER NOT NULL, -- lists run downwards
    key TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (name, scope, sort_key, key)
) STRICT, WITHOUT ROWID;
