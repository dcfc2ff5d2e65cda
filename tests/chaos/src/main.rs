//! `cargo xtask chaos`: the whole bot in twelve processes, while processes, servers and the ways
//! between them break, and developers go on with their work. At the end nothing may be lost,
//! doubled or left undone.

mod burst;
mod crew;
mod dice;
mod disks;
mod faults;
mod oracle;
mod plan;
mod post;
mod town;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use tokio::task::JoinSet;

use crew::{Crew, Told};
use disks::Disks;
use oracle::Figures;
use plan::Mix;
use post::{Mangled, Post};
use town::{Expected, Town};

/// People at work at the same time.
const DEVELOPERS: u64 = 16;
/// Nothing may take longer to be made good after the last fault.
const CONVERGED: Duration = Duration::from_mins(1);
/// Where the creation of a comment or deployment was left in doubt.
const CONVERGED_IN_DOUBT: Duration = Duration::from_mins(2);

/// The bot in twelve processes, and everything that can go wrong.
#[derive(Debug, Parser)]
struct Arguments {
    /// The same seed is the same plan of faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Webhooks that GitLab sends, at least.
    #[arg(long, default_value_t = 10_000)]
    deliveries: u64,
    /// What goes wrong.
    #[arg(long, value_enum, default_value_t = Kind::Outages)]
    faults: Kind,
    /// Instead of a day with faults: so many runs asked for at once, and nothing breaks.
    #[arg(long, value_name = "RUNS", conflicts_with_all = ["deliveries", "faults"])]
    burst: Option<u64>,
}

/// A mix of faults.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// A bit of everything, over in minutes.
    Short,
    /// 50 kills, among them one before and one after each commit on the way of a delivery.
    Kills,
    /// The same with restarts of database and broker, black holes, resets, frozen processes, full
    /// disks, and answers of GitLab that get lost.
    Outages,
    /// The broker says nothing from the beginning to the end.
    NoBroker,
}

/// Nothing goes wrong.
const NOTHING: Mix = Mix {
    deliveries: 0,
    kills: 0,
    points: false,
    freezes: 0,
    database_crashes: 0,
    broker_crashes: 0,
    queues_deleted: 0,
    black_holes: 0,
    resets: 0,
    disks_full: 0,
    lost_answers: 0,
    long: 60,
    broker_away: false,
};

impl Kind {
    fn mix(self, deliveries: u64) -> Mix {
        let none = Mix { deliveries, ..NOTHING };
        let kills = Mix { kills: 18, points: true, ..none };
        match self {
            Self::NoBroker => Mix { broker_away: true, ..none },
            Self::Kills => kills,
            Self::Outages => Mix {
                freezes: 5,
                database_crashes: 10,
                broker_crashes: 10,
                queues_deleted: 3,
                black_holes: 5,
                resets: 20,
                disks_full: 5,
                lost_answers: 10,
                ..kills
            },
            Self::Short => Mix {
                kills: 6,
                freezes: 1,
                database_crashes: 1,
                broker_crashes: 1,
                queues_deleted: 1,
                black_holes: 2,
                resets: 3,
                disks_full: 1,
                lost_answers: 3,
                long: 10,
                ..none
            },
        }
    }
}

/// What the people saw.
#[derive(Default)]
struct Day {
    expected: Vec<Expected>,
    problems: Vec<String>,
    mangled: Mangled,
    lost: u64,
    longest: Duration,
}

/// What a run came to.
struct Outcome {
    day: Day,
    figures: Figures,
    told: Told,
    took: Duration,
    converged: Duration,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match begin(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("{error:#}\nagain: {}", again(&arguments)));
            ExitCode::FAILURE
        }
    }
}

/// Whether all was as it should be. Where disks are to fill up, small ones are made first.
fn begin(arguments: &Arguments) -> Result<bool> {
    let disks = Disks::mounted()?;
    if disks.is_none() && arguments.mix().disks_full > 0 {
        return Ok(disks::with(plan::RUNNERS)?.success());
    }
    let outcome = tokio::runtime::Runtime::new()?.block_on(run(arguments, disks))?;
    Ok(report(arguments, &outcome))
}

impl Arguments {
    fn mix(&self) -> Mix {
        if self.burst.is_some() { NOTHING } else { self.faults.mix(self.deliveries) }
    }
}

async fn run(arguments: &Arguments, disks: Option<Disks>) -> Result<Outcome> {
    let &Arguments { seed, deliveries, faults, burst } = arguments;
    let mix = arguments.mix();
    let plan = mix.plan(seed);
    say(&match burst {
        Some(runs) => format!("{runs} runs at once"),
        None => {
            format!("seed {seed}, {deliveries} deliveries, {} faults: {faults:?}", plan.len())
        }
    });
    let crew = Arc::new(Crew::muster(mix.broker_away, disks).await?);
    say("twelve processes are at work");
    let begun = Instant::now();
    let supervisor = tokio::spawn({
        let crew = Arc::clone(&crew);
        async move { crew.keep_alive().await }
    });
    let faults = tokio::spawn(faults::strike(Arc::clone(&crew), plan));
    let mut post = Post::new(Arc::clone(&crew), seed)?;
    let mut day = match burst {
        Some(runs) => {
            let expected = burst::burst(&crew, runs).await?;
            Day { expected, longest: begun.elapsed(), ..Day::default() }
        }
        None => work(Arc::new(Town::new(Arc::clone(&crew), deliveries)), &mut post, seed).await,
    };
    let healed = faults.await.context("the faults")?;
    let last = healed.max(Instant::now());
    if let Err(error) = settle(&crew, &mut post).await {
        day.problems.push(format!("{error:#}"));
    }
    let converged = last.elapsed();
    let took = begun.elapsed();
    let (figures, found) = oracle::judge(&crew, &day.expected).await;
    day.problems.extend(found);
    let told = crew.dismiss().await;
    supervisor.abort();
    day.mangled = post.mangled;
    Ok(Outcome { day, figures, told, took, converged })
}

