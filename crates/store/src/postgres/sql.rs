//! What only Postgres takes. Lists go as arrays, so that a statement's text does not depend on their
//! length and each stays prepared.

use crate::sql::envelope_columns;

/// The database's clock in milliseconds since 1970, unless a test says what time it is.
macro_rules! now {
    ($given:literal) => {
        concat!(
            "COALESCE(",
            $given,
            "::bigint, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)"
        )
    };
}

/// Begins a transaction that appends, and nobody else does until it ends.
pub(super) const LOCK: &str = "BEGIN; SELECT position FROM log_head FOR UPDATE";
pub(super) const COMMIT: &str = "COMMIT";

/// What is read until the connection is closed is of one moment; whoever takes it may be slow.
pub(super) const SNAPSHOT: &str = "SET statement_timeout = 0; \
     SET idle_in_transaction_session_timeout = 0; \
     BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// Connections of processes that may write.
pub(super) const WRITERS: &str = "SELECT 1 FROM pg_stat_activity \
     WHERE datname = current_database() AND application_name = 'aldis' LIMIT 1";
/// Nobody appends until an import has ended, and that may be slow.
pub(super) const BEGIN_IMPORT: &str = "SET statement_timeout = 0; \
     SET idle_in_transaction_session_timeout = 0; \
     BEGIN; SELECT position FROM log_head FOR UPDATE";
/// Greater than any that a lease had so far; [`lease!`] tells why.
pub(super) const LAST_EPOCH: &str =
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint + 1 << 12";
/// New instances get numbers behind those that are there.
pub(super) const MOVE_INSTANCES: &str = "SELECT setval(pg_get_serial_sequence('instances', 'id'), \
     MAX(id)) FROM instances HAVING MAX(id) IS NOT NULL";
pub(super) const MOVE_HEAD: &str = "UPDATE log_head SET position = $1, hash = $2, \
     recorded_at = COALESCE((SELECT recorded_at FROM events WHERE position = $1), 0)";

// What is wanted is looked for one by one, hence `LATERAL … LIMIT 1`. A server that takes a table for
// empty, as it was a minute ago, would turn a join round and read the table through.

macro_rules! facts {
    ($locks:literal) => {
        concat!(
            "WITH fenced AS (SELECT wanted.place, held.lease_epoch \
               FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS wanted(kind, key, place) \
               CROSS JOIN LATERAL (SELECT work.lease_epoch FROM work WHERE work.kind = wanted.kind \
                 AND work.key = wanted.key AND work.lease_until IS NOT NULL LIMIT 1",
            $locks,
            ") AS held) SELECT 0::bigint, wanted.place, newest.version, NULL::uuid, NULL::bytea, NULL::bigint \
               FROM unnest($1::text[]) WITH ORDINALITY AS wanted(stream, place) \
               CROSS JOIN LATERAL (SELECT MAX(version) AS version FROM events \
                 WHERE events.stream = wanted.stream) AS newest WHERE newest.version IS NOT NULL \
             UNION ALL SELECT 1, place, lease_epoch, NULL, NULL, NULL FROM fenced \
             UNION ALL SELECT 2, 0, 0, event_id, NULL, NULL FROM events WHERE event_id = ANY($4) \
             UNION ALL SELECT 3, recorded_at, position, NULL, hash, \
               (extract(epoch FROM clock_timestamp()) * 1000000)::bigint FROM log_head WHERE alone = 1"
        )
    };
}

/// As of one moment: versions of streams that have events (0), epochs of leased rows (1), ids of
/// events that are stored (2), the head with its time and the database's (3).
pub(super) const FACTS: &str = facts!("");
/// The same, and nobody takes the leased rows over before the transaction ends.
pub(super) const LOCKED_FACTS: &str = facts!(" FOR UPDATE OF work");

// What a group of appends writes is one statement of these parts. Nothing is written unless the head
// could be `moved` from where the group was judged; and the head is locked first, so that whoever comes
// at the same time waits.

/// Leases must be held yet. Their rows come behind the head, as in every append, and nobody takes them
/// over before the commit.
pub(super) const HELD: &str = "head AS (SELECT 1 FROM log_head \
     WHERE alone = 1 AND position = $1 AND hash = $2 FOR UPDATE), \
     held AS (SELECT 1 FROM unnest($3::text[], $4::text[], $5::bigint[]) AS wanted(kind, key, epoch) \
       CROSS JOIN LATERAL (SELECT FROM work WHERE work.kind = wanted.kind AND work.key = wanted.key \
         AND work.lease_epoch = wanted.epoch AND work.lease_until IS NOT NULL \
         LIMIT 1 FOR UPDATE OF work) AS held WHERE EXISTS (SELECT FROM head)), ";
