//! Claims and leases.

use std::time::Duration;

use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row, query};

use super::beside::{backlog_of, small, unsigned};
use super::read::json_list;
use super::writer::{Now, Session, Write};
use super::{Result, Sqlite};
use crate::number::{millis, signed};
use crate::sql;
use crate::value::Value;
use crate::work::{Backlog, Claimed, Claims, Due, Fence, Release, WorkKey, WorkKind};

/// Makes all leases void: whoever held one died with the process that gave it.
pub(super) async fn void_leases(connection: &mut SqliteConnection, now: i64) -> Result<()> {
    query(sql::sqlite::VOID_LEASES).bind(now).execute(connection).await?;
    Ok(())
}

impl Sqlite {
    pub(crate) async fn claims(
        &self,
        due: Due,
        owner: &str,
        lease: Duration,
        max: usize,
    ) -> Result<Claims> {
        let (owner, lease) = (owner.to_owned(), millis(lease));
        let claim = Claim { due, key: None, owner, lease, max };
        let items = self.writer()?.run(claim).await?;
        let next_due = if items.is_empty() { self.next_due(due).await? } else { None };
        Ok(Claims { items, next_due })
    }

    pub(crate) async fn claim_key(
        &self,
        key: &WorkKey,
        owner: &str,
        lease: Duration,
    ) -> Result<Option<Claimed>> {
        let (due, key) = (key.kind.into(), Some(key.key.clone()));
        let claim = Claim { due, key, owner: owner.to_owned(), lease: millis(lease), max: 1 };
        Ok(self.writer()?.run(claim).await?.pop())
    }

    pub(crate) async fn extend(&self, fence: &Fence, lease: Duration) -> Result<bool> {
        self.writer()?.run(Extend { fence: fence.clone(), lease: millis(lease) }).await
    }

    pub(crate) async fn release(&self, claimed: &Claimed, how: Release) -> Result<()> {
        if self.writer()?.run(End { claimed: claimed.clone(), how }).await? {
            self.bells.send_modify(|bells| bells.ring_all(claimed.key.kind));
        }
        Ok(())
    }

    pub(crate) async fn next_due(&self, due: Due) -> Result<Option<Duration>> {
        let asked = query(sql::NEXT_DUE).bind(due.kind.as_str()).bind(due.upto);
        let row = asked.fetch_one(&self.readers).await?;
        let due: Option<i64> = row.try_get(0)?;
        Ok(due.map(|due| self.until(due)))
    }

    pub(crate) async fn crowds(
        &self,
        kind: WorkKind,
        class: u8,
        within: Duration,
        many: usize,
    ) -> Result<bool> {
        let last = query(sql::CROWDS)
            .bind(kind.as_str())
            .bind(class)
            .bind(self.clock.lease_millis())
            .bind(millis(within))
            .bind(signed(many.saturating_sub(1) as u64))
            .fetch_optional(&self.readers)
            .await?;
        Ok(last.is_some())
    }

    pub(crate) async fn backlog(&self, kind: WorkKind) -> Result<Backlog> {
        let now = self.clock.lease_millis();
        let row = query(sql::BACKLOG).bind(now).bind(kind.as_str()).fetch_one(&self.readers);
        backlog_of(&row.await?, now)
    }

    fn until(&self, due: i64) -> Duration {
        let left = due.saturating_sub(self.clock.lease_millis());
        Duration::from_millis(u64::try_from(left).unwrap_or(0))
    }
}

/// See `docs/adr/0001-claims-without-fsync.md` for why none of these waits for the disk.
struct Claim {
    due: Due,
    key: Option<String>,
    owner: String,
    lease: i64,
    max: usize,
}

impl Write for Claim {
    type Out = Vec<Claimed>;
    const DURABLE: bool = false;

