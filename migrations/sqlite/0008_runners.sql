-- Runners on other machines. Times are microseconds since 1970, UTC.
CREATE TABLE runners (
    name TEXT PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE, -- SHA-256 of its token
    pools TEXT NOT NULL, -- whose runs it is given, as a JSON array
    added_at INTEGER NOT NULL,
    seen_at INTEGER -- to the minute; null: never
) STRICT;
