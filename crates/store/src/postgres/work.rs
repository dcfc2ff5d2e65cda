//! Claims and leases.

use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{Row, ValueRef, query};

use super::beside::{backlog_of, small, unsigned};
use super::search::Found;
use super::write::end_of;
use super::{Postgres, Result, sql as own};
use crate::number::{millis, signed};
use crate::sql;
use crate::work::{Backlog, Claimed, Claims, Due, Fence, Release, WorkKey, WorkKind};

impl Postgres {
    pub(crate) async fn claims(
        &self,
        due: Due,
        owner: &str,
        lease: Duration,
        max: usize,
    ) -> Result<Claims> {
        let search = self.searches.begin(due);
        let mut rows = query(own::CLAIM)
            .bind(due.kind.as_str())
            .bind(&search.since)
            .bind(signed(max as u64))
            .bind(owner)
            .bind(self.clock.told_millis())
            .bind(millis(lease))
            .bind(search.again)
            .fetch_all(self.leases()?)
            .await?;
        let is_all = rows.first().is_some_and(|row| row.try_get(14).unwrap_or(false));
        let mut next_due = None;
        if let Some(nothing) = rows.pop_if(|row| row.try_get_raw(0).is_ok_and(|it| it.is_null())) {
            next_due = left(nothing.try_get(8)?);
        }
        let (items, found): (Vec<_>, Vec<_>) = self.claimed(due.kind, &rows)?.into_iter().unzip();
        self.searches.end(due, search, is_all, &found);
        Ok(Claims { items, next_due })
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
        Ok(self.claimed(key.kind, &rows)?.pop().map(|(claimed, _)| claimed))
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
        let released = query(own::RELEASE)
            .bind(failed)
            .bind(signed(*revision))
            .bind(millis(after))
            .bind(key.kind.as_str())
            .bind(&key.key)
            .bind(signed(*epoch))
            .bind(self.clock.told_millis())
            .fetch_optional(self.leases()?)
            .await?;
        let is_touched = released.map(|row| row.try_get(0)).transpose()?;
        if is_touched == Some(true) {
            self.bells.send_modify(|bells| bells.ring_all(key.kind));
        }
        Ok(())
    }

    /// A touch in between keeps the row; whoever was told of it found the row leased.
    async fn release_done(&self, Claimed { key, epoch, revision, .. }: &Claimed) -> Result<()> {
        let done = query(own::RELEASE_DONE)
            .bind(key.kind.as_str())
            .bind(&key.key)
            .bind(signed(*epoch))
            .bind(signed(*revision))
            .bind(self.clock.told_millis())
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
        Ok(left(row.try_get(0)?))
    }

    pub(crate) async fn crowds(
        &self,
        kind: WorkKind,
        class: u8,
        within: Duration,
        many: usize,
    ) -> Result<bool> {
        let last = query(own::CROWDS)
            .bind(kind.as_str())
            .bind(i64::from(class))
            .bind(self.clock.told_millis())
            .bind(millis(within))
            .bind(signed(many.saturating_sub(1) as u64))
            .fetch_optional(&self.leases)
            .await?;
        Ok(last.is_some())
    }

    pub(crate) async fn backlog(&self, kind: WorkKind) -> Result<Backlog> {
        let now = query(own::NOW).bind(self.clock.told_millis()).fetch_one(&self.leases).await?;
        let now: i64 = now.try_get(0)?;
        let row = query(sql::BACKLOG).bind(now).bind(kind.as_str()).fetch_one(&self.leases).await?;
        backlog_of(&row, now)
    }

    fn claimed(&self, kind: WorkKind, rows: &[PgRow]) -> Result<Vec<(Claimed, Found)>> {
        if let Some(row) = rows.first() {
            self.news.of_end(end_of(row, [10, 11, 12, 13])?);
        }
        let placed: Result<Vec<_>> = rows.iter().map(|row| placed(kind, row)).collect();
        let mut placed = placed?;
        placed.sort_by_key(|(place, ..)| *place);
        Ok(placed.into_iter().map(|(_, claimed, found)| (claimed, found)).collect())
    }
}

/// Milliseconds until something is due; zero if it is already.
fn left(millis: Option<i64>) -> Option<Duration> {
    millis.map(|left| Duration::from_millis(u64::try_from(left).unwrap_or(0)))
}

fn placed(kind: WorkKind, row: &PgRow) -> Result<(i64, Claimed, Found)> {
    let took_over: Option<i64> = row.try_get(7)?;
    let class = u8::try_from(small(row, 2)?).unwrap_or(u8::MAX);
    let claimed = Claimed {
        key: WorkKey::new(kind, row.try_get::<String, _>(1)?),
        class,
        epoch: unsigned(row, 4)?,
        revision: unsigned(row, 3)?,
        attempts: small(row, 5)?,
        more: row.try_get(6)?,
        took_over: took_over.and_then(|epoch| u64::try_from(epoch).ok()),
    };
    let found = Found { class: usize::from(class), due_at: row.try_get(8)?, now: row.try_get(9)? };
    Ok((row.try_get(0)?, claimed, found))
}
