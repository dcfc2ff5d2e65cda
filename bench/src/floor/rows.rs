//! Rows in a database, committed in groups: whatever queued while the last commit ran. The bodies
//! are compressed, so neither database tries to.

use std::path::Path;

use anyhow::{Context, Result};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, query};
use tokio::sync::{mpsc, oneshot};

/// Rows in one commit, at most.
const GROUP: usize = 512;
/// Rows in one statement of SQLite; the rest goes by powers of two.
const MOST_ROWS: usize = 128;

/// Hands rows to the task that writes them.
#[derive(Debug, Clone)]
pub(crate) struct Rows(mpsc::Sender<Waiting>);

struct Waiting {
    body: Vec<u8>,
    written: oneshot::Sender<()>,
}

enum Database {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Rows {
    /// Makes a table in the Postgres database of this URL, or in a database in `dir`.
    pub(crate) async fn open(dir: &Path, postgres: Option<&str>) -> Result<Self> {
        let db = match postgres {
            Some(url) => Database::postgres(url).await?,
            None => Database::sqlite(dir).await?,
        };
        let (rows, queue) = mpsc::channel(4096);
        tokio::spawn(write(db, queue));
        Ok(Self(rows))
    }

    /// Returns when the row is on disk.
    pub(crate) async fn add(&self, body: Vec<u8>) -> Result<()> {
        let (written, told) = oneshot::channel();
        self.0.send(Waiting { body, written }).await.ok().context("the floor's writer ended")?;
        told.await.context("the floor's writer failed")
    }
}

async fn write(mut db: Database, mut queue: mpsc::Receiver<Waiting>) {
    let mut group = Vec::with_capacity(GROUP);
    while queue.recv_many(&mut group, GROUP).await > 0 {
        let bodies = group.iter_mut().map(|waiting| std::mem::take(&mut waiting.body)).collect();
        if db.commit(bodies).await.is_err() {
            // Whoever waits is told by the dropped sender.
            return;
        }
        for waiting in group.drain(..) {
            // Whoever asked may have gone.
            let _ = waiting.written.send(());
        }
    }
}

impl Database {
    async fn sqlite(dir: &Path) -> Result<Self> {
        let mut db = SqliteConnectOptions::new()
            .filename(dir.join("floor.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("cache_size", "-16384")
            .pragma("wal_autocheckpoint", "4000")
            .disable_statement_logging()
            .connect()
            .await?;
        query(
            "CREATE TABLE IF NOT EXISTS bodies (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT",
        )
        .execute(&mut db)
        .await?;
        Ok(Self::Sqlite(db))
    }

    async fn postgres(url: &str) -> Result<Self> {
        let mut db = url.parse::<PgConnectOptions>()?.disable_statement_logging().connect().await?;
        sqlx::raw_sql(
            "CREATE TABLE IF NOT EXISTS bodies \
               (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body BYTEA NOT NULL); \
             ALTER TABLE bodies ALTER COLUMN body SET STORAGE EXTERNAL",
        )
        .execute(&mut db)
        .await?;
        Ok(Self::Postgres(db))
    }

    async fn commit(&mut self, bodies: Vec<Vec<u8>>) -> Result<()> {
        match self {
            Self::Sqlite(db) => insert_by_rows(db, bodies).await,
            Self::Postgres(db) => {
                let insert = "INSERT INTO bodies (body) SELECT unnest($1::bytea[])";
                query(insert).bind(bodies).execute(db).await?;
                Ok(())
            }
        }
    }
}

async fn insert_by_rows(db: &mut SqliteConnection, mut bodies: Vec<Vec<u8>>) -> Result<()> {
    let mut transaction = db.begin_with("BEGIN IMMEDIATE").await?;
    while !bodies.is_empty() {
        let size = MOST_ROWS.min(1 << bodies.len().ilog2());
        let marks = vec!["(?)"; size].join(", ");
        let text = format!("INSERT INTO bodies (body) VALUES {marks}");
        let mut insert = query(sqlx::AssertSqlSafe(text));
        for body in bodies.drain(..size) {
            insert = insert.bind(body);
        }
        insert.execute(&mut *transaction).await?;
    }
    Ok(transaction.commit().await?)
}
