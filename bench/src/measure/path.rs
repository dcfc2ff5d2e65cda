//! From a delivery to its first and its final status, one at a time and many at once.

use anyhow::{Result, bail};
use jiff::Timestamp;
use tokio::task::JoinSet;

use super::{Plan, peers, spread};
use crate::bot::{Bot, Setup};
use crate::delivery::request;
use crate::floor::{Floor, LANES, Source, prefetch};
use crate::load::Connection;
use crate::place::{Home, Place};
use crate::report::{Judged, Row, Target};
use crate::world::{Pushed, Seen, World, millis};

/// More calls than any run makes: the budget is not what is measured.
pub(super) const BUDGET: u32 = 10_000_000;

/// What one delivery took, in milliseconds.
pub(super) struct Single {
    ack: f64,
    first: f64,
    pub(super) last: f64,
}

/// What many at once took.
pub(super) struct Burst {
    /// Milliseconds to the first status, sorted.
    firsts: Vec<f64>,
    /// Final statuses per second.
    finals: f64,
    /// Milliseconds of processor time per delivery.
    cpu: f64,
}

pub(crate) async fn rows(plan: &Plan, place: Place<'_>) -> Result<Vec<Row>> {
    let mut world = World::build().await?;
    let (bot_home, floor_home) = (place.home()?, place.home()?);
    let sides = Sides::start(&world, &bot_home, &floor_home).await?;
    let singles = sides.singles(&mut world, plan.singles).await?;
    let bursts = sides.bursts(&mut world, plan.burst, plan.rounds.min(3)).await?;
    sides.bot.stop().await?;
    let mut rows = rows_of_singles(&singles)?;
    rows.extend(rows_of_bursts(&bursts, plan.burst)?);
    Ok(rows)
}

/// Bot and floor, each with its own home and the same world.
pub(super) struct Sides<'a> {
    pub(super) bot: Bot,
    floor: Floor,
    floor_home: &'a Home,
    source: Source,
}

/// Of the bot, of floor A (with fetch) and of floor B (without).
pub(super) type Singles = [Vec<Single>; 3];

impl<'a> Sides<'a> {
    pub(super) async fn start(world: &World, bot: &Home, floor_home: &'a Home) -> Result<Self> {
        let source = world.source()?;
        let setup = Setup {
            gitlab: world.sim.url(),
            token: &world.token,
            home: bot,
            slots: LANES,
            budget: Some(BUDGET),
        };
        let bot = Bot::start(&setup).await?;
        let floor = Floor::start(floor_home, Some(&source)).await?;
        Ok(Self { bot, floor, floor_home, source })
    }

    /// `rounds` deliveries of each.
    pub(super) async fn singles(&self, world: &mut World, rounds: usize) -> Result<Singles> {
        let mut singles = Singles::default();
        // The first of each makes mirrors and caches and is not counted.
        for round in 0..=rounds {
            let pushed = world.push(3)?;
            let [for_bot, for_a, for_b] = [0, 1, 2].map(|side| &pushed[side..=side]);
            let by_bot = self.single(world, for_bot, true).await?;
            let by_a = self.single(world, for_a, false).await?;
            prefetch(self.floor_home.dir(), &self.source, &for_b[0].sha).await?;
            let by_b = self.single(world, for_b, false).await?;
            if round > 0 {
                for (all, one) in singles.iter_mut().zip([by_bot, by_a, by_b]) {
                    all.push(one);
                }
            }
        }
        Ok(singles)
    }

    async fn single(&self, world: &World, pushed: &[Pushed], by_bot: bool) -> Result<Single> {
        let to = if by_bot { self.bot.address } else { self.floor.address };
        let mut connection = Connection::open(to).await?;
        let sent = Timestamp::now();
        deliver(&mut connection, to, &pushed[0]).await?;
        let ack = millis(sent, Timestamp::now());
        let seen = seen(world, pushed, by_bot).await?;
        Ok(Single { ack, first: millis(sent, seen[0].first), last: millis(sent, seen[0].last) })
    }

    /// Of the bot and of floor A.
    pub(super) async fn bursts(
        &self,
        world: &mut World,
        size: usize,
        rounds: usize,
    ) -> Result<[Vec<Burst>; 2]> {
        let (mut by_bot, mut by_floor) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            by_floor.push(self.burst(world, size, false).await?);
            by_bot.push(self.burst(world, size, true).await?);
        }
        Ok([by_bot, by_floor])
    }

    async fn burst(&self, world: &mut World, size: usize, by_bot: bool) -> Result<Burst> {
        let pushed = world.push(size)?;
        let to = if by_bot { self.bot.address } else { self.floor.address };
        let cpu_millis = || if by_bot { self.bot.cpu_millis() } else { self.floor.cpu_millis() };
        let mut connections = Vec::with_capacity(size);
        for push in &pushed {
            connections.push((Connection::open(to).await?, push.clone()));
        }
        let cpu = cpu_millis()?;
        let mut tasks = JoinSet::new();
        let begun = Timestamp::now();
        for (mut connection, push) in connections {
            tasks.spawn(async move {
                let sent = Timestamp::now();
                deliver(&mut connection, to, &push).await?;
                anyhow::Ok((push.sha, sent))
            });
        }
        let mut sent = std::collections::HashMap::new();
        while let Some(ended) = tasks.join_next().await {
            sent.extend([ended??]);
        }
        let seen = seen(world, &pushed, by_bot).await?;
        #[expect(clippy::cast_precision_loss, reason = "a small count")]
        let count = size as f64;
        let cpu = (cpu_millis()? - cpu) / count;
        let mut firsts: Vec<f64> = pushed
            .iter()
            .zip(&seen)
            .map(|(push, seen)| millis(sent[&push.sha], seen.first))
            .collect();
        firsts.sort_by(f64::total_cmp);
        let end = seen.iter().map(|seen| seen.last).max().unwrap_or(begun);
        Ok(Burst { firsts, finals: count * 1000.0 / millis(begun, end), cpu })
    }
}

