//! What is the same in both engines, and what stands beside the log: run output, audit.

use std::time::Duration;

use futures_util::TryStreamExt;
use secrecy::{ExposeSecret, SecretString};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row, query};

use super::writer::{Now, Session, Write, insert_calls};
use super::{Result, Sqlite};
use crate::append::{Answer, ApiCall, Append, Person};
use crate::document::{Checkpoint, Document, Entry};
use crate::envelope::{Breach, Envelope, Head, Position};
use crate::error::StoreError;
use crate::number::{micros, signed};
use crate::rows::{changes, columns, reads};
use crate::run_log::LogChunk;
use crate::runner::Runner;
use crate::secret::Sealed;
use crate::sql::{self, sqlite as own};
use crate::value::Value;
use crate::work::{Backlog, Claimed, WorkKey, WorkKind};

columns!(SqliteRow);
reads!(Sqlite, readers);
changes!(Sqlite, readers);

/// Whether there is no secret that a lost master key would make unreadable.
pub(super) async fn no_secrets(connection: &mut SqliteConnection) -> Result<bool> {
    Ok(query(sql::SECRET_NAMES).fetch_optional(connection).await?.is_none())
}

impl Sqlite {
    pub(crate) async fn append(&self, append: Append) -> Result<Answer> {
        self.writer()?.append(append).await
    }

    pub(crate) async fn add_log(&self, run: &str, epoch: u64, chunks: Vec<LogChunk>) -> Result<()> {
        self.writer()?.run(AddLog { run: run.to_owned(), epoch: signed(epoch), chunks }).await
    }

    pub(crate) async fn add_calls(&self, calls: Vec<ApiCall>) -> Result<()> {
        self.writer()?.run(AddCalls(calls)).await
    }

    async fn change(&self, text: &'static str, values: Vec<Value>) -> Result<u64> {
        self.writer()?.run(Statement { text, values }).await
    }
}

struct AddLog {
    run: String,
    epoch: i64,
    chunks: Vec<LogChunk>,
}

impl Write for AddLog {
    type Out = ();
    const DURABLE: bool = false;

    async fn run(&mut self, db: &mut Session<'_>, now: Now) -> Result<()> {
        db.insert(&sql::LOG_CHUNKS, &self.chunks, |chunk| {
            [
                self.run.as_str().into(),
                self.epoch.into(),
                signed(chunk.seq).into(),
                i64::from(chunk.step).into(),
                chunk.bytes.as_slice().into(),
                now.wall.into(),
            ]
        })
        .await
    }
}

struct AddCalls(Vec<ApiCall>);

impl Write for AddCalls {
    type Out = ();
    const DURABLE: bool = false;

    async fn run(&mut self, db: &mut Session<'_>, _: Now) -> Result<()> {
        let calls: Vec<_> = self.0.iter().collect();
        insert_calls(db, &calls).await
    }
}

/// One statement; its output is the number of rows that it changed.
struct Statement {
    text: &'static str,
    values: Vec<Value>,
}

impl Write for Statement {
    type Out = u64;
    const DURABLE: bool = true;

    async fn run(&mut self, db: &mut Session<'_>, _: Now) -> Result<u64> {
        db.run(self.text, &self.values).await
    }
}
