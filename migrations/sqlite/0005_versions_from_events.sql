-- One writer needs no row per stream to lock: a stream's version is that of its last event, which
-- UNIQUE (stream, version) finds and guards. The copy cost every append a random page.
DROP TABLE streams;
