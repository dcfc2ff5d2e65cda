//! Deliveries at a steady rate, whatever becomes of those before: first when the bot has nothing
//! else to do, then while it folds a long log anew and twenty runs go on.
//!
//! The floor is a write of 4 kB that waits for the disk, at the same rate, on the same occasion.

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use aldis_gitlab_sim::{Options, Scope, Simulator};
use anyhow::{Result, ensure};

use super::path::{BUDGET, deliver};
use super::{Plan, say, spread};
use crate::bot::{Bot, Setup, cpu_millis};
use crate::delivery::Template;
use crate::load::{Connection, Load, moments, open_loop, sleep_until};
use crate::log::fill;
use crate::place::{Home, Place, postgres};
use crate::report::Row;
use crate::world::World;

const PER_SECOND: u32 = 200;
const RUNS: usize = 20;
/// A project that GitLab does not know: deliveries are stored and planned, and come to nothing.
const PROJECT: u64 = 4_711;
const PAGE: [u8; 4096] = [7; 4096];

/// One load, and what it cost.
struct Measured {
    load: Load,
    /// Milliseconds of processor time, of each.
    cpu: f64,
}

pub(crate) async fn rows(plan: &Plan) -> Result<Vec<Row>> {
    let mut rows = on(plan, Place::Sqlite).await?;
    let server = postgres().await?;
    let on_postgres = on(plan, Place::Postgres(&server)).await?;
    rows.extend(on_postgres.into_iter().map(|row| row.of("Postgres")));
    Ok(rows)
}

async fn on(plan: &Plan, place: Place<'_>) -> Result<Vec<Row>> {
    say(&format!("{PER_SECOND} a second"))?;
    let [bot, floor] = calm(plan, place).await?;
    let mut rows = told("alone", &bot, &floor)?;
    let home = place.home()?;
    say(&format!("filling a log with {} events", plan.unfolded))?;
    let store = home.store().await?;
    let filled = fill(&store, plan.unfolded).await?;
    store.close().await;
    say(&format!("{PER_SECOND} a second, beside a rebuild and {RUNS} runs"))?;
    let begun = Instant::now();
    let [bot, floor] = busy(plan, &home).await?;
    let what = format!("beside a rebuild and {RUNS} runs");
    rows.extend(told(&what, &bot, &floor)?);
    let folded = folded(&home).await?;
    ensure!(folded < filled, "the rebuild ended before the load did; the log is too short for it");
    let folded = folded / begun.elapsed().as_secs_f64();
    rows.push(Row::told(format!("events folded {what}"), "1/s", spread([folded])?));
    Ok(rows)
}

/// A bot that does nothing else, and its floor.
async fn calm(plan: &Plan, place: Place<'_>) -> Result<[Measured; 2]> {
    let sim = Simulator::start(Options::default()).await?;
    let token = sim.create_token(sim.create_bot("bot"), &[Scope::Api], None)?;
    let home = place.home()?;
    let setup =
        Setup { gitlab: sim.url(), token: &token, home: &home, slots: 2, budget: Some(BUDGET) };
    let bot = Bot::start(&setup).await?;
    let floor = fsyncs(plan.steady / 4).await?;
    let measured = [deliveries(&bot, plan.steady / 4).await?, floor];
    bot.stop().await?;
    Ok(measured)
}

/// A bot that finds a log without read models, and gets as many pushes as it has slots.
async fn busy(plan: &Plan, home: &Home) -> Result<[Measured; 2]> {
    // The step goes on until the bot is asked to stop.
    let mut world = World::with_step("while echo on; do sleep 1; done").await?;
    let (url, token) = (world.sim.url().to_owned(), world.token.clone());
    let setup = Setup { gitlab: &url, token: &token, home, slots: RUNS, budget: Some(BUDGET) };
    let bot = Bot::start(&setup).await?;
    let pushed = world.push(RUNS)?;
    let mut connection = Connection::open(bot.address).await?;
    for push in &pushed {
        deliver(&mut connection, bot.address, push).await?;
    }
    world.running(&pushed).await?;
    let floor = fsyncs(plan.steady / 4).await?;
    let measured = [deliveries(&bot, plan.steady).await?, floor];
    bot.stop().await?;
    Ok(measured)
}

async fn deliveries(bot: &Bot, lasting: Duration) -> Result<Measured> {
    let template = Template::new(bot.address, PROJECT);
    let cpu = bot.cpu_millis()?;
    let load = open_loop(bot.address, &template, PER_SECOND, lasting).await?;
    Ok(Measured { cpu: (bot.cpu_millis()? - cpu) / load.answers(), load })
}

/// On a thread of its own, whose processor time is counted.
async fn fsyncs(lasting: Duration) -> Result<Measured> {
    let writing = move || {
        let (mut file, mut latencies) = (tempfile::tempfile()?, Vec::new());
        let (begun, cpu) = (Instant::now(), cpu_millis("thread-self")?);
        for due in moments(PER_SECOND, lasting) {
            sleep_until(due);
            synchronize(&mut file)?;
            latencies.push(due.elapsed().as_secs_f64() * 1000.0);
        }
        let cpu = cpu_millis("thread-self")? - cpu;
        let load = Load::new(latencies, begun.elapsed())?;
        Ok(Measured { cpu: cpu / load.answers(), load })
    };
    tokio::task::spawn_blocking(writing).await?
}

fn synchronize(file: &mut File) -> Result<()> {
    file.write_all(&PAGE)?;
    Ok(file.sync_data()?)
}

/// How far the projections have come that have come least far.
async fn folded(home: &Home) -> Result<f64> {
    let store = home.look().await?;
    let mut least = f64::INFINITY;
    for name in aldis_web::PROJECTIONS {
        let position = store.checkpoint(name).await?.map_or(0, |checkpoint| checkpoint.position);
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 events")]
        let position = position as f64;
        least = least.min(position);
    }
    store.close().await;
    Ok(least)
}

fn told(what: &str, bot: &Measured, floor: &Measured) -> Result<Vec<Row>> {
    let row = |name: &str, of: &dyn Fn(&Measured) -> f64| {
        let row =
            Row::told(format!("{name}, {PER_SECOND} a second, {what}"), "ms", spread([of(bot)])?);
        anyhow::Ok(row.beside(spread([of(floor)])?))
    };
    Ok(vec![
        row("acknowledged, p50", &|measured| measured.load.percentile(0.5))?,
        row("acknowledged, p99", &|measured| measured.load.percentile(0.99))?,
        row("processor time of each", &|measured| measured.cpu)?,
    ])
}