pub(super) const MOVED: &str = "moved AS (UPDATE log_head SET position = $1, hash = $2, \
     recorded_at = $3 WHERE alone = 1 AND position = $4 AND hash = $5";
pub(super) const IF_HELD: &str = " AND (SELECT COUNT(*) FROM held) = $1";
/// Streams have the versions that were taken for true.
pub(super) const IF_REACHED: &str = " AND (SELECT COUNT(*) FROM unnest($1::text[], $2::bigint[]) AS wanted(stream, version) \
     CROSS JOIN LATERAL (SELECT FROM events WHERE events.stream = wanted.stream \
       AND events.version = wanted.version LIMIT 1) AS reached) = cardinality($1)";
/// Streams that are only guarded have no later ones.
pub(super) const IF_NOT_REACHED: &str = " AND NOT EXISTS (SELECT FROM unnest($1::text[], $2::bigint[]) AS next(stream, version) \
     CROSS JOIN LATERAL (SELECT FROM events WHERE events.stream = next.stream \
       AND events.version = next.version LIMIT 1) AS reached)";
pub(super) const END_OF_MOVED: &str = " RETURNING position)";
pub(super) const WRITTEN: &str = ", written AS (INSERT INTO events (position, event_id, stream, \
     version, type, schema_version, body, meta, recorded_at, prev_hash, hash) \
     SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], \
     $6::bigint[], $7::text[], $8::text[], $9::bigint[], $10::bytea[], $11::bytea[]) \
     WHERE EXISTS (SELECT FROM moved))";
pub(super) const KEPT: &str = ", kept AS (INSERT INTO payloads (position, bytes, received_at) \
     SELECT position, bytes, $1 FROM unnest($2::bigint[], $3::bytea[]) AS p(position, bytes) \
     WHERE EXISTS (SELECT FROM moved))";
/// A row that is extended or touched in this very moment may stay until its lease runs out, and is looked
/// at once more then.
pub(super) const OVER: &str = ", over AS (DELETE FROM work \
     USING unnest($1::text[], $2::text[]) AS wanted(kind, key) \
     CROSS JOIN LATERAL (SELECT ctid AS spot FROM work AS known WHERE known.kind = wanted.kind \
       AND known.key = wanted.key LIMIT 1) AS found \
     WHERE EXISTS (SELECT FROM moved) AND work.ctid = found.spot)";
/// Inserts rows of work, given as four lists.
macro_rules! due {
    ($name:literal, $known:literal) => {
        concat!(
            ", ",
            $name,
            " AS (INSERT INTO work AS w (kind, key, class, due_at, revision, lease_epoch, attempts) \
             SELECT *, 1, 0, 0 FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) \
             WHERE EXISTS (SELECT FROM moved) ON CONFLICT (kind, key) DO UPDATE SET ",
            $known,
            ")"
        )
    };
}
/// What becomes more urgent is looked for from now on.
pub(super) const TOUCHED: &str = due!(
    "touched",
    "revision = w.revision + 1, class = LEAST(w.class, excluded.class), \
     due_at = GREATEST(LEAST(w.due_at, excluded.due_at), \
       CASE WHEN excluded.class < w.class THEN LEAST($5, excluded.due_at) END)"
);
pub(super) const RESET: &str = due!(
    "reset",
    "revision = w.revision + 1, class = excluded.class, due_at = excluded.due_at, attempts = 0"
);
pub(super) const ANEW: &str = due!(
    "anew",
    "revision = 1, class = excluded.class, due_at = excluded.due_at, attempts = 0, \
     lease_epoch = 0, lease_owner = NULL, lease_until = NULL"
);
macro_rules! calls {
    () => {
        "INSERT INTO api_calls (at, instance, token, method, path, status, millis, request_id, cause) \
         SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], \
         $6::bigint[], $7::bigint[], $8::text[], $9::uuid[])"
    };
}
pub(super) const AUDITED: &str =
    concat!(", audited AS (", calls!(), " WHERE EXISTS (SELECT FROM moved))");
pub(super) const ADD_CALLS: &str = calls!();
pub(super) const NAMED: &str = ", named AS (INSERT INTO people (instance, id, name, avatar) \
     SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[]) \
     WHERE EXISTS (SELECT FROM moved) \
     ON CONFLICT (instance, id) DO UPDATE SET name = excluded.name, avatar = excluded.avatar)";
/// And where the log ended before, which is where it ends now if the head did not move.
pub(super) const DID_MOVE: &str = " SELECT (SELECT position FROM moved), position, hash, recorded_at, \
     (extract(epoch FROM clock_timestamp()) * 1000000)::bigint FROM log_head WHERE alone = 1";

