//! The bot in one process, with a Postgres server that waits for the disk.

use std::time::Duration;

use aldis_store::{Append, Meta, Release, WorkKey, WorkKind, WorkTouch};
use anyhow::{Context, Result};

use super::log::per_second;
use super::{Plan, ingest, log, memory, path, say, scale, spread};
use crate::floor::Queue;
use crate::place::{Place, postgres};
use crate::report::Row;

/// Rows of work that are due.
const DUE: usize = 1_000;
const CLAIMERS: usize = 64;
const LEASE: Duration = Duration::from_mins(1);

pub(crate) async fn rows(plan: &Plan) -> Result<Vec<Row>> {
    let server = postgres().await?;
    let place = Place::Postgres(&server);
    say("ingest")?;
    let mut rows = ingest::rows(plan, place).await?;
    say("path")?;
    rows.extend(path::rows(plan, place).await?);
    say("memory")?;
    rows.extend(memory::rows(plan, place).await?);
    say("log")?;
    rows.extend(log::rows(plan, place).await?);
    say("claims")?;
    rows.extend(claims(plan, place).await?);
    Ok(rows.into_iter().map(|row| row.of("Postgres")).collect())
}

/// What must not grow, on Postgres.
pub(crate) async fn scale(plan: &Plan) -> Result<Vec<Row>> {
    let server = postgres().await?;
    let rows = scale::rows(plan, Place::Postgres(&server)).await?;
    Ok(rows.into_iter().map(|row| row.of("Postgres")).collect())
}

/// One after the other and many at once, with their releases.
async fn claims(plan: &Plan, place: Place<'_>) -> Result<Vec<Row>> {
    let (home, floor_home) = (place.home()?, place.home()?);
    let store = home.store().await?;
    let work = (0..DUE).map(|number| WorkKey::new(WorkKind::Note, number.to_string()));
    let touches = work.map(|key| WorkTouch::now(key, 1)).collect();
    store.append(Append { touches, ..Append::new(Meta::from_source("bench")) }).await?;
    let floor = Queue::open(floor_home.postgres.as_deref().context("a database")?, DUE).await?;
    let all = store.clone();
    let claim = move || {
        let store = all.clone();
        async move {
            let claimed = store.claim(WorkKind::Note, "bench", LEASE, 1).await?.pop();
            let claimed = claimed.context("no work is due")?;
            Ok(store.release(&claimed, Release::Later(Duration::ZERO)).await?)
        }
    };
    let take = move || {
        let floor = floor.clone();
        async move { floor.take_and_give(LEASE).await }
    };
    let mut rows = Vec::new();
    for (name, tasks) in [("claims alone", 1), ("claims, 64 at once", CLAIMERS)] {
        let (mut claims, mut takes) = (Vec::new(), Vec::new());
        for _ in 0..plan.rounds {
            takes.push(per_second(tasks, plan.lasting / 3, take.clone()).await?);
            claims.push(per_second(tasks, plan.lasting / 3, claim.clone()).await?);
        }
        rows.push(Row::told(name, "1/s", spread(claims)?).beside(spread(takes)?));
    }
    store.close().await;
    Ok(rows)
}
