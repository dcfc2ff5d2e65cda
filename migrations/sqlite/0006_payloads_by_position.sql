-- A body is looked for by its event. Under its digest every delivery cost a page at a random place.
CREATE TABLE payloads_by_position (
    position INTEGER PRIMARY KEY, -- of its event
    bytes BLOB NOT NULL, -- lz4
    received_at INTEGER NOT NULL -- microseconds since 1970, UTC
) STRICT;
INSERT INTO payloads_by_position (position, bytes, received_at)
    SELECT events.position, payloads.bytes, payloads.received_at
    FROM events CROSS JOIN payloads ON payloads.sha256 = unhex(events.body ->> '$.payload')
    WHERE events.type IN ('delivery_received', 'delivery_quarantined')
    ORDER BY events.position;
DROP TABLE payloads;
ALTER TABLE payloads_by_position RENAME TO payloads;
