//! Checking that the log is whole.

use futures_util::TryStreamExt;
use sqlx::{Row, query};

use super::read::{envelope, unsigned};
use super::{Result, Sqlite};
use crate::envelope::{Breach, Envelope, Head, Position, Verified};
use crate::error::StoreError;
use crate::sql;

/// Events that are read in one statement: a long one would keep SQLite from cleaning up its log.
const CHUNK: i64 = 8192;

impl Sqlite {
    pub(crate) async fn verify(
        &self,
        mut progress: impl FnMut(Position) + Send,
    ) -> Result<Verified> {
        let head = self.head().await?;
        let mut last = Head { position: 0, hash: [0; 32] };
        while last.position < head.position {
            last = self.verify_chunk(last, head.position).await?;
            progress(last.position);
        }
        let behind = self.read(head.position, 1).await?;
        let grown = self.head().await?.position;
        if last.hash != head.hash || (!behind.is_empty() && grown == head.position) {
            return Err(Breach::Head { position: head.position }.into());
        }
        if let Some(row) = query(sql::WRONG_VERSIONS).fetch_optional(&self.readers).await? {
            let (stream, version) = (row.try_get(0)?, unsigned(&row, 1)?);
            return Err(Breach::Stream { stream, version }.into());
        }
        Ok(Verified { events: head.position.unsigned_abs(), head })
    }

    async fn verify_chunk(&self, mut last: Head, end: Position) -> Result<Head> {
        let limit = CHUNK.min(end - last.position);
        let first = last.position + 1;
        let mut rows = query(sql::READ).bind(last.position).bind(limit).fetch(&self.readers);
        while let Some(row) = rows.try_next().await? {
            let position = last.position + 1;
            let event = envelope(&row).map_err(|e| match e {
                StoreError::Corrupt(why) | StoreError::Unexpected(why) => {
                    Breach::Unreadable { position, why }.into()
                }
                other => other,
            })?;
            last = follow(last, &event)?;
        }
        if last.position < first + limit - 1 {
            return Err(Breach::Missing { position: last.position + 1 }.into());
        }
        Ok(last)
    }
}

fn follow(last: Head, event: &Envelope) -> std::result::Result<Head, Breach> {
    let position = last.position + 1;
    if event.position != position {
        return Err(Breach::Missing { position });
    }
    if event.computed_hash() != event.hash {
        return Err(Breach::Changed { position });
    }
    if event.prev_hash != last.hash {
        return Err(Breach::Unlinked { position });
    }
    Ok(Head { position, hash: event.hash })
}
