//! Claims and leases.

use std::time::Duration;

use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row, query};

use super::read::{json_list, signed, small, unsigned};
use super::writer::{Now, Write};
use super::{Result, Sqlite};
use crate::sql;
use crate::work::{Backlog, Claimed, Fence, Release, WorkKey, WorkKind};

/// Makes all leases void: whoever held one died with the process that gave it.
pub(super) async fn void_leases(connection: &mut SqliteConnection, now: i64) -> Result<()> {
    query(sql::sqlite::VOID_LEASES).bind(now).execute(connection).await?;
    Ok(())
}

impl Sqlite {
    pub(crate) async fn claim(
        &self,
        kind: WorkKind,
        owner: &str,
        lease: Duration,
        max: usize,
    ) -> Result<Vec<Claimed>> {
        let claim = Claim { kind, key: None, owner: self.owner(owner), lease: millis(lease), max };
        self.writer()?.run(claim).await
    }

    pub(crate) async fn claim_key(
        &self,
        key: &WorkKey,
        owner: &str,
        lease: Duration,
    ) -> Result<Option<Claimed>> {
        let (kind, key) = (key.kind, Some(key.key.clone()));
        let claim = Claim { kind, key, owner: self.owner(owner), lease: millis(lease), max: 1 };
        Ok(self.writer()?.run(claim).await?.pop())
    }

    pub(crate) async fn extend(&self, fence: &Fence, lease: Duration) -> Result<bool> {
        self.writer()?.run(Extend { fence: fence.clone(), lease: millis(lease) }).await
    }

    pub(crate) async fn release(&self, claimed: &Claimed, how: Release) -> Result<()> {
        self.writer()?.run(End { claimed: claimed.clone(), how }).await
    }

    pub(crate) async fn next_due(&self, kind: WorkKind) -> Result<Option<Duration>> {
        let row = query(sql::NEXT_DUE).bind(kind.as_str()).fetch_one(&self.readers).await?;
        let due: Option<i64> = row.try_get(0)?;
        Ok(due.map(|due| self.until(due)))
    }

    pub(crate) async fn backlog(&self, kind: WorkKind) -> Result<Backlog> {
        let now = self.clock.lease_millis();
        let row = query(sql::BACKLOG).bind(now).bind(kind.as_str()).fetch_one(&self.readers);
        let row = row.await?;
        let oldest: Option<i64> = row.try_get(3)?;
        let waits = u64::try_from(now - oldest.unwrap_or(now)).unwrap_or(0);
        Ok(Backlog {
            due: unsigned(&row, 0)?,
            leased: unsigned(&row, 1)?,
            later: unsigned(&row, 2)?,
            oldest: Duration::from_millis(waits),
        })
    }

    fn owner(&self, owner: &str) -> String {
        format!("{}/{owner}", self.boot)
    }

    fn until(&self, due: i64) -> Duration {
        let left = due.saturating_sub(self.clock.lease_millis());
        Duration::from_millis(u64::try_from(left).unwrap_or(0))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// See `docs/adr/0001-claims-without-fsync.md` for why none of these waits for the disk.
struct Claim {
    kind: WorkKind,
    key: Option<String>,
    owner: String,
    lease: i64,
    max: usize,
}

impl Write for Claim {
    type Out = Vec<Claimed>;
    const DURABLE: bool = false;

    async fn run(&mut self, db: &mut SqliteConnection, now: Now) -> Result<Vec<Claimed>> {
        let due = match &self.key {
            Some(key) => {
                query(sql::sqlite::DUE_KEY).bind(self.kind.as_str()).bind(now.lease).bind(key)
            }
            None => query(sql::sqlite::DUE)
                .bind(self.kind.as_str())
                .bind(now.lease)
                .bind(signed(self.max as u64)),
        };
        let rows = due.fetch_all(&mut *db).await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let count = signed(rows.len() as u64);
        let last = query(sql::sqlite::TAKE_EPOCHS).bind(count).fetch_one(&mut *db).await?;
        let first = unsigned(&last, 0)? + 1 - rows.len() as u64;
        let mut leases = Vec::with_capacity(rows.len());
        let mut claimed = Vec::with_capacity(rows.len());
        for (epoch, row) in (first..).zip(&rows) {
            let rowid: i64 = row.try_get(0)?;
            leases.push((rowid, epoch));
            claimed.push(self.claimed(row, epoch)?);
        }
        query(sql::sqlite::LEASE)
            .bind(json_list(leases))
            .bind(&self.owner)
            .bind(now.lease.saturating_add(self.lease))
            .execute(db)
            .await?;
        Ok(claimed)
    }
}

impl Claim {
    fn claimed(&self, row: &SqliteRow, epoch: u64) -> Result<Claimed> {
        let ran_out: Option<i64> = row.try_get(6)?;
        let took_over = match ran_out {
            Some(_) => Some(unsigned(row, 4)?),
            None => None,
        };
        Ok(Claimed {
            key: WorkKey::new(self.kind, row.try_get::<String, _>(1)?),
            class: u8::try_from(small(row, 2)?).unwrap_or(u8::MAX),
            epoch,
            revision: unsigned(row, 3)?,
            attempts: small(row, 5)? + u32::from(took_over.is_some()),
            took_over,
        })
    }
}

struct Extend {
    fence: Fence,
    lease: i64,
}

impl Write for Extend {
    type Out = bool;
    const DURABLE: bool = false;

    async fn run(&mut self, db: &mut SqliteConnection, now: Now) -> Result<bool> {
        let done = query(sql::EXTEND)
            .bind(now.lease.saturating_add(self.lease))
            .bind(self.fence.key.kind.as_str())
            .bind(&self.fence.key.key)
            .bind(signed(self.fence.epoch))
            .execute(db)
            .await?;
        Ok(done.rows_affected() == 1)
    }
}

/// The end of a lease.
struct End {
    claimed: Claimed,
    how: Release,
}

impl Write for End {
    type Out = ();
    const DURABLE: bool = false;

    async fn run(&mut self, db: &mut SqliteConnection, now: Now) -> Result<()> {
        let Claimed { key, epoch, revision, .. } = &self.claimed;
        let (kind, epoch, revision) = (key.kind.as_str(), signed(*epoch), signed(*revision));
        let (failed, after) = match self.how {
            Release::Done => {
                let done = query(sql::RELEASE_DONE).bind(kind).bind(&key.key).bind(epoch);
                if done.bind(revision).execute(&mut *db).await?.rows_affected() == 0 {
                    let touched = query(sql::RELEASE_TOUCHED).bind(kind).bind(&key.key).bind(epoch);
                    touched.execute(db).await?;
                }
                return Ok(());
            }
            Release::Later(after) => (0, after),
            Release::Failed(after) => (1, after),
        };
        query(sql::RELEASE)
            .bind(failed)
            .bind(revision)
            .bind(now.lease.saturating_add(millis(after)))
            .bind(kind)
            .bind(&key.key)
            .bind(epoch)
            .execute(db)
            .await?;
        Ok(())
    }
}
