//! The store alone, in this process: appends, reading back, folding, projections.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aldis_store::{Ahead, Store};
use anyhow::Result;
use futures_util::TryStreamExt;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tokio::task::JoinSet;

use super::{Plan, spread};
use crate::floor::Rows;
use crate::log::{delivery, fill};
use crate::place::{Home, Place};
use crate::report::{Judged, Row, Spread, Target};

const WRITERS: usize = 64;
const STRIDE: usize = 5_000;
/// Events per second that each database alone came to where the targets of a replay were set.
const SQLITE_THEN: f64 = 2_650_000.0;
const POSTGRES_THEN: f64 = 1_300_000.0;

pub(crate) async fn rows(plan: &Plan, place: Place<'_>) -> Result<Vec<Row>> {
    let mut rows = appends(plan, place).await?;
    rows.extend(reads(plan, place).await?);
    Ok(rows)
}

async fn appends(plan: &Plan, place: Place<'_>) -> Result<Vec<Row>> {
    let (home, floor_home) = (place.home()?, place.home()?);
    let store = home.store().await?;
    let floor = Rows::open(floor_home.dir(), floor_home.postgres.as_deref()).await?;
    let number = Arc::new(AtomicU64::new(0));
    let all = store.clone();
    let append = move || {
        let (store, number) = (all.clone(), Arc::clone(&number));
        async move {
            store.append(delivery(number.fetch_add(1, Ordering::Relaxed))).await?;
            Ok(())
        }
    };
    let add = move || {
        let floor = floor.clone();
        async move { floor.add(vec![7; 1024]).await }
    };
    let [mut alone, mut floor_alone, mut grouped, mut floor_grouped] = [const { Vec::new() }; 4];
    for _ in 0..plan.rounds {
        floor_alone.push(per_second(1, plan.lasting / 3, add.clone()).await?);
        alone.push(per_second(1, plan.lasting / 3, append.clone()).await?);
        floor_grouped.push(per_second(WRITERS, plan.lasting / 3, add.clone()).await?);
        grouped.push(per_second(WRITERS, plan.lasting / 3, append.clone()).await?);
    }
    store.close().await;
    Ok(vec![
        Row::told("store: appends alone", "1/s", spread(alone)?).beside(spread(floor_alone)?),
        Row::told("store: appends, 64 at once", "1/s", spread(grouped)?)
            .beside(spread(floor_grouped)?),
    ])
}

pub(super) async fn per_second<F: Future<Output = Result<()>> + Send + 'static>(
    tasks: usize,
    lasting: Duration,
    once: impl Fn() -> F + Clone + Send + 'static,
) -> Result<f64> {
    let begun = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..tasks {
        let once = once.clone();
        running.spawn(async move {
            let mut done = 0_u32;
            while begun.elapsed() < lasting {
                once().await?;
                done += 1;
            }
            anyhow::Ok(done)
        });
    }
    let mut done = 0;
    while let Some(ended) = running.join_next().await {
        done += ended??;
    }
    Ok(f64::from(done) / begun.elapsed().as_secs_f64())
}

async fn reads(plan: &Plan, place: Place<'_>) -> Result<Vec<Row>> {
    let home = place.home()?;
    let store = home.store().await?;
    let events = fill(&store, plan.events).await?;
    let [mut read, mut replayed, mut scanned, mut verified] = [const { Vec::new() }; 4];
    for _ in 0..plan.rounds.min(3) {
        let begun = Instant::now();
        read_all(&store, |_| ()).await?;
        read.push(events / begun.elapsed().as_secs_f64());
        let both = replayed_and_scanned(&store, &home, events).await?;
        replayed.push(both[0]);
        scanned.push(both[1]);
        let begun = Instant::now();
        store.verify(|_| ()).await?;
        verified.push(events / begun.elapsed().as_secs_f64());
    }
    let name = "log: events replayed into a map of streams, vs the database alone";
    let mut rows = vec![
        Row::told("log: events read", "1/s", spread(read)?),
        replay_row(name.to_owned(), place, spread(replayed)?, spread(scanned)?),
        Row::told("log: events verified", "1/s", spread(verified)?),
    ];
    for name in aldis_web::PROJECTIONS {
        let mut rebuilt = Vec::new();
        for _ in 0..plan.rounds.min(3) {
            let begun = Instant::now();
            aldis_web::rebuild(&store, name, |_| ()).await?;
            rebuilt.push(events / begun.elapsed().as_secs_f64());
        }
        rows.push(Row::told(format!("projection {name} rebuilt"), "1/s", spread(rebuilt)?));
    }
    store.close().await;
    Ok(rows)
}

/// Targets are what was set for a machine on which the database alone came to so many a second.
pub(super) fn replay_row(name: String, place: Place<'_>, replayed: Spread, scanned: Spread) -> Row {
    let then = if matches!(place, Place::Sqlite) { SQLITE_THEN } else { POSTGRES_THEN };
    let targets = [500_000.0, 1_500_000.0].map(|rate| Target::AtLeast(rate / then));
    Row::told(name, "1/s", replayed).beside(scanned).aims(Judged::Ratio, targets)
}

/// Events per second: of the store, whose `events` are folded into a map of streams, and of the
/// database alone.
pub(super) async fn replayed_and_scanned(
    store: &Store,
    home: &Home,
    events: f64,
) -> Result<[f64; 2]> {
    let begun = Instant::now();
    let mut streams: HashMap<String, u64> = HashMap::new();
    read_all(store, |event| *streams.entry(event.stream).or_default() = event.version).await?;
    let replayed = events / begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    match &home.postgres {
        Some(url) => copy_out(url).await?,
        None => scan(home).await?,
    }
    Ok([replayed, events / begun.elapsed().as_secs_f64()])
}

/// SQLite reads the rows and hands none out.
async fn scan(home: &Home) -> Result<()> {
    let file = home.dir().join("aldis.db");
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    let mut database = SqliteConnection::connect_with(&options).await?;
    let columns = "SELECT sum(version + octet_length(stream || type || body || meta)) FROM events";
    sqlx::query(columns).fetch_one(&mut database).await?;
    Ok(database.close().await?)
}

/// Postgres hands the rows out in its quickest way, and nobody looks at them.
async fn copy_out(url: &str) -> Result<()> {
    let mut database = PgConnection::connect(url).await?;
    let rows = database.copy_out_raw("COPY events TO STDOUT (FORMAT binary)").await?;
    rows.try_for_each(|_| async { Ok(()) }).await?;
    Ok(database.close().await?)
}

async fn read_all(store: &Store, mut each: impl FnMut(aldis_store::Envelope)) -> Result<()> {
    let mut ahead = Ahead::new(store, 0, STRIDE);
    loop {
        let events = ahead.next().await?;
        if events.is_empty() {
            return Ok(());
        }
        events.into_iter().for_each(&mut each);
    }
}
