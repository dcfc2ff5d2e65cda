//! Reading the log.

use std::collections::HashMap;

use futures_util::TryStreamExt;
use sqlx::postgres::PgConnection;
use sqlx::query;

use super::beside::{envelope, head_of};
use super::{Postgres, Result, sql as own};
use crate::envelope::{Envelope, Head, Position};
use crate::number::signed;
use crate::sql;

impl Postgres {
    pub(crate) async fn load_many(
        &self,
        streams: &[String],
    ) -> Result<HashMap<String, Vec<Envelope>>> {
        let mut loaded: HashMap<String, Vec<Envelope>> = HashMap::new();
        for row in query(own::LOAD_MANY).bind(streams).fetch_all(&self.lazy).await? {
            let event = envelope(&row)?;
            loaded.entry(event.stream.clone()).or_default().push(event);
        }
        for stream in streams {
            let last = loaded.get(stream).and_then(|events| events.last());
            self.news.of_stream(stream, last.map_or(0, |event| event.version));
        }
        Ok(loaded)
    }

    /// Whoever read a stream may append to it.
    pub(crate) fn has_read(&self, stream: &str, version: u64) {
        self.news.of_stream(stream, version);
    }

    pub(crate) async fn read(&self, after: Position, limit: usize) -> Result<Vec<Envelope>> {
        let mut events = Vec::with_capacity(limit.min(4096));
        let rows = query(sql::READ).bind(after).bind(signed(limit as u64));
        let mut rows = rows.fetch(&self.lazy);
        while let Some(row) = rows.try_next().await? {
            events.push(envelope(&row)?);
        }
        Ok(events)
    }
}

pub(super) async fn head(connection: &mut PgConnection) -> Result<Head> {
    head_of(&query(sql::HEAD).fetch_one(connection).await?)
}
