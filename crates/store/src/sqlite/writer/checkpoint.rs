//! Copies what was committed from the write-ahead log to the database file, beside the writer:
//! otherwise every few thousand pages one commit, and everybody who waits for it, would have to wait
//! for thousands of pages to be written.

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, query};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::sql;

/// Rows that are written between two copies. A row is a page or two of the write-ahead log; a page
/// that many rows touch is copied once for all of them.
const ROWS: u64 = 4000;

/// Counts what is written, and has it copied.
pub(super) struct Checkpointer {
    rows: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl Checkpointer {
    /// `db`: a connection of its own.
    pub(super) fn start(db: SqliteConnection) -> Self {
        let (rows, written) = watch::channel(0);
        Self { rows, task: tokio::spawn(copy(db, written)) }
    }

    /// So many rows were committed.
    pub(super) fn written(&self, rows: usize) {
        self.rows.send_modify(|total| *total += rows as u64);
    }

    /// Returns when nothing is copied any more.
    pub(super) async fn end(self) {
        drop(self.rows);
        // It ends by itself; if it did so badly there is nothing left to wait for either.
        let _ = self.task.await;
    }
}

async fn copy(mut db: SqliteConnection, mut written: watch::Receiver<u64>) {
    let mut copied = 0;
    while let Ok(now) = written.wait_for(|total| *total >= copied + ROWS).await.map(|total| *total)
    {
        copied = now;
        // What fails is left to the next time, and to the writer when the log has grown long.
        if let Err(error) = query(sql::sqlite::COPY).execute(&mut db).await {
            tracing::warn!(%error, "the write-ahead log could not be copied");
        }
    }
    if let Err(error) = db.close().await {
        tracing::warn!(%error, "the database was not closed cleanly");
    }
}
