//! What stands beside the log: payloads, run output, audit, people, instances, secrets.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Row, query};
use uuid::Uuid;

use super::read::{signed, small, unsigned};
use super::writer::{Now, Session, Value, Write, insert_calls};
use super::{Result, Sqlite};
use crate::append::{ApiCall, Person};
use crate::envelope::Position;
use crate::error::StoreError;
use crate::run_log::LogChunk;
use crate::secret::Sealed;
use crate::sql;

/// Whether there is no secret that a lost master key would make unreadable.
pub(super) async fn no_secrets(connection: &mut SqliteConnection) -> Result<bool> {
    Ok(query(sql::SECRET_NAMES).fetch_optional(connection).await?.is_none())
}

impl Sqlite {
    pub(crate) async fn append(&self, append: crate::Append) -> Result<crate::Answer> {
        self.writer()?.append(append).await
    }

    pub(crate) async fn payload(&self, position: Position) -> Result<Option<Vec<u8>>> {
        let row = query(sql::PAYLOAD).bind(position).fetch_optional(&self.readers).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    pub(crate) async fn prune_payloads(&self, age: Duration) -> Result<u64> {
        self.prune(sql::sqlite::PRUNE_PAYLOADS, age).await
    }

    pub(crate) async fn add_log(&self, run: &str, epoch: u64, chunks: Vec<LogChunk>) -> Result<()> {
        self.writer()?.run(AddLog { run: run.to_owned(), epoch: signed(epoch), chunks }).await
    }

    pub(crate) async fn log_after(
        &self,
        run: &str,
        epoch: u64,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<LogChunk>> {
        let rows = query(sql::LOG_AFTER)
            .bind(run)
            .bind(signed(epoch))
            .bind(after.map_or(-1, signed))
            .bind(signed(limit as u64))
            .fetch_all(&self.readers)
            .await?;
        rows.iter()
            .map(|row| {
                let (seq, step) = (unsigned(row, 0)?, small(row, 1)?);
                Ok(LogChunk { seq, step, bytes: row.try_get(2)? })
            })
            .collect()
    }

    pub(crate) async fn prune_logs(&self, age: Duration) -> Result<u64> {
        self.prune(sql::sqlite::PRUNE_LOGS, age).await
    }

    pub(crate) async fn add_calls(&self, calls: Vec<ApiCall>) -> Result<()> {
        self.writer()?.run(AddCalls(calls)).await
    }

    pub(crate) async fn calls(&self, before: i64, limit: usize) -> Result<Vec<ApiCall>> {
        let rows = query(sql::CALLS).bind(before).bind(signed(limit as u64));
        let rows = rows.fetch_all(&self.readers).await?;
        rows.iter()
            .map(|row| {
                let status: Option<i64> = row.try_get(5)?;
                let cause: Option<&[u8]> = row.try_get(8)?;
                Ok(ApiCall {
                    at: row.try_get(0)?,
                    instance: small(row, 1)?,
                    token: row.try_get(2)?,
                    method: row.try_get(3)?,
                    path: row.try_get(4)?,
                    status: status.and_then(|status| u16::try_from(status).ok()),
                    took: Duration::from_millis(unsigned(row, 6)?),
                    request_id: row.try_get(7)?,
                    cause: cause.and_then(|id| Uuid::from_slice(id).ok()),
                })
            })
            .collect()
    }

    pub(crate) async fn prune_calls(&self, age: Duration) -> Result<u64> {
        self.prune(sql::sqlite::PRUNE_CALLS, age).await
    }

    /// Deletes in small bites, so that no writer waits for long.
    async fn prune(&self, statement: &'static str, age: Duration) -> Result<u64> {
        let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
        let before = self.clock.wall_micros().saturating_sub(age);
        let mut pruned = 0;
        loop {
            let some = self.change(statement, vec![Value::Number(before)]).await?;
            pruned += some;
            if some < sql::sqlite::PRUNED_AT_ONCE {
                return Ok(pruned);
            }
        }
    }

    async fn change(&self, text: &'static str, values: Vec<Value>) -> Result<u64> {
        self.writer()?.run(Statement { text, values }).await
    }

    pub(crate) async fn person(&self, instance: u32, id: u64) -> Result<Option<Person>> {
        let row = query(sql::PERSON).bind(i64::from(instance)).bind(signed(id));
        let row = row.fetch_optional(&self.readers).await?;
        row.map(|row| Ok(Person { instance, id, name: row.try_get(0)?, avatar: row.try_get(1)? }))
            .transpose()
    }

    pub(crate) async fn erase_person(&self, instance: u32, id: u64) -> Result<bool> {
        let values = vec![Value::Number(i64::from(instance)), Value::Number(signed(id))];
        Ok(self.change(sql::ERASE_PERSON, values).await? > 0)
    }

    pub(crate) async fn ensure_instance(&self, base_url: &str) -> Result<u32> {
        let known = query(sql::INSTANCE).bind(base_url).fetch_optional(&self.readers).await?;
        if let Some(row) = known {
            return small(&row, 0);
        }
        let values = vec![Value::Text(base_url.to_owned())];
        self.change(sql::NEW_INSTANCE, values).await?;
        let row = query(sql::INSTANCE).bind(base_url).fetch_one(&self.readers).await?;
        small(&row, 0)
    }

    pub(crate) async fn instances(&self) -> Result<Vec<(u32, String)>> {
        let rows = query(sql::INSTANCES).fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok((small(row, 0)?, row.try_get(1)?))).collect()
    }

    pub(crate) async fn put_secret(&self, name: &str, value: &SecretString) -> Result<()> {
        let sealer = self.sealer.as_ref().ok_or(StoreError::Closed)?;
        let sealed = sealer.seal(name, value.expose_secret().as_bytes())?;
        let values = vec![
            Value::Text(name.to_owned()),
            Value::Text(sealed.key_id),
            Value::Bytes(sealed.data_key),
            Value::Bytes(sealed.value),
        ];
        self.change(sql::PUT_SECRET, values).await?;
        Ok(())
    }

    pub(crate) async fn secret(&self, name: &str) -> Result<Option<SecretString>> {
        let sealer = self.sealer.as_ref().ok_or(StoreError::Closed)?;
        let row = query(sql::SECRET).bind(name).fetch_optional(&self.readers).await?;
        let Some(row) = row else { return Ok(None) };
        let (key_id, data_key) = (row.try_get(0)?, row.try_get(1)?);
        let sealed = Sealed { key_id, data_key, value: row.try_get(2)? };
        sealer.open_sealed(name, sealed).map(Some)
    }

    pub(crate) async fn delete_secret(&self, name: &str) -> Result<bool> {
        let values = vec![Value::Text(name.to_owned())];
        Ok(self.change(sql::DELETE_SECRET, values).await? > 0)
    }

    pub(crate) async fn secret_names(&self) -> Result<Vec<String>> {
        let rows = query(sql::SECRET_NAMES).fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
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