pub(super) const LOAD_MANY: &str = concat!(
    "SELECT ",
    envelope_columns!(),
    " FROM events WHERE stream = ANY($1) ORDER BY stream, version"
);

/// The rows were locked by the same statement and are found where they lie. One that was touched between the
/// beginning of the statement and its lock lies elsewhere, and is left to the next claim.
///
/// Nobody waits for the disk here. What the sequence had given out when the power went may come
/// again, so the milliseconds are part of an epoch; and if the clock was set back, the row knows. Whoever
/// claims will append soon, so the end of the log comes along.
macro_rules! lease {
    ($which:literal) => {
        concat!(
            "UPDATE work SET lease_epoch = GREATEST(work.lease_epoch + 1, \
               ((extract(epoch FROM clock_timestamp()) * 1000)::bigint << 12) \
               | (nextval('lease_epochs') & 4095)), lease_owner = $4, \
             lease_until = clock.now + $6, due_at = clock.now + $6, \
             attempts = work.attempts + (taken.lease_until IS NOT NULL)::int \
             FROM taken, clock, log_head AS head \
             WHERE head.alone = 1 AND work.ctid = taken.spot AND ",
            $which,
            " RETURNING taken.place, work.key, work.class, work.revision, work.lease_epoch, \
              work.attempts, taken.more, \
              CASE WHEN taken.lease_until IS NOT NULL THEN taken.lease_epoch END, taken.due_at, clock.now, \
              head.position, head.hash, head.recorded_at, \
              (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, taken.again"
        )
    };
}

// `kind || ''` is what the index by urgency begins with, and the index by key does not: which of the two
// is read is not for the server to choose. See `docs/adr/0011-one-head-locked-first.md`.

macro_rules! search {
    ($since:literal, $condition:literal) => {
        concat!(
            "(SELECT found.* FROM clock, unnest($2::bigint[]) WITH ORDINALITY AS searched(since, number) \
             CROSS JOIN LATERAL (SELECT ctid AS spot, class, due_at, made, lease_until, lease_epoch FROM work \
               WHERE kind || '' = $1 AND class = number - 1 AND ",
            $since,
            "due_at <= now AND (lease_until IS NULL OR lease_until <= now) \
               ORDER BY due_at, made LIMIT $3 + 1 FOR UPDATE OF work SKIP LOCKED) AS found",
            $condition,
            " LIMIT $3 + 1)"
        )
    };
}

/// Leases the due rows of a kind, and tells whether there was one more. Each class is searched from a
/// time of its own, one after the other until there is enough; if nothing is found and `$7` says so, once
/// more from its beginning. If nothing is leased, the only row tells in how many milliseconds something
/// will be due.
pub(super) const CLAIM: &str = concat!(
    "WITH clock AS (SELECT ",
    now!("$5"),
    " AS now), since AS ",
    search!("due_at >= since AND ", ""),
    ", earlier AS ",
    search!("", " WHERE $7 AND NOT EXISTS (SELECT FROM since)"),
    ", due AS (SELECT *, false AS again FROM since UNION ALL SELECT *, true FROM earlier), \
     taken AS (SELECT *, row_number() OVER (ORDER BY class, due_at, made) AS place, \
       count(*) OVER () > $3 AS more FROM due), leased AS (",
    lease!("taken.place <= $3"),
    ") SELECT * FROM leased UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
       (SELECT MIN(GREATEST(lease_until, due_at)) FROM work WHERE kind || '' = $1 AND class < cardinality($2)) - now, \
       now, NULL, NULL, NULL, NULL, $7 AND NOT EXISTS (SELECT FROM since) \
       FROM clock WHERE NOT EXISTS (SELECT FROM leased)"
);
/// Leases one row, if it is due.
pub(super) const CLAIM_KEY: &str = concat!(
    "WITH clock AS (SELECT ",
    now!("$5"),
    " AS now), \
     taken AS (SELECT work.ctid AS spot, 1::bigint AS place, false AS more, false AS again, due_at, lease_until, lease_epoch \
       FROM work, clock WHERE kind = $1 AND key = $2 AND due_at <= now \
       AND (lease_until IS NULL OR lease_until <= now) LIMIT $3 FOR UPDATE OF work SKIP LOCKED) ",
    lease!("true")
);

