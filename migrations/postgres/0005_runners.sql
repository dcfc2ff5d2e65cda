-- Runners on other machines. Times are microseconds since 1970, UTC.
CREATE TABLE runners (
    name TEXT PRIMARY KEY COLLATE "C",
    digest BYTEA NOT NULL UNIQUE, -- SHA-256 of its token
    pools TEXT NOT NULL, -- whose runs it is given, as a JSON array
    added_at BIGINT NOT NULL,
    seen_at BIGINT -- to the minute; null: never
);
