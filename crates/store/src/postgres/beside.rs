//! What is the same in both engines, and what stands beside the log: run output, audit.

use std::time::Duration;

use futures_util::TryStreamExt;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Row, query};

use super::statement::Statement;
use super::write::bind_calls;
use super::{Postgres, Result, sql as own};
use crate::append::{Answer, ApiCall, Append, Person};
use crate::document::{Checkpoint, Document, Entry};
use crate::envelope::{Breach, Envelope, Head, Position};
use crate::error::StoreError;
use crate::number::{micros, signed};
use crate::rows::{changes, columns, reads};
use crate::run_log::LogChunk;
use crate::runner::Runner;
use crate::secret::Sealed;
use crate::sql;
use crate::value::Value;
use crate::work::{Backlog, Claimed, WorkKey, WorkKind};

columns!(PgRow);
reads!(Postgres, lazy);
changes!(Postgres, lazy);

/// Whether there is no secret that a lost master key would make unreadable.
pub(super) async fn no_secrets(connection: &mut PgConnection) -> Result<bool> {
    Ok(query(sql::SECRET_NAMES).fetch_optional(connection).await?.is_none())
}

impl Postgres {
    pub(crate) async fn append(&self, append: Append) -> Result<Answer> {
        self.writer()?.append(append).await
    }

    pub(crate) async fn add_log(&self, run: &str, epoch: u64, chunks: Vec<LogChunk>) -> Result<()> {
        query(own::ADD_LOG)
            .bind(run)
            .bind(signed(epoch))
            .bind(self.clock.wall_micros())
            .bind(chunks.iter().map(|chunk| signed(chunk.seq)).collect::<Vec<_>>())
            .bind(chunks.iter().map(|chunk| i64::from(chunk.step)).collect::<Vec<_>>())
            .bind(chunks.iter().map(|chunk| chunk.bytes.as_slice()).collect::<Vec<_>>())
            .execute(self.lazy()?)
            .await?;
        Ok(())
    }

    pub(crate) async fn add_calls(&self, calls: Vec<ApiCall>) -> Result<()> {
        let all: Vec<&ApiCall> = calls.iter().collect();
        let mut statement = Statement::default();
        bind_calls(statement.part(own::ADD_CALLS), &all);
        statement.query()?.execute(self.lazy()?).await?;
        Ok(())
    }

    async fn change(&self, text: &'static str, values: Vec<Value>) -> Result<u64> {
        let mut changing = query(text);
        for value in values {
            changing = match value {
                Value::Null => changing.bind(None::<i64>),
                Value::Number(number) => changing.bind(number),
                Value::Text(text) => changing.bind(text),
                Value::Bytes(bytes) => changing.bind(bytes),
            };
        }
        Ok(changing.execute(self.durable()?).await?.rows_affected())
    }
}
