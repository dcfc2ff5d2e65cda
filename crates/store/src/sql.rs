//! SQL that every engine takes as it stands.

use std::sync::LazyLock;

/// Columns of an envelope, in the order in which engines read them.
macro_rules! envelope_columns {
    () => {
        "events.position, events.event_id, events.stream, events.version, events.type, \
         events.schema_version, events.body, events.meta, events.recorded_at, events.prev_hash, \
         events.hash"
    };
}
pub(crate) use envelope_columns;

pub(crate) const LOAD: &str = concat!(
    "SELECT ",
    envelope_columns!(),
    " FROM events WHERE stream = $1 AND version > $2 ORDER BY version"
);
pub(crate) const READ: &str = concat!(
    "SELECT ",
    envelope_columns!(),
    " FROM events WHERE position > $1 ORDER BY position LIMIT $2"
);
pub(crate) const HEAD: &str = "SELECT position, hash FROM log_head";
pub(crate) const MOVE_HEAD: &str = "UPDATE log_head SET position = $1, hash = $2";
pub(crate) const LAST_TIME: &str = "SELECT recorded_at FROM events ORDER BY position DESC LIMIT 1";

/// A stream whose versions do not run from 1 without gaps.
pub(crate) const WRONG_VERSIONS: &str = "SELECT stream, MAX(version) FROM events GROUP BY stream \
     HAVING COUNT(*) <> MAX(version) OR MIN(version) <> 1 LIMIT 1";

// A leased row is due when its lease ends, unless a touch makes it due earlier.
pub(crate) const EXTEND: &str = "UPDATE work SET lease_until = $1, \
     due_at = CASE WHEN due_at = lease_until THEN $1 ELSE due_at END \
     WHERE kind = $2 AND key = $3 AND lease_epoch = $4 AND lease_until IS NOT NULL";
pub(crate) const NEXT_DUE: &str = "SELECT MIN(CASE WHEN lease_until > due_at THEN lease_until \
     ELSE due_at END) FROM work WHERE kind = $1 AND class <= $2";
/// Whether more than so many became due lately and wait. The newest come first: behind them is what
/// was taken.
pub(crate) const CROWDS: &str = "SELECT 1 FROM work WHERE kind = $1 AND class = $2 \
     AND due_at <= $3 AND due_at > $3 - $4 AND COALESCE(lease_until, 0) <= $3 \
     ORDER BY due_at DESC LIMIT 1 OFFSET $5";
/// A lease that ran out and that nobody has taken over is still held.
pub(crate) const HELD: &str = "SELECT key, class, revision, lease_epoch, attempts FROM work \
     WHERE kind = $1 AND lease_owner = $2 AND lease_until IS NOT NULL LIMIT 1";
pub(crate) const BACKLOG: &str = "SELECT \
     COALESCE(SUM(CASE WHEN due_at <= $1 AND COALESCE(lease_until, 0) <= $1 THEN 1 ELSE 0 END), 0), \
     COALESCE(SUM(CASE WHEN lease_until > $1 THEN 1 ELSE 0 END), 0), \
     COALESCE(SUM(CASE WHEN due_at > $1 AND COALESCE(lease_until, 0) <= $1 THEN 1 ELSE 0 END), 0), \
     MIN(CASE WHEN COALESCE(lease_until, 0) <= $1 THEN due_at END) \
     FROM work WHERE kind = $2";

pub(crate) const CHECKPOINTS: &str = "SELECT name, version, position, hash FROM checkpoints";
pub(crate) const CHECKPOINT_BEGIN: &str = "INSERT INTO checkpoints (name, version, position, hash) \
     VALUES ($1, $2, $3, $4) ON CONFLICT (name) DO NOTHING";
pub(crate) const CHECKPOINT_MOVE: &str = "UPDATE checkpoints SET version = $2, position = $3, \
     hash = $4 WHERE name = $1 AND version = $5 AND position = $6 AND hash = $7";
pub(crate) const CHECKPOINT_DROP: &str = "DELETE FROM checkpoints WHERE name = $1";
pub(crate) const DOCUMENTS_DROP: &str = "DELETE FROM documents WHERE name = $1";
pub(crate) const ENTRIES_DROP: &str = "DELETE FROM entries WHERE name = $1";
pub(crate) const DOCUMENT: &str =
    "SELECT key, body, position FROM documents WHERE name = $1 AND key = $2";