/// All developers' work, while the post is mangled.
async fn work(town: Arc<Town>, post: &mut Post, seed: u64) -> Day {
    let mut developers = JoinSet::new();
    for number in 0..DEVELOPERS {
        let town = Arc::clone(&town);
        developers.spawn(async move { town.developer(number, seed).await });
    }
    let mut day = Day::default();
    let mut rounds: u64 = 0;
    while !developers.is_empty() {
        post.round().await;
        rounds += 1;
        if rounds.is_multiple_of(5) {
            let (sent, ended) =
                (town.crew.sim.deliveries_fired(), town.ended.load(Ordering::Relaxed));
            say(&format!("{sent:>6}  {ended} merge requests ended"));
        }
        while let Some(done) = developers.try_join_next() {
            match done {
                Ok(Ok(mut seen)) => day.expected.append(&mut seen),
                Ok(Err(error)) => day.problems.push(format!("{error:#}")),
                Err(error) => day.problems.push(format!("a developer: {error}")),
            }
        }
    }
    day.lost = town.lost.load(Ordering::Relaxed);
    day.longest = Duration::from_millis(town.longest.load(Ordering::Relaxed));
    day
}

/// Waits until nothing is left to do; sends again what was not answered.
async fn settle(crew: &Crew, post: &mut Post) -> Result<()> {
    let begun = Instant::now();
    loop {
        let resent = post.resend();
        crew.sim.deliveries_idle().await;
        let at_rest = crew.reader.at_rest(Duration::MAX).await.unwrap_or(false);
        if at_rest && !resent && crew.sim.held_deliveries().is_empty() {
            return Ok(());
        }
        if begun.elapsed() > CONVERGED_IN_DOUBT {
            bail!(
                "something is left to do {} s after the last fault",
                CONVERGED_IN_DOUBT.as_secs()
            );
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Prints the figures; whether all is as it should be.
fn report(arguments: &Arguments, outcome: &Outcome) -> bool {
    let Outcome { day, figures, told, converged, .. } = outcome;
    let mangled = day.mangled;
    let mut problems = day.problems.clone();
    problems.extend(told.panics.iter().cloned());
    let late = *converged > CONVERGED;
    say(&format!(
        "{} merge requests, {} runs, {} events in {:.0} s",
        day.expected.len(),
        figures.runs,
        figures.events,
        outcome.took.as_secs_f32()
    ));
    if arguments.burst.is_some() {
        let runs = f64::from(u32::try_from(figures.runs).unwrap_or(u32::MAX));
        let per_second = runs / day.longest.as_secs_f64();
        say(&format!("{per_second:.1} runs per second until the last verdict"));
    }
    say(&format!(
        "webhooks: {} doubled, {} copied, {} in another order, {} not answered and resent by hand",
        mangled.doubled, mangled.copied, mangled.shuffled, mangled.resent
    ));
    say(&format!(
        "processes: {} kills, {} of them at {} points; {} ended by themselves",
        told.kills,
        told.points.len(),
        told.points.iter().collect::<std::collections::BTreeSet<_>>().len(),
        told.own_ends.len()
    ));
    say(&format!(
        "runs: {} attempts lost their runner, {} asked for again by hand, {} of unknown outcome",
        figures.attempts_lost, day.lost, figures.unknown
    ));
    say(&format!(
        "longest wait for a verdict {:.0} s; at rest {:.1} s after the last fault and the last \
         verdict{}",
        day.longest.as_secs_f32(),
        converged.as_secs_f32(),
        if late { ", later than it should be where nothing was left in doubt" } else { "" }
    ));
    for end in &told.own_ends {
        say(&format!("  ended by itself: {end}"));
    }
    for problem in &problems {
        say(&format!("  PROBLEM: {problem}"));
    }
    let checked = day.expected.len();
    let good = problems.is_empty() && checked > 0;
    let verdict =
        if good { "nothing lost, nothing doubled, nothing left undone" } else { "NOT GOOD" };
    say(&format!("{verdict}; {checked} merge requests looked at\nagain: {}", again(arguments)));
    good
}

fn again(Arguments { seed, deliveries, faults, burst }: &Arguments) -> String {
    if let Some(runs) = burst {
        return format!("cargo xtask chaos --burst {runs}");
    }
    let faults = faults.to_possible_value();
    let faults = faults.as_ref().map_or("outages", |value| value.get_name());
    format!("cargo xtask chaos --seed {seed} --deliveries {deliveries} --faults {faults}")
}

/// A line for whoever watches.
pub(crate) fn say(line: &str) {
    // Nothing can be done about an error stream that is closed.
    let _ = writeln!(std::io::stderr(), "{line}");
}