// A leased row is due when its lease ends, unless a touch makes it due earlier.
pub(super) const EXTEND: &str = concat!(
    "WITH clock AS (SELECT ",
    now!("$5"),
    " + $1 AS until) UPDATE work SET lease_until = until, \
     due_at = CASE WHEN due_at = lease_until THEN until ELSE due_at END FROM clock \
     WHERE kind = $2 AND key = $3 AND lease_epoch = $4 AND lease_until IS NOT NULL"
);
pub(super) const RELEASE: &str = concat!(
    "WITH clock AS (SELECT ",
    now!("$7"),
    " AS now) \
     UPDATE work SET lease_owner = NULL, lease_until = NULL, attempts = (attempts + 1) * $1, \
     due_at = now + CASE WHEN revision = $2 THEN $3 ELSE LEAST(GREATEST(due_at - now, 0), $3) END FROM clock \
     WHERE kind = $4 AND key = $5 AND lease_epoch = $6 AND lease_until IS NOT NULL \
     RETURNING revision <> $2"
);
/// The row goes, unless it was touched meanwhile: then only its lease does, and the row is counted.
/// A touch that is committed while this waits for the row is seen by both halves. What was due while
/// it was leased is due now: nobody looks for it in the past.
pub(super) const RELEASE_DONE: &str = concat!(
    "WITH gone AS (DELETE FROM work WHERE kind = $1 \
     AND key = $2 AND lease_epoch = $3 AND lease_until IS NOT NULL AND revision = $4 RETURNING 1) \
     UPDATE work SET lease_owner = NULL, lease_until = NULL, due_at = GREATEST(due_at, ",
    now!("$5"),
    ") WHERE NOT EXISTS (SELECT FROM gone) \
     AND kind = $1 AND key = $2 AND lease_epoch = $3 AND lease_until IS NOT NULL"
);
/// Milliseconds until the next row is due.
pub(super) const NEXT_DUE: &str = concat!(
    "SELECT MIN(GREATEST(lease_until, due_at)) - ",
    now!("$3"),
    " FROM work WHERE kind || '' = $1 AND class <= $2"
);
/// Whether more than so many became due lately and wait. The newest come first: behind them is what
/// was taken.
pub(super) const CROWDS: &str = concat!(
    "WITH clock AS (SELECT ",
    now!("$3"),
    " AS now) SELECT 1 FROM work WHERE kind || '' = $1 AND class = $2 AND due_at <= (SELECT now FROM clock) \
     AND due_at > (SELECT now FROM clock) - $4 \
     AND COALESCE(lease_until, 0) <= (SELECT now FROM clock) ORDER BY due_at DESC LIMIT 1 OFFSET $5"
);
pub(super) const NOW: &str = concat!("SELECT ", now!("$1"));

pub(super) const ADD_LOG: &str = "INSERT INTO log_chunks (run, epoch, seq, step, bytes, at) \
     SELECT $1, $2, seq, step, bytes, $3 \
     FROM unnest($4::bigint[], $5::bigint[], $6::bytea[]) AS chunk(seq, step, bytes) \
     ON CONFLICT (run, epoch, seq) DO NOTHING";

// What a projection's step writes is one statement as well, whose first part moves the checkpoint.
pub(super) const DOCUMENT_ROWS: &str = ", documents AS (INSERT INTO documents (name, key, body, position) \
     SELECT $1, key, body, position FROM unnest($2::text[], $3::text[], $4::bigint[]) \
     AS document(key, body, position) WHERE EXISTS (SELECT FROM moved) \
     ON CONFLICT (name, key) DO UPDATE SET body = excluded.body, position = excluded.position)";
pub(super) const ENTRY_ROWS: &str = ", entries AS (INSERT INTO entries (name, scope, sort_key, key, body) \
     SELECT $1, scope, sort_key, key, body FROM unnest($2::text[], $3::bigint[], $4::text[], \
     $5::text[]) AS entry(scope, sort_key, key, body) WHERE EXISTS (SELECT FROM moved) \
     ON CONFLICT (name, scope, sort_key, key) DO UPDATE SET body = excluded.body)";

// Positions and identities grow with time, so the oldest rows are found without an index on it.
pub(super) const PRUNE_PAYLOADS: &str = "DELETE FROM payloads WHERE received_at < $1 AND position IN \
     (SELECT position FROM payloads ORDER BY position LIMIT 256)";
pub(super) const PRUNE_LOGS: &str = "DELETE FROM log_chunks USING (SELECT run, epoch, seq \
     FROM log_chunks WHERE at < $1 ORDER BY at LIMIT 256) AS old WHERE log_chunks.run = old.run \
     AND log_chunks.epoch = old.epoch AND log_chunks.seq = old.seq";
pub(super) const PRUNE_CALLS: &str = "DELETE FROM api_calls WHERE id IN \
     (SELECT id FROM api_calls WHERE at < $1 ORDER BY at LIMIT 256)";