pub(crate) const DOCUMENTS: &str =
    "SELECT key, body, position FROM documents WHERE name = $1 AND key > $2 ORDER BY key LIMIT $3";
pub(crate) const ENTRIES: &str = "SELECT scope, sort_key, key, body FROM entries \
     WHERE name = $1 AND scope = $2 ORDER BY sort_key DESC, key DESC LIMIT $3";
pub(crate) const ENTRIES_AFTER: &str = "SELECT scope, sort_key, key, body FROM entries \
     WHERE name = $1 AND scope = $2 AND (sort_key, key) < ($4, $5) \
     ORDER BY sort_key DESC, key DESC LIMIT $3";

pub(crate) const PAYLOAD: &str = "SELECT bytes FROM payloads WHERE position = $1";
pub(crate) const LOG_AFTER: &str = "SELECT seq, step, bytes FROM log_chunks \
     WHERE run = $1 AND epoch = $2 AND seq > $3 ORDER BY seq LIMIT $4";
pub(crate) const CALLS: &str = "SELECT at, instance, token, method, path, status, millis, \
     request_id, cause FROM api_calls WHERE at < $1 ORDER BY at DESC, id DESC LIMIT $2";
pub(crate) const PERSON: &str = "SELECT name, avatar FROM people WHERE instance = $1 AND id = $2";
pub(crate) const ERASE_PERSON: &str = "DELETE FROM people WHERE instance = $1 AND id = $2";
pub(crate) const NEW_INSTANCE: &str =
    "INSERT INTO instances (base_url) VALUES ($1) ON CONFLICT (base_url) DO NOTHING";
pub(crate) const INSTANCE: &str = "SELECT id FROM instances WHERE base_url = $1";
pub(crate) const INSTANCES: &str = "SELECT id, base_url FROM instances ORDER BY id";
pub(crate) const NEW_SECRET: &str = "INSERT INTO secrets (name, key_id, data_key, value) \
     VALUES ($1, $2, $3, $4) ON CONFLICT (name) DO NOTHING";
pub(crate) const SECRET: &str = "SELECT key_id, data_key, value FROM secrets WHERE name = $1";
pub(crate) const DELETE_SECRET: &str = "DELETE FROM secrets WHERE name = $1";
pub(crate) const SECRET_NAMES: &str = "SELECT name FROM secrets ORDER BY name";
pub(crate) const ADD_RUNNER: &str = "INSERT INTO runners (name, digest, pools, added_at) \
     VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
pub(crate) const REMOVE_RUNNER: &str = "DELETE FROM runners WHERE name = $1";
pub(crate) const RUNNER_SEEN: &str = "UPDATE runners SET seen_at = $1 WHERE name = $2 \
     AND COALESCE(seen_at, 0) <= $1 - 60000000";
pub(crate) const RUNNER: &str =
    "SELECT name, pools, added_at, seen_at FROM runners WHERE digest = $1";
pub(crate) const RUNNERS: &str = "SELECT name, pools, added_at, seen_at FROM runners ORDER BY name";

/// Rows that one statement of a pruning deletes at most: the engines' texts say so too.
pub(crate) const PRUNED_AT_ONCE: u64 = 256;

/// Rows in one insert, at most.
pub(crate) const MOST_ROWS: usize = 128;
/// There are statements for these numbers of rows, so that there are few distinct ones and each of
/// them stays prepared. Places that are not used are bound to null and pass by.
const PLACES: [usize; 14] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, MOST_ROWS];

/// An insert of several rows, whose first column is never null.
#[derive(Debug)]
pub(crate) struct Insert<const COLUMNS: usize> {
    texts: [String; PLACES.len()],
}

impl<const COLUMNS: usize> Insert<COLUMNS> {
    /// The marks have no numbers: the driver would look up the name of each, one after the other.
    fn new(head: &str, tail: &str) -> Self {
        let row = format!("({})", ["?"; COLUMNS].join(", "));
        let texts = PLACES.map(|places| {
            let rows = vec![row.as_str(); places].join(", ");
            format!(
                "INSERT INTO {head} SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL {tail}"
            )
        });
        Self { texts }
    }

    /// The statement for this many rows, at most [`MOST_ROWS`], and how many places it has.
    pub(crate) fn text(&self, rows: usize) -> (&str, usize) {
        let fits = PLACES.iter().position(|places| *places >= rows).unwrap_or(PLACES.len() - 1);
        (&self.texts[fits], PLACES[fits])
    }
}

