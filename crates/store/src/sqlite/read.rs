//! Reading the log.

use std::collections::HashMap;

use futures_util::TryStreamExt;
use futures_util::future::try_join;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row, query};
use uuid::Uuid;

use super::packed::unpack;
use super::{Result, Sqlite};
use crate::envelope::{Breach, Envelope, Head, Position};
use crate::error::StoreError;
use crate::sql;

/// Events that are packed into one value: enough that the statement costs little beside them, few
/// enough that they do not fill the memory.
const PACK: usize = 256;

impl Sqlite {
    pub(crate) async fn load(&self, stream: &str, after: u64) -> Result<Vec<Envelope>> {
        let rows = query(sql::LOAD).bind(stream).bind(signed(after));
        let mut rows = rows.fetch(&self.readers);
        let mut events = Vec::new();
        while let Some(row) = rows.try_next().await? {
            events.push(envelope(&row)?);
        }
        Ok(events)
    }

    pub(crate) async fn load_many(
        &self,
        streams: &[String],
    ) -> Result<HashMap<String, Vec<Envelope>>> {
        let mut loaded: HashMap<String, Vec<Envelope>> = HashMap::new();
        let mut rows = query(sql::sqlite::LOAD_MANY).bind(json_list(streams)).fetch(&self.readers);
        while let Some(row) = rows.try_next().await? {
            let event = envelope(&row)?;
            loaded.entry(event.stream.clone()).or_default().push(event);
        }
        Ok(loaded)
    }

    pub(crate) async fn read(&self, after: Position, limit: usize) -> Result<Vec<Envelope>> {
        let mut events = self.read_packs(after, limit).await?;
        // There is more behind a gap only if somebody else wrote to the log.
        if events.len() < limit {
            let last = events.last().map_or(after, |event| event.position);
            let missing = signed((limit - events.len()) as u64);
            let mut rows = query(sql::sqlite::READ).bind(last).bind(missing).fetch(&self.readers);
            while let Some(row) = rows.try_next().await? {
                events.push(envelope(&row)?);
            }
        }
        Ok(events)
    }

    /// The events of the next `limit` positions, as far as they can be unpacked; the halves by two
    /// connections at a time.
    async fn read_packs(&self, after: Position, limit: usize) -> Result<Vec<Envelope>> {
        if limit <= PACK {
            return Ok(Vec::new());
        }
        // Not beyond the end: packs there are empty, but each is looked for.
        let upto = after.saturating_add(signed(limit as u64)).min(*self.positions.borrow());
        let middle = after + (upto - after) / 2;
        let halves = try_join(self.read_half(after, middle), self.read_half(middle, upto));
        let (mut events, behind) = halves.await?;
        if events.last().map_or(after, |last| last.position) == middle {
            events.extend(behind);
        }
        Ok(events)
    }

    /// The driver's thread packs events while those before are unpacked here.
    async fn read_half(&self, after: Position, upto: Position) -> Result<Vec<Envelope>> {
        let mut events = Vec::with_capacity(usize::try_from(upto - after).unwrap_or_default());
        let packs = query(sql::sqlite::READ_PACKS).bind(after).bind(upto);
        let mut packs = packs.bind(signed(PACK as u64)).fetch(&self.readers);
        while let Some(row) = packs.try_next().await? {
            let packed = row.try_get::<Option<&[u8]>, _>(0)?.unwrap_or_default();
            let Some(unpacked) = unpack(packed) else { break };
            events.extend(unpacked);
        }
        Ok(events)
    }

    pub(crate) async fn head(&self) -> Result<Head> {
        head(&mut *self.readers.acquire().await?).await
    }

    pub(crate) async fn wrong_versions(&self) -> Result<Option<Breach>> {
        let row = query(sql::WRONG_VERSIONS).fetch_optional(&self.readers).await?;
        row.map(|row| Ok(Breach::Stream { stream: row.try_get(0)?, version: unsigned(&row, 1)? }))
            .transpose()
    }
}

pub(super) async fn head(connection: &mut SqliteConnection) -> Result<Head> {
    let row = query(sql::HEAD).fetch_one(connection).await?;
    Ok(Head { position: row.try_get(0)?, hash: digest(&row, 1)? })
}

/// A JSON list, for `json_each`.
pub(super) fn json_list<T: serde::Serialize>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<T> = items.into_iter().collect();
    serde_json::to_string(&items).expect("texts and numbers are JSON")
}

/// SQL has no unsigned numbers. What is counted here never comes near the limit.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(row: &SqliteRow, column: usize) -> Result<u64> {
    let value: i64 = row.try_get(column)?;
    u64::try_from(value).map_err(|_| StoreError::Corrupt(format!("{value} is less than 0")))
}

pub(super) fn small(row: &SqliteRow, column: usize) -> Result<u32> {
    let value: i64 = row.try_get(column)?;
    u32::try_from(value).map_err(|_| StoreError::Corrupt(format!("{value} is no 32 bit number")))
}

pub(super) fn digest(row: &SqliteRow, column: usize) -> Result<[u8; 32]> {
    let bytes: &[u8] = row.try_get(column)?;
    bytes.try_into().map_err(|_| StoreError::Corrupt("a hash has not 32 bytes".to_owned()))
}

pub(super) fn envelope(row: &SqliteRow) -> Result<Envelope> {
    let id: &[u8] = row.try_get(1)?;
    let id = Uuid::from_slice(id).map_err(|e| StoreError::Corrupt(format!("event id: {e}")))?;
    Ok(Envelope {
        position: row.try_get(0)?,
        id,
        stream: row.try_get(2)?,
        version: unsigned(row, 3)?,
        kind: row.try_get(4)?,
        schema_version: small(row, 5)?,
        body: row.try_get(6)?,
        meta: row.try_get(7)?,
        recorded_at: row.try_get(8)?,
        prev_hash: digest(row, 9)?,
        hash: digest(row, 10)?,
    })
}