pub(super) async fn deliver(
    connection: &mut Connection,
    to: std::net::SocketAddr,
    push: &Pushed,
) -> Result<()> {
    let status = connection.exchange(&request(to, &push.key, &push.sha, &push.body)).await?;
    if status != 200 {
        bail!("a delivery was answered {status}");
    }
    Ok(())
}

async fn seen(world: &World, pushed: &[Pushed], by_bot: bool) -> Result<Vec<Seen>> {
    if by_bot { world.green_by_bot(pushed).await } else { world.green_by_floor(pushed).await }
}

fn rows_of_singles([bot, a, b]: &Singles) -> Result<Vec<Row>> {
    let of = |singles: &[Single], what: fn(&Single) -> f64| spread(singles.iter().map(what));
    let [buildbot, flask, _] = peers::FIRST;
    let first = |factor, peer| peers::times(factor, peer, peers::FIRST);
    let last = |factor, peer| peers::times(factor, peer, peers::FINAL);
    let at_most = |pair: [f64; 2]| pair.map(Target::AtMost);
    let least = |one: f64, other: f64| if one < other { one } else { other };
    let row = |name: &str, what: fn(&Single) -> f64, floor: &[Single]| {
        anyhow::Ok(Row::told(name, "ms", of(bot, what)?).beside(of(floor, what)?))
    };
    let [slow, quick, _] = peers::FINAL;
    Ok(vec![
        row("acknowledged, one at a time", |s| s.ack, a)?.aims(Judged::Ratio, at_most([2.0, 1.3])),
        row("first status, one at a time, vs floor A", |s| s.first, a)?.aims(
            Judged::Ratio,
            at_most([least(first(0.1, buildbot), first(0.5, flask)), first(0.04, buildbot)]),
        ),
        row("final status, one at a time, vs floor A (fetch)", |s| s.last, a)?
            .aims(Judged::Over, at_most([10.0, 4.0])),
        row("final status, one at a time, vs floor B (no fetch)", |s| s.last, b)?,
        row("… vs Buildbot and Flask, by floor A", |s| s.last, a)?.aims(
            Judged::Ratio,
            at_most([
                least(last(1.0 / 15.0, slow), last(0.8, quick)),
                least(last(1.0 / 30.0, slow), last(0.5, quick)),
            ]),
        ),
    ])
}

pub(super) fn rows_of_bursts([bot, floor]: &[Vec<Burst>; 2], size: usize) -> Result<Vec<Row>> {
    let of = |bursts: &[Burst], what: &dyn Fn(&Burst) -> f64| {
        spread(bursts.iter().map(what).collect::<Vec<_>>())
    };
    let [buildbot, flask, _] = peers::FINALS;
    let finals = |factor, peer| peers::times(factor, peer, peers::FINALS);
    let most = |one: f64, other: f64| if one > other { one } else { other };
    let cpu = |factor| peers::times(factor, peers::CPU[0], peers::CPU);
    let row = |what: &str, unit, value: &dyn Fn(&Burst) -> f64| {
        let name = format!("{what}, {size} at once");
        anyhow::Ok(Row::told(name, unit, of(bot, value)?).beside(of(floor, value)?))
    };
    // Of fewer than a hundred it is the slowest.
    let last = |burst: &Burst| burst.firsts[(burst.firsts.len() * 99).div_ceil(100) - 1];
    let middle = |burst: &Burst| burst.firsts[burst.firsts.len() / 2];
    Ok(vec![
        row("first status, p50", "ms", &middle)?,
        row("first status, p99", "ms", &last)?
            .aims(Judged::Value, [Target::AtMost(1000.0), Target::AtMost(250.0)]),
        row("final statuses", "1/s", &|burst| burst.finals)?.aims(
            Judged::Ratio,
            [
                Target::AtLeast(most(finals(40.0, buildbot), finals(1.6, flask))),
                Target::AtLeast(most(finals(75.0, buildbot), finals(3.0, flask))),
            ],
        ),
        row("processor time per delivery", "ms", &|burst| burst.cpu)?
            .aims(Judged::Ratio, [Target::AtMost(cpu(1.0 / 15.0)), Target::AtMost(cpu(0.04))]),
    ])
}