macro_rules! inserts {
    ($($name:ident = $columns:literal, $head:expr, $tail:expr;)*) => {$(
        pub(crate) static $name: LazyLock<Insert<$columns>> =
            LazyLock::new(|| Insert::new($head, $tail));
    )*};
}

inserts! {
    EVENTS = 11, "events (position, event_id, stream, version, type, schema_version, body, meta, \
        recorded_at, prev_hash, hash)", "";
    TOUCHES = 7, "work (kind, key, class, due_at, revision, lease_epoch, attempts)",
        "ON CONFLICT (kind, key) DO UPDATE SET revision = work.revision + 1, \
        class = CASE WHEN excluded.class < work.class THEN excluded.class ELSE work.class END, \
        due_at = CASE WHEN excluded.due_at < work.due_at THEN excluded.due_at \
        ELSE work.due_at END";
    RESETS = 7, "work (kind, key, class, due_at, revision, lease_epoch, attempts)",
        "ON CONFLICT (kind, key) DO UPDATE SET revision = work.revision + 1, \
        class = excluded.class, due_at = excluded.due_at, attempts = 0";
    PAYLOADS = 3, "payloads (position, bytes, received_at)", "";
    CALL_ROWS = 9, "api_calls (at, instance, token, method, path, status, millis, request_id, \
        cause)", "";
    PEOPLE = 4, "people (instance, id, name, avatar)", "ON CONFLICT (instance, id) \
        DO UPDATE SET name = excluded.name, avatar = excluded.avatar";
    LOG_CHUNKS = 6, "log_chunks (run, epoch, seq, step, bytes, at)",
        "ON CONFLICT (run, epoch, seq) DO NOTHING";
    DOCUMENT_ROWS = 4, "documents (name, key, body, position)",
        "ON CONFLICT (name, key) DO UPDATE SET body = excluded.body, position = excluded.position";
    ENTRY_ROWS = 5, "entries (name, scope, sort_key, key, body)",
        "ON CONFLICT (name, scope, sort_key, key) DO UPDATE SET body = excluded.body";
}

/// What only SQLite takes.
pub(crate) mod sqlite {
    /// Rows that may be claimed.
    macro_rules! due {
        () => {
            "FROM work WHERE kind = $1 AND class <= $4 AND due_at <= $2 \
             AND (lease_until IS NULL OR lease_until <= $2)"
        };
    }
    macro_rules! due_columns {
        () => {
            "SELECT rowid, key, class, revision, lease_epoch, attempts, lease_until, \
             (SELECT epoch FROM lease_head) "
        };
    }

