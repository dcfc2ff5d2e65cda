//! Claims and leases.

use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{Row, query};

use super::beside::{backlog_of, small, unsigned};
use super::{Postgres, Result, sql as own};
use crate::number::{millis, signed};
use crate::sql;
use crate::work::{Backlog, Claimed, Due, Fence, Release, WorkKey, WorkKind};

impl Postgres {
    pub(crate) async fn claim(
        &self,
        due: Due,
        owner: &str,
        lease: Duration,
        max: usize,
    ) -> Result<Vec<Claimed>> {
        let rows = query(own::CLAIM)
            .bind(due.kind.as_str())
            .bind(i64::from(due.upto))
            .bind(signed(max as u64))
            .bind(owner)
            .bind(self.clock.told_millis())
            .bind(millis(lease))
            .fetch_all(self.leases()?)
            .await?;
        claimed(due.kind, &rows)
    }

    pub(crate) async fn claim_key(
        &self,
        key: &WorkKey,
        owner: &str,
        lease: Duration,
    ) -> Result<Option<Claimed>> {
        let rows = query(own::CLAIM_KEY)
            .bind(key.kind.as_str())
            .bind(&key.key)
            .bind(1_i64)
            .bind(owner)
            .bind(self.clock.told_millis())
            .bind(millis(lease))
            .fetch_all(self.leases()?)
            .await?;
        Ok(claimed(key.kind, &rows)?.pop())
    }

    pub(crate) async fn extend(&self, fence: &Fence, lease: Duration) -> Result<bool> {
        let Fence { key, epoch } = fence;
        let done = query(own::EXTEND)
            .bind(millis(lease))
            .bind(key.kind.as_str())
            .bind(&key.key)
            .bind(signed(*epoch))
            .bind(self.clock.told_millis())
            .execute(self.leases()?)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    pub(crate) async fn release(&self, claimed: &Claimed, how: Release) -> Result<()> {
        let (failed, after) = match how {
            Release::Done => return self.release_done(claimed).await,
            Release::Later(after) => (0_i64, after),
            Release::Failed(after) => (1, after),
        };
        let Claimed { key, epoch, revision, .. } = claimed;
        query(own::RELEASE)
            .bind(failed)
            .bind(signed(*revision))
            .bind(millis(after))
            .bind(key.kind.as_str())
            .bind(&key.key)
            .bind(signed(*epoch))
            .bind(self.clock.told_millis())
            .execute(self.leases()?)
            .await?;
        Ok(())
    }

    /// A touch in between keeps the row; whoever was told of it found the row leased.
    async fn release_done(&self, Claimed { key, epoch, revision, .. }: &Claimed) -> Result<()> {
        let done = query(own::RELEASE_DONE)
            .bind(key.kind.as_str())
            .bind(&key.key)
            .bind(signed(*epoch))
            .bind(signed(*revision))
            .execute(self.leases()?)
            .await?;
        if done.rows_affected() == 1 {
            self.bells.send_modify(|bells| bells.ring_all(key.kind));
        }
        Ok(())
    }

    pub(crate) async fn next_due(&self, due: Due) -> Result<Option<Duration>> {
        let row = query(own::NEXT_DUE)
            .bind(due.kind.as_str())
            .bind(i64::from(due.upto))
            .bind(self.clock.told_millis())
            .fetch_one(&self.leases)
            .await?;
        let left: Option<i64> = row.try_get(0)?;
        Ok(left.map(|left| Duration::from_millis(u64::try_from(left).unwrap_or(0))))
    }

    pub(crate) async fn backlog(&self, kind: WorkKind) -> Result<Backlog> {
        let now = query(own::NOW).bind(self.clock.told_millis()).fetch_one(&self.leases).await?;
        let now: i64 = now.try_get(0)?;
        let row = query(sql::BACKLOG).bind(now).bind(kind.as_str()).fetch_one(&self.leases).await?;
        backlog_of(&row, now)
    }
}

fn claimed(kind: WorkKind, rows: &[PgRow]) -> Result<Vec<Claimed>> {
    let mut placed = Vec::with_capacity(rows.len());
    for row in rows {
        let took_over: Option<i64> = row.try_get(7)?;
        let place: i64 = row.try_get(0)?;
        placed.push((
            place,
            Claimed {
                key: WorkKey::new(kind, row.try_get::<String, _>(1)?),
                class: u8::try_from(small(row, 2)?).unwrap_or(u8::MAX),
                epoch: unsigned(row, 4)?,
                revision: unsigned(row, 3)?,
                attempts: small(row, 5)?,
                more: row.try_get(6)?,
                took_over: took_over.and_then(|epoch| u64::try_from(epoch).ok()),
            },
        ));
    }
    placed.sort_by_key(|(place, _)| *place);
    Ok(placed.into_iter().map(|(_, claimed)| claimed).collect())
}
