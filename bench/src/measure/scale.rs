//! What must not grow: the first status in a large burst, the price of a run in a mirror that has
//! served many, and that of an append and a status behind a long log.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use aldis_store::{Append, Settings, Store};
use anyhow::Result;
use jiff::Timestamp;
use tempfile::TempDir;

use super::log::{per_second, read_all};
use super::path::{BUDGET, Burst, Sides, Singles, deliver, rows_of_bursts};
use super::{Plan, spread};
use crate::bot::{Bot, Setup};
use crate::floor::LANES;
use crate::load::Connection;
use crate::log::{delivery, fill};
use crate::report::{Judged, Row, Spread, Target};
use crate::world::{World, millis};

const BURSTS: [usize; 2] = [200, 500];
/// Events in the log that a long one is compared with.
const SHORT_LOG: usize = 100_000;
/// What appends to a log that is there are numbered from.
const NEW: u64 = 1 << 40;

pub(crate) async fn rows(plan: &Plan) -> Result<Vec<Row>> {
    let mut rows = bursts(plan).await?;
    rows.extend(logs(plan).await?);
    Ok(rows)
}

async fn bursts(plan: &Plan) -> Result<Vec<Row>> {
    let mut world = World::build().await?;
    let dirs = [TempDir::new()?, TempDir::new()?, TempDir::new()?, TempDir::new()?];
    let [bot_dir, floor_dir, fresh_bot_dir, fresh_floor_dir] = dirs.each_ref().map(TempDir::path);
    let sides = Sides::start(&world, bot_dir, floor_dir).await?;
    // Makes mirrors and caches.
    sides.singles(&mut world, 0).await?;
    let mut rows = Vec::new();
    for size in BURSTS {
        say(&format!("{size} at once"))?;
        let measured: [Vec<Burst>; 2] = sides.bursts(&mut world, size, 1).await?;
        rows.extend(rows_of_bursts(&measured, size)?);
    }
    let used = sides.singles(&mut world, plan.singles).await?;
    sides.bot.stop().await?;
    // The same repository, which has grown as well.
    let sides = Sides::start(&world, fresh_bot_dir, fresh_floor_dir).await?;
    let fresh = sides.singles(&mut world, plan.singles).await?;
    sides.bot.stop().await?;
    let last = |singles: &Singles, side: usize| spread(singles[side].iter().map(|one| one.last));
    let name = "final status in a mirror after 700 runs, vs in a fresh one";
    rows.push(grown(name, last(&used, 0)?, last(&fresh, 0)?, [1.2, 1.05]));
    let row = Row::told("… floor A", "ms", last(&used, 1)?);
    rows.push(row.beside(last(&fresh, 1)?));
    Ok(rows)
}

fn grown(name: &str, now: Spread, then: Spread, most: [f64; 2]) -> Row {
    Row::told(name, "ms", now).beside(then).aims(Judged::Ratio, most.map(Target::AtMost))
}

/// What one append and one status take with a log of some length.
struct Length {
    appends: Vec<f64>,
    firsts: Vec<f64>,
    replayed: f64,
}

async fn logs(plan: &Plan) -> Result<Vec<Row>> {
    let (short_dir, long_dir) = (TempDir::new()?, TempDir::new()?);
    let short = length(plan, short_dir.path(), SHORT_LOG).await?;
    let long = length(plan, long_dir.path(), plan.long_log).await?;
    let of = |what: &str| format!("{what}, log of {} events vs {SHORT_LOG}", plan.long_log);
    let targets = [Target::AtLeast(500_000.0), Target::AtLeast(1_500_000.0)];
    Ok(vec![
        grown(&of("append alone"), spread(long.appends)?, spread(short.appends)?, [1.3, 1.1]),
        grown(&of("first status"), spread(long.firsts)?, spread(short.firsts)?, [1.3, 1.1]),
        Row::told(of("events replayed"), "1/s", spread([long.replayed])?)
            .beside(spread([short.replayed])?)
            .aims(Judged::Value, targets),
    ])
}

async fn length(plan: &Plan, dir: &Path, events: usize) -> Result<Length> {
    say(&format!("filling a log with {events} events"))?;
    let store = Store::open(&Settings::in_dir(dir)).await?;
    let events = fill(&store, events).await?;
    say("replaying it")?;
    let begun = Instant::now();
    let mut streams: HashMap<String, u64> = HashMap::new();
    read_all(&store, |event| *streams.entry(event.stream).or_default() = event.version).await?;
    let replayed = events / begun.elapsed().as_secs_f64();
    drop(streams);
    for name in aldis_web::PROJECTIONS {
        say(&format!("projection {name}"))?;
        aldis_web::rebuild(&store, name, |_| ()).await?;
    }
    let number = Arc::new(AtomicU64::new(NEW));
    let mut appends = Vec::new();
    for _ in 0..plan.rounds {
        let (store, number) = (store.clone(), Arc::clone(&number));
        let once = move || {
            let (store, number) = (store.clone(), Arc::clone(&number));
            async move {
                let number = number.fetch_add(1, Ordering::Relaxed);
                let append = delivery(number);
                store.append(Append { touches: Vec::new(), ..append }).await?;
                Ok(())
            }
        };
        appends.push(1000.0 / per_second(1, plan.lasting / 3, once).await?);
    }
    store.close().await;
    say("one delivery at a time")?;
    Ok(Length { appends, firsts: firsts(plan, dir).await?, replayed })
}

/// Milliseconds to the first status of a bot that has the log in `dir`.
async fn firsts(plan: &Plan, dir: &Path) -> Result<Vec<f64>> {
    let mut world = World::build().await?;
    let (url, token) = (world.sim.url().to_owned(), world.token.clone());
    let budget = Some(BUDGET);
    let bot = Bot::start(&Setup { gitlab: &url, token: &token, dir, slots: LANES, budget }).await?;
    let mut firsts = Vec::new();
    for round in 0..=plan.singles {
        let pushed = world.push(1)?;
        let mut connection = Connection::open(bot.address).await?;
        let sent = Timestamp::now();
        deliver(&mut connection, bot.address, &pushed[0]).await?;
        let seen = world.green_by_bot(&pushed).await?;
        if round > 0 {
            firsts.push(millis(sent, seen[0].first));
        }
    }
    bot.stop().await?;
    Ok(firsts)
}

fn say(what: &str) -> Result<()> {
    Ok(writeln!(std::io::stderr(), "  {what}")?)
}