    async fn run(&mut self, db: &mut Session<'_>, now: Now) -> Result<Vec<Claimed>> {
        use sql::sqlite::{DUE, DUE_KEY, TAKE_EPOCH_FOR_KEY, TAKE_EPOCHS};
        let (take, text, which): (_, _, Value) = match &self.key {
            Some(key) => (TAKE_EPOCH_FOR_KEY, DUE_KEY, key.as_str().into()),
            None => (TAKE_EPOCHS, DUE, signed(self.max as u64 + 1).into()),
        };
        let kind = self.due.kind.as_str().into();
        let most = signed(self.max as u64).into();
        let asked = [kind, now.lease.into(), which, i64::from(self.due.upto).into(), most];
        db.add(take, &asked);
        let mut rows = db.rows(text, &asked).await?;
        let Some(row) = rows.first() else { return Ok(Vec::new()) };
        let first = unsigned(row, 7)? + 1 - self.max as u64;
        let more = rows.len() > self.max;
        rows.truncate(self.max);
        let mut leases = Vec::with_capacity(rows.len());
        let mut claimed = Vec::with_capacity(rows.len());
        for (epoch, row) in (first..).zip(&rows) {
            let rowid: i64 = row.try_get(0)?;
            leases.push((rowid, epoch));
            claimed.push(self.claimed(row, epoch, more)?);
        }
        let until = now.lease.saturating_add(self.lease);
        let values = [json_list(leases).into(), self.owner.as_str().into(), until.into()];
        db.add(sql::sqlite::LEASE, &values);
        Ok(claimed)
    }
}

impl Claim {
    fn claimed(&self, row: &SqliteRow, epoch: u64, more: bool) -> Result<Claimed> {
        let ran_out: Option<i64> = row.try_get(6)?;
        let took_over = match ran_out {
            Some(_) => Some(unsigned(row, 4)?),
            None => None,
        };
        Ok(Claimed {
            key: WorkKey::new(self.due.kind, row.try_get::<String, _>(1)?),
            class: u8::try_from(small(row, 2)?).unwrap_or(u8::MAX),
            epoch,
            revision: unsigned(row, 3)?,
            attempts: small(row, 5)? + u32::from(took_over.is_some()),
            more,
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

    async fn run(&mut self, db: &mut Session<'_>, now: Now) -> Result<bool> {
        let Fence { key, epoch } = &self.fence;
        let until = now.lease.saturating_add(self.lease).into();
        let (kind, name) = (key.kind.as_str().into(), key.key.as_str().into());
        Ok(db.run(sql::EXTEND, &[until, kind, name, signed(*epoch).into()]).await? == 1)
    }
}

/// The end of a lease.
struct End {
    claimed: Claimed,
    how: Release,
}

impl Write for End {
    /// Whether the item was touched meanwhile. Who was told of that found it leased.
    type Out = bool;
    const DURABLE: bool = false;

    async fn run(&mut self, db: &mut Session<'_>, now: Now) -> Result<bool> {
        let Claimed { key, epoch, revision, .. } = &self.claimed;
        let (kind, name) = (Value::from(key.kind.as_str()), Value::from(key.key.as_str()));
        let (epoch, revision) = (Value::from(signed(*epoch)), Value::from(signed(*revision)));
        // The second of two finds the row only if the first did not.
        let (failed, after) = match self.how {
            Release::Done => {
                let row = [kind, name, epoch, revision];
                db.add(sql::sqlite::RELEASE_DONE, &row);
                return Ok(db.run(sql::sqlite::RELEASE_TOUCHED, &row).await? == 1);
            }
            Release::Later(after) => (0, after),
            Release::Failed(after) => (1, after),
        };
        let due = now.lease.saturating_add(millis(after)).into();
        let row = [kind, name, epoch, revision, Value::Number(failed), due];
        db.add(sql::sqlite::RELEASE_LATER, &row);
        Ok(db.run(sql::sqlite::RELEASE_LATER_TOUCHED, &row).await? == 1)
    }
}
