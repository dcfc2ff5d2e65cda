//! Reading the log.

use std::collections::HashMap;

use futures_util::TryStreamExt;
use futures_util::future::try_join;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Row, query};

use super::beside::{envelope, head_of};
use super::packed::unpack;
use super::{Result, Sqlite};
use crate::envelope::{Envelope, Head, Position};
use crate::number::signed;
use crate::sql;

/// Events that are packed into one value: enough that the statement costs little beside them, few
/// enough that they do not fill the memory.
const PACK: usize = 256;

impl Sqlite {
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
            let mut rows = query(sql::READ).bind(last).bind(missing).fetch(&self.readers);
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
}

pub(super) async fn head(connection: &mut SqliteConnection) -> Result<Head> {
    head_of(&query(sql::HEAD).fetch_one(connection).await?)
}

/// A JSON list, for `json_each`.
pub(super) fn json_list<T: serde::Serialize>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<T> = items.into_iter().collect();
    serde_json::to_string(&items).expect("texts and numbers are JSON")
}