    /// The events of the positions after `$1` up to `$2`, in packs of `$3` positions for
    /// `sqlite::packed`. The innermost statement has a limit, so it is not folded into the one around
    /// it, and its order is that of the pack.
    pub(crate) const READ_PACKS: &str = "WITH RECURSIVE packs(before) AS (VALUES ($1) UNION ALL \
         SELECT before + $3 FROM packs WHERE before + $3 < $2) \
         SELECT (SELECT CAST(group_concat(concat_ws(char(10), position, version, schema_version, \
         recorded_at, stream, type, body, meta, event_id, prev_hash, hash, ''), '') AS BLOB) \
         FROM (SELECT * FROM events WHERE position > before AND position <= min(before + $3, $2) \
         ORDER BY position LIMIT $3)) FROM packs ORDER BY before";
    // The cross joins keep SQLite from turning the loops around: lists are short, tables are not.
    pub(crate) const LOAD_MANY: &str = concat!(
        "SELECT ",
        envelope_columns!(),
        " FROM json_each($1) AS wanted CROSS JOIN events ON events.stream = wanted.value \
          ORDER BY events.stream, events.version"
    );
    /// Versions of streams that have events (0), epochs of leased rows (1), ids of events that are
    /// stored (2).
    pub(crate) const FACTS: &str = "SELECT 0, stream, version FROM (SELECT wanted.value AS stream, \
         (SELECT MAX(version) FROM events WHERE stream = wanted.value) AS version \
         FROM json_each($1) AS wanted) WHERE version IS NOT NULL \
         UNION ALL SELECT 1, wanted.key, work.lease_epoch FROM json_each($2) AS wanted \
         CROSS JOIN work ON work.kind = wanted.value ->> 0 AND work.key = wanted.value ->> 1 \
         WHERE work.lease_until IS NOT NULL \
         UNION ALL SELECT 2, wanted.value, NULL FROM json_each($3) AS wanted \
         CROSS JOIN events ON events.event_id = unhex(wanted.value)";
    /// Without waiting for anybody, and without making anybody wait.
    pub(crate) const COPY: &str = "PRAGMA wal_checkpoint(PASSIVE)";
    pub(crate) const BEGIN: &str = "BEGIN IMMEDIATE";
    /// What is read until the connection is closed is of one moment.
    pub(crate) const SNAPSHOT: &str = "BEGIN";
    /// A commit waits for the disk.
    pub(crate) const WAIT_FOR_DISK: &str = "PRAGMA synchronous = FULL";
    pub(crate) const LAST_EPOCH: &str = "SELECT epoch FROM lease_head";
    pub(crate) const MOVE_EPOCH: &str = "UPDATE lease_head SET epoch = MAX(epoch, $1)";
    pub(crate) const COMMIT: &str = "COMMIT";
    pub(crate) const ROLLBACK: &str = "ROLLBACK";
    pub(crate) const DELETE_WORK: &str = "DELETE FROM work WHERE rowid IN (SELECT work.rowid \
         FROM json_each($1) AS wanted CROSS JOIN work ON work.kind = wanted.value ->> 0 \
         AND work.key = wanted.value ->> 1)";
    pub(crate) const VOID_LEASES: &str = "UPDATE work SET lease_owner = NULL, lease_until = NULL, \
         due_at = $1 WHERE lease_until IS NOT NULL";
    /// Takes `$5` epochs, if anything is due. It runs ahead of what asks for the rows, so that both
    /// are one hand-over; epochs that find no row are lost.
    pub(crate) const TAKE_EPOCHS: &str =
        concat!("UPDATE lease_head SET epoch = epoch + $5 WHERE EXISTS (SELECT 1 ", due!(), ")");
    pub(crate) const DUE: &str =
        concat!(due_columns!(), due!(), " ORDER BY class, due_at, rowid LIMIT $3");
    pub(crate) const TAKE_EPOCH_FOR_KEY: &str = concat!(
        "UPDATE lease_head SET epoch = epoch + $5 WHERE EXISTS (SELECT 1 ",
        due!(),
        " AND key = $3)"
    );
    pub(crate) const DUE_KEY: &str = concat!(due_columns!(), due!(), " AND key = $3");
    pub(crate) const LEASE: &str = "UPDATE work SET \
         attempts = attempts + (lease_until IS NOT NULL), lease_owner = $2, lease_until = $3, \
         due_at = $3, lease_epoch = wanted.value ->> 1 \
         FROM json_each($1) AS wanted WHERE work.rowid = wanted.value ->> 0";
    pub(crate) const RELEASE_DONE: &str = "DELETE FROM work WHERE kind = $1 AND key = $2 \
         AND lease_epoch = $3 AND lease_until IS NOT NULL AND revision = $4";
    pub(crate) const RELEASE_TOUCHED: &str = "UPDATE work SET lease_owner = NULL, \
         lease_until = NULL WHERE kind = $1 AND key = $2 AND lease_epoch = $3 \
         AND lease_until IS NOT NULL";
    pub(crate) const RELEASE_LATER: &str = "UPDATE work SET lease_owner = NULL, \
         lease_until = NULL, attempts = (attempts + 1) * $5, due_at = $6 WHERE kind = $1 AND key = $2 \
         AND lease_epoch = $3 AND lease_until IS NOT NULL AND revision = $4";
    pub(crate) const RELEASE_LATER_TOUCHED: &str = "UPDATE work SET lease_owner = NULL, \
         lease_until = NULL, attempts = (attempts + 1) * $5, due_at = MIN(due_at, $6) \
         WHERE kind = $1 AND key = $2 AND lease_epoch = $3 AND lease_until IS NOT NULL";
    // Rowids grow with time, so the oldest rows are found without an index on it.
    pub(crate) const PRUNE_PAYLOADS: &str = "DELETE FROM payloads WHERE received_at < $1 \
         AND rowid IN (SELECT rowid FROM payloads ORDER BY rowid LIMIT 256)";
    pub(crate) const PRUNE_LOGS: &str = "DELETE FROM log_chunks WHERE at < $1 \
         AND rowid IN (SELECT rowid FROM log_chunks ORDER BY rowid LIMIT 256)";
    pub(crate) const PRUNE_CALLS: &str = "DELETE FROM api_calls WHERE id IN \
         (SELECT id FROM api_calls WHERE at < $1 LIMIT 256)";
}
