//! Somebody changes the log behind our back, as only the owner of its table can.

use std::collections::BTreeSet;

use aldis_store::{Breach, Expected, Store, StoreError, Verified};
use aldis_test_servers::postgres;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;

use crate::{append, name, settings};

const EVENTS: i64 = 7;
/// The first, one in the middle, the last.
const PLACES: [i64; 3] = [1, 4, EVENTS];

/// A filled log, and its owner, who has put the guard of it aside.
struct Log {
    store: Store,
    owner: PgConnection,
    _dir: TempDir,
}

impl Log {
    async fn filled() -> Self {
        let (dir, url) = (tempfile::tempdir().unwrap(), postgres().database());
        let store = Store::open(&settings(&dir, &url)).await.unwrap();
        for n in 0..EVENTS {
            store.append(append(&format!("change-{n}"), Expected::NoStream)).await.unwrap();
        }
        postgres().sql(
            name(&url),
            "ALTER TABLE events DISABLE TRIGGER events_are_final; \
             CREATE TABLE kept_events AS SELECT * FROM events; \
             CREATE TABLE kept_head AS SELECT * FROM log_head",
        );
        let owner = PgConnection::connect(&url).await.unwrap();
        Self { store, owner, _dir: dir }
    }

    async fn sql(&mut self, sql: &str) -> u64 {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut self.owner).await.unwrap().rows_affected()
    }

    async fn verified(&self) -> Result<Verified, StoreError> {
        self.store.verify(|_| ()).await
    }

    /// What is found after this change of one row, which is then taken back.
    async fn breach(&mut self, change: &str) -> Breach {
        assert_eq!(self.sql(change).await, 1, "{change}");
        let found = self.verified().await;
        for (table, kept) in [("events", "kept_events"), ("log_head", "kept_head")] {
            self.sql(&format!("DELETE FROM {table}")).await;
            self.sql(&format!("INSERT INTO {table} SELECT * FROM {kept}")).await;
        }
        assert_eq!(self.verified().await.unwrap().events, EVENTS.unsigned_abs(), "{change}");
        match found {
            Err(StoreError::Broken(breach)) => breach,
            other => panic!("{change}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_change_of_any_column_is_found_where_it_is() {
    let mut log = Log::filled().await;
    let changes = [
        ("event_id", "translate(event_id::text, '0123456789abcdef', '123456789abcdef0')::uuid"),
        ("stream", "'change-x'"),
        ("version", "2"),
        ("type", "'head_moved'"),
        ("schema_version", "2"),
        ("body", "'{ }'"),
        ("meta", "replace(meta, 'test', 'tesu')"),
        ("recorded_at", "recorded_at + 1"),
        ("prev_hash", "set_bit(prev_hash, 0, 1 - get_bit(prev_hash, 0))"),
        ("hash", "set_bit(hash, 255, 1 - get_bit(hash, 255))"),
    ];
    let columns = "SELECT string_agg(attname, ' ') FROM pg_attribute \
         WHERE attrelid = 'events'::regclass AND attnum > 0";
    let columns: String = sqlx::query_scalar(columns).fetch_one(&mut log.owner).await.unwrap();
    let columns: BTreeSet<&str> = columns.split(' ').collect();
    let changed: BTreeSet<&str> = changes.iter().map(|(column, _)| *column).collect();
    let rest: Vec<_> = columns.difference(&changed).collect();
    assert_eq!(rest, [&"position"], "which is in the test after this one");
    for (column, value) in changes {
        for position in PLACES {
            let change =
                format!("UPDATE events SET {column} = {value} WHERE position = {position}");
            assert_eq!(log.breach(&change).await, Breach::Changed { position }, "{change}");
        }
    }
}

#[tokio::test]
async fn events_that_go_or_move_are_found() {
    let mut log = Log::filled().await;
    for position in PLACES {
        for gone in ["DELETE FROM events", "UPDATE events SET position = 40"] {
            let gone = format!("{gone} WHERE position = {position}");
            assert_eq!(log.breach(&gone).await, Breach::Missing { position }, "{gone}");
        }
        let short = format!("UPDATE events SET hash = '\\x00' WHERE position = {position}");
        let short = log.breach(&short).await;
        assert!(matches!(short, Breach::Unreadable { position: p, .. } if p == position));
    }
}

#[tokio::test]
async fn the_head_must_fit_the_events() {
    let mut log = Log::filled().await;
    let head = log.breach("UPDATE log_head SET position = 6").await;
    assert_eq!(head, Breach::Head { position: 6 });
    let head =
        log.breach("UPDATE log_head SET hash = set_bit(hash, 0, 1 - get_bit(hash, 0))").await;
    assert_eq!(head, Breach::Head { position: EVENTS });
    let head = log.breach("UPDATE log_head SET position = 8").await;
    assert_eq!(head, Breach::Missing { position: 8 });
}
