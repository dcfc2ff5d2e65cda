//! Rows in SQLite, committed in groups: whatever queued while the last commit ran.

use std::path::Path;

use anyhow::{Context, Result};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, query};
use tokio::sync::{mpsc, oneshot};

/// Rows in one commit, at most.
const GROUP: usize = 512;
/// Rows in one statement; the rest goes by powers of two.
const MOST_ROWS: usize = 128;

/// Hands rows to the task that writes them.
#[derive(Debug, Clone)]
pub(crate) struct Rows(mpsc::Sender<Waiting>);

struct Waiting {
    body: Vec<u8>,
    written: oneshot::Sender<()>,
}

impl Rows {
    /// Makes a database in `dir`.
    pub(crate) async fn open(dir: &Path) -> Result<Self> {
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

async fn write(mut db: SqliteConnection, mut queue: mpsc::Receiver<Waiting>) {
    let mut group = Vec::with_capacity(GROUP);
    while queue.recv_many(&mut group, GROUP).await > 0 {
        if commit(&mut db, &mut group).await.is_err() {
            // Whoever waits is told by the dropped sender.
            return;
        }
        for waiting in group.drain(..) {
            // Whoever asked may have gone.
            let _ = waiting.written.send(());
        }
    }
}

async fn commit(db: &mut SqliteConnection, group: &mut [Waiting]) -> Result<()> {
    let mut transaction = db.begin_with("BEGIN IMMEDIATE").await?;
    let mut rest = group;
    while !rest.is_empty() {
        let size = MOST_ROWS.min(1 << rest.len().ilog2());
        let (chunk, behind) = rest.split_at_mut(size);
        let marks = vec!["(?)"; size].join(", ");
        let text = format!("INSERT INTO bodies (body) VALUES {marks}");
        let mut insert = query(sqlx::AssertSqlSafe(text));
        for waiting in chunk {
            insert = insert.bind(std::mem::take(&mut waiting.body));
        }
        insert.execute(&mut *transaction).await?;
        rest = behind;
    }
    Ok(transaction.commit().await?)
}
