//! A filled database of every older version comes to this one with all that it held.

use std::collections::BTreeSet;
use std::path::Path;

use aldis_store::{Expected, Store, StoreError, WorkKind};
use secrecy::ExposeSecret;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

use super::place::Engine::{Postgres, Sqlite};
use super::place::{Bench, Engine, LEASE, Place, append, appended, difference, event, fill, lines};

/// Since this one SQLite keeps bodies by their events, as Postgres always has.
const BODIES_BY_EVENT: i64 = 6;

/// Migrations of an engine before the last `later` ones. `None`: there are not so many.
async fn older(engine: &str, later: usize) -> Option<Migrator> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations").join(engine);
    let mut all: Vec<_> = Migrator::new(dir.as_path()).await.unwrap().iter().cloned().collect();
    let count = all.len().checked_sub(later).filter(|count| *count > 0)?;
    all.truncate(count);
    Some(Migrator::with_migrations(all))
}

type Tables = BTreeSet<String>;

/// Makes `old` a database of an older version with the rows of `new` in the tables that it returns.
async fn make(engine: Engine, old: &Place, new: &Place, later: usize) -> Option<Tables> {
    match engine {
        Sqlite => make_sqlite(old, new, older("sqlite", later).await?).await,
        Postgres => make_postgres(old, new, older("postgres", later).await?).await,
    }
    .into()
}

async fn make_sqlite(old: &Place, new: &Place, migrations: Migrator) -> Tables {
    std::fs::create_dir(&old.settings.dir).unwrap();
    let options = SqliteConnectOptions::new().filename(old.settings.dir.join("aldis.db"));
    let mut db = options.create_if_missing(true).connect().await.unwrap();
    migrations.run(&mut db).await.unwrap();
    let attach = format!("ATTACH '{}' AS new", new.settings.dir.join("aldis.db").display());
    sqlite(&mut db, &attach).await;
    let tables = "SELECT name FROM main.sqlite_schema WHERE type = 'table' \
         AND name <> '_sqlx_migrations'";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut db).await.unwrap();
    let mut tables: Tables = tables.into_iter().collect();
    if migrations.iter().all(|migration| migration.version < BODIES_BY_EVENT) {
        tables.remove("payloads");
    }
    if tables.remove("streams") {
        let versions = "INSERT INTO streams SELECT stream, MAX(version) FROM new.events GROUP BY 1";
        sqlite(&mut db, versions).await;
    }
    for table in &tables {
        let columns = format!(
            "SELECT group_concat(here.name) FROM pragma_table_info('{table}', 'main') AS here \
             JOIN pragma_table_info('{table}', 'new') AS there ON here.name = there.name"
        );
        let columns = sqlx::query_scalar(AssertSqlSafe(columns));
        let columns: String = columns.fetch_one(&mut db).await.unwrap();
        let copy = format!(
            "INSERT OR REPLACE INTO main.{table} ({columns}) SELECT {columns} FROM new.{table}"
        );
        sqlite(&mut db, &copy).await;
    }
    db.close().await.unwrap();
    tables
}

async fn sqlite(db: &mut SqliteConnection, sql: &str) {
    sqlx::query(AssertSqlSafe(sql)).execute(db).await.unwrap();
}

async fn make_postgres(old: &Place, new: &Place, migrations: Migrator) -> Tables {
    let url = |place: &Place| place.settings.postgres.clone().unwrap();
    let mut db = PgConnection::connect(url(old).expose_secret()).await.unwrap();
    let mut from = PgConnection::connect(url(new).expose_secret()).await.unwrap();
    migrations.run(&mut db).await.unwrap();
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' \
         AND tablename <> '_sqlx_migrations'";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut db).await.unwrap();
    sqlx::query("DELETE FROM log_head").execute(&mut db).await.unwrap();
    for table in &tables {
        let rows = format!("SELECT COALESCE(json_agg(it), '[]')::text FROM {table} AS it");
        let rows: String =
            sqlx::query_scalar(AssertSqlSafe(rows)).fetch_one(&mut from).await.unwrap();
        let copy = format!(
            "INSERT INTO {table} OVERRIDING SYSTEM VALUE \
             SELECT * FROM json_populate_recordset(NULL::{table}, $1::json)"
        );
        sqlx::query(AssertSqlSafe(copy)).bind(rows).execute(&mut db).await.unwrap();
    }
    go_on_counting(&mut db).await;
    tables.into_iter().collect()
}

/// Numbers that the database gives come after those that are there.
async fn go_on_counting(db: &mut PgConnection) {
    let counted = "SELECT attrelid::regclass::text, attname::text FROM pg_attribute \
         JOIN pg_tables ON tablename = attrelid::regclass::text \
         WHERE schemaname = 'public' AND attidentity <> ''";
    let counted: Vec<(String, String)> = sqlx::query_as(counted).fetch_all(&mut *db).await.unwrap();
    for (table, column) in counted {
        let next = format!(
            "SELECT setval(pg_get_serial_sequence('{table}', '{column}'), \
             COALESCE(MAX({column}), 0) + 1, false) FROM {table}"
        );
        sqlx::query(AssertSqlSafe(next)).execute(&mut *db).await.unwrap();
    }
}

/// The rows of these tables, in any order.
fn of<'a>(rows: &'a [String], tables: &Tables) -> Vec<&'a str> {
    // A row begins with its table's name.
    let of_them = |row: &&str| row.split('"').nth(1).is_some_and(|table| tables.contains(table));
    let mut rows: Vec<&str> = rows.iter().map(String::as_str).filter(of_them).collect();
    rows.sort_unstable();
    rows
}

async fn from_every_version(engine: Engine) {
    let bench = Bench::new();
    let new = bench.place(engine);
    let store = new.open().await;
    fill(&store, &bench.clock).await;
    store.close().await;
    // On SQLite leases are void at a start.
    new.open().await.close().await;
    let (outline, rows) = new.export().await;
    let mut versions = 0;
    for later in 1.. {
        let old = bench.place(engine);
        let Some(tables) = make(engine, &old, &new, later).await else { break };
        let refused = Store::open_read_only(&old.settings).await.unwrap_err();
        assert!(matches!(refused, StoreError::Older), "{refused}");
        let store = old.open().await;
        assert_eq!(store.verify(|_| ()).await.unwrap().head, outline.head, "{later}");
        let (_, here) = lines(&store).await;
        let (right, here) = (of(&rows, &tables), of(&here, &tables));
        assert!(right.len() > 600, "{later}");
        assert_eq!(difference(&right, &here), None, "{later}");
        let next = append("change-last", Expected::Version(1), vec![event(1).with_payload([7])]);
        appended(&store, next).await;
        let events = store.verify(|_| ()).await.unwrap().events;
        assert_eq!(events, outline.rows["events"] + 1, "{later}");
        let instances = store.ensure_instance("https://third.example").await.unwrap();
        assert_eq!(instances, if tables.contains("instances") { 3 } else { 1 }, "{later}");
        if tables.contains("work") {
            let due = store.claim(WorkKind::Note, "me", LEASE, 9).await.unwrap();
            let due: Vec<&str> = due.iter().map(|claimed| claimed.key.key.as_str()).collect();
            assert!(due.contains(&"waits") && !due.contains(&"later"), "{due:?}");
        }
        store.close().await;
        versions += 1;
    }
    assert!(versions >= 4, "{versions}");
}

#[tokio::test]
async fn on_sqlite_from_every_version_all_comes_along() {
    from_every_version(Sqlite).await;
}

#[tokio::test]
async fn on_postgres_from_every_version_all_comes_along() {
    from_every_version(Postgres).await;
}
