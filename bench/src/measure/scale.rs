//! What must not grow: the first status in a large burst, the price of a run in a mirror that has
//! served many, and that of an append and a status behind a long log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use aldis_store::{Append, Store};
use anyhow::Result;
use jiff::Timestamp;

use super::log::{per_second, replay_row, replayed_and_scanned};
use super::path::{BUDGET, Burst, Sides, Singles, deliver, rows_of_bursts};
use super::{Plan, say, spread};
use crate::bot::{Bot, Setup};
use crate::floor::LANES;
use crate::load::Connection;
use crate::log::{delivery, fill};
use crate::place::{Home, Place};
use crate::report::{Judged, Row, Spread, Target};
use crate::world::{World, millis};

const BURSTS: [usize; 2] = [200, 500];
/// Events in the log that a long one is compared with.
const SHORT_LOG: usize = 100_000;
/// What appends to a log that is there are numbered from.
const NEW: u64 = 1 << 40;

pub(crate) async fn rows(plan: &Plan, place: Place<'_>) -> Result<Vec<Row>> {
    let mut rows = bursts(plan, place).await?;
    rows.extend(logs(plan, place).await?);
    Ok(rows)
}

async fn bursts(plan: &Plan, place: Place<'_>) -> Result<Vec<Row>> {
    let mut world = World::build().await?;
    let (bot_home, floor_home) = (place.home()?, place.home()?);
    let sides = Sides::start(&world, &bot_home, &floor_home).await?;
    // Makes mirrors and caches.
    sides.singles(&mut world, 0).await?;
    let mut rows = large(&sides, &mut world).await?;
    let used = sides.singles(&mut world, plan.singles).await?;
    sides.bot.stop().await?;
    // The same repository, which has grown as well.
    let (bot_home, floor_home) = (place.home()?, place.home()?);
    let sides = Sides::start(&world, &bot_home, &floor_home).await?;
    let fresh = sides.singles(&mut world, plan.singles).await?;
    sides.bot.stop().await?;
    let last = |singles: &Singles, side: usize| spread(singles[side].iter().map(|one| one.last));
    let name = "final status in a mirror after 700 runs, vs in a fresh one";
    rows.push(grown(name, last(&used, 0)?, last(&fresh, 0)?, [1.2, 1.05]));
    let row = Row::told("… floor A", "ms", last(&used, 1)?);
    rows.push(row.beside(last(&fresh, 1)?));
    Ok(rows)
}

pub(super) async fn large(sides: &Sides<'_>, world: &mut World) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for size in BURSTS {
        say(&format!("{size} at once"))?;
        let measured: [Vec<Burst>; 2] = sides.bursts(world, size, 1).await?;
        rows.extend(rows_of_bursts(&measured, size)?);
    }
    Ok(rows)
}

fn grown(name: &str, now: Spread, then: Spread, most: [f64; 2]) -> Row {
    Row::told(name, "ms", now).beside(then).aims(Judged::Ratio, most.map(Target::AtMost))
}

/// A log of some length, and how fast it was read: by the store, and by its database alone.
struct Filled {
    home: Home,
    store: Store,
    replayed: f64,
    scanned: f64,
}

/// What appends and first statuses take with either of two logs, in milliseconds.
type Either = [Vec<f64>; 2];

async fn logs(plan: &Plan, place: Place<'_>) -> Result<Vec<Row>> {
    let logs = [filled(place, SHORT_LOG).await?, filled(place, plan.long_log).await?];
    let appends = appends(plan, logs.each_ref().map(|log| &log.store)).await?;
    for log in &logs {
        log.store.close().await;
    }
    say("one delivery at a time")?;
    let (starts, firsts) = firsts(plan, logs.each_ref().map(|log| &log.home)).await?;
    let of = |what: &str| format!("{what}, log of {} events vs {SHORT_LOG}", plan.long_log);
    let row = |what: &str, [short, long]: Either| {
        anyhow::Ok(grown(&of(what), spread(long)?, spread(short)?, [1.3, 1.1]))
    };
    let [short, long] = logs;
    let name = format!("log of {} events: replayed, vs the database alone", plan.long_log);
    Ok(vec![
        row("append alone", appends)?,
        row("first status", firsts)?,
        start_row(plan, starts)?,
        replay_row(name, place, spread([long.replayed])?, spread([long.scanned])?),
        Row::told(of("events replayed"), "1/s", spread([long.replayed])?)
            .beside(spread([short.replayed])?),
    ])
}

async fn filled(place: Place<'_>, events: usize) -> Result<Filled> {
    let home = place.home()?;
    say(&format!("filling a log with {events} events"))?;
    let store = home.store().await?;
    let events = fill(&store, events).await?;
    say("replaying it")?;
    let [replayed, scanned] = replayed_and_scanned(&store, &home, events).await?;
    for name in aldis_web::PROJECTIONS {
        say(&format!("projection {name}"))?;
        aldis_web::rebuild(&store, name, |_| ()).await?;
    }
    Ok(Filled { home, store, replayed, scanned })
}

async fn appends(plan: &Plan, stores: [&Store; 2]) -> Result<Either> {
    let number = Arc::new(AtomicU64::new(NEW));
    let mut taken = Either::default();
    for _ in 0..plan.rounds {
        for (store, taken) in stores.into_iter().zip(&mut taken) {
            let (store, number) = (store.clone(), Arc::clone(&number));
            let once = move || {
                let append = delivery(number.fetch_add(1, Ordering::Relaxed));
                let store = store.clone();
                async move {
                    store.append(Append { touches: Vec::new(), ..append }).await?;
                    Ok(())
                }
            };
            taken.push(1000.0 / per_second(1, plan.lasting / 3, once).await?);
        }
    }
    Ok(taken)
}

/// How long a start takes. The read models are on disk, so nothing is replayed; the less ambitious
/// target is what a replay of the whole log might take.
fn start_row(plan: &Plan, [short, long]: [f64; 2]) -> Result<Row> {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 events")]
    let replayed = plan.long_log as f64 / 500.0;
    let name = format!("start, log of {} events vs {SHORT_LOG}", plan.long_log);
    let row = Row::told(name, "ms", spread([long])?).beside(spread([short])?);
    Ok(row.aims(Judged::Value, [Target::AtMost(replayed), Target::AtMost(1000.0)]))
}

/// A bot for each log; they take turns. Milliseconds to their start, and to first statuses.
async fn firsts(plan: &Plan, homes: [&Home; 2]) -> Result<([f64; 2], Either)> {
    let mut sides = Vec::new();
    let mut starts = [0.0; 2];
    for (home, start) in homes.into_iter().zip(&mut starts) {
        let world = World::build().await?;
        let (url, token) = (world.sim.url().to_owned(), world.token.clone());
        let setup = Setup { gitlab: &url, token: &token, home, slots: LANES, budget: Some(BUDGET) };
        let begun = Instant::now();
        let bot = Bot::start(&setup).await?;
        *start = begun.elapsed().as_secs_f64() * 1000.0;
        sides.push((bot, world));
    }
    let mut firsts = Either::default();
    for round in 0..=plan.singles {
        for ((bot, world), firsts) in sides.iter_mut().zip(&mut firsts) {
            let pushed = world.push(1)?;
            let mut connection = Connection::open(bot.address).await?;
            let sent = Timestamp::now();
            deliver(&mut connection, bot.address, &pushed[0]).await?;
            let seen = world.green_by_bot(&pushed).await?;
            if round > 0 {
                firsts.push(millis(sent, seen[0].first));
            }
        }
    }
    for (bot, _) in sides {
        bot.stop().await?;
    }
    Ok((starts, firsts))
}
