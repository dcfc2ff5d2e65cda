//! Checking that the log is whole.

use sqlx::{Row, query};

use super::read::unsigned;
use super::{Result, Sqlite};
use crate::envelope::{Breach, Envelope, Head, Position, Verified};
use crate::error::StoreError;
use crate::sql;

/// Events that are read at once.
const CHUNK: i64 = 4096;

impl Sqlite {
    pub(crate) async fn verify(
        &self,
        mut progress: impl FnMut(Position) + Send,
    ) -> Result<Verified> {
        let head = self.head().await?;
        let mut last = Head { position: 0, hash: [0; 32] };
        let mut chunk = CHUNK;
        while last.position < head.position {
            let limit = chunk.min(head.position - last.position);
            match self.verify_chunk(last, limit).await {
                // Some event of it cannot be read; one by one shows which.
                Err(StoreError::Corrupt(_)) if chunk > 1 => chunk = 1,
                Err(StoreError::Corrupt(why)) => {
                    let position = last.position + 1;
                    return Err(Breach::Unreadable { position, why }.into());
                }
                read => {
                    last = read?;
                    progress(last.position);
                }
            }
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

    async fn verify_chunk(&self, mut last: Head, limit: Position) -> Result<Head> {
        let end = last.position + limit;
        for event in self.read(last.position, usize::try_from(limit).unwrap_or(1)).await? {
            last = follow(last, &event)?;
        }
        if last.position < end {
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
