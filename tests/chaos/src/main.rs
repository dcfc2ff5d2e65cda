//! `cargo xtask chaos`: the whole bot in twelve processes, while processes, servers and the ways
//! between them break, and developers go on with their work. At the end nothing may be lost,
//! doubled or left undone.

mod ambush;
mod burst;
mod change;
mod converged;
mod crew;
mod delays;
mod dice;
mod disks;
mod fault;
mod faults;
mod kind;
mod nudge;
mod oracle;
mod part;
mod plan;
mod points;
mod post;
mod report;
mod tally;
mod town;
mod way;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aldis_store::Envelope;
use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use tokio::task::{JoinHandle, JoinSet};

use converged::{AT_REST, Converged, End};
use crew::Crew;
use disks::Disks;
use faults::Course;
use kind::Kind;
use oracle::Figures;
use plan::Mix;
use post::Post;
use report::Outcome;
use town::{DEVELOPERS, Expected, Town, Waits};

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

/// What the people saw.
#[derive(Default)]
struct Day {
    expected: Vec<Expected>,
    problems: Vec<String>,
    lost: u64,
    waits: Waits,
    burst: Option<Duration>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Whatever a server or a process does at its start, the way to see it again is told.
    let ended = catch_unwind(AssertUnwindSafe(|| begin(&arguments)));
    let good = match ended {
        Ok(Ok(Ended::Here(good))) => good,
        Ok(Ok(Ended::Inside(good))) => {
            return if good { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        Ok(Err(error)) => {
            say(&format!("{error:#}"));
            false
        }
        Err(_) => false,
    };
    say(&format!("again: {}", arguments.again()));
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Where the run was, and whether all was as it should be.
enum Ended {
    Here(bool),
    /// In a run of this program that has said everything.
    Inside(bool),
}

/// Where disks are to fill up, small ones are made first.
fn begin(arguments: &Arguments) -> Result<Ended> {
    let disks = Disks::mounted()?;
    if disks.is_none() && arguments.mix().disks_full > 0 {
        return Ok(Ended::Inside(disks::with(fault::RUNNERS)?.success()));
    }
    let outcome = tokio::runtime::Runtime::new()?.block_on(run(arguments, disks))?;
    Ok(Ended::Here(outcome.report(arguments)))
}

impl Arguments {
    fn mix(&self) -> Mix {
        if self.burst.is_some() { Mix::NOTHING } else { self.faults.mix(self.deliveries) }
    }

    fn again(&self) -> String {
        let Self { seed, deliveries, faults, burst } = self;
        if let Some(runs) = burst {
            return format!("cargo xtask chaos --burst {runs}");
        }
        let faults = faults.to_possible_value();
        let faults = faults.as_ref().map_or("outages", |value| value.get_name());
        format!("cargo xtask chaos --seed {seed} --deliveries {deliveries} --faults {faults}")
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
    let course = Arc::<Course>::default();
    let faults = tokio::spawn(faults::strike(Arc::clone(&crew), plan, Arc::clone(&course)));
    let mut post = Post::new(Arc::clone(&crew), seed)?;
    let mut day = if let Some(runs) = burst {
        at_once(&crew, runs).await?
    } else {
        let town = Town::new(Arc::clone(&crew), Arc::clone(&course), deliveries);
        work(Arc::new(town), &mut post, seed).await
    };
    course.desert();
    let (healed, tally) = faults.await.context("the faults")?;
    let waits = std::mem::take(&mut day.waits);
    let end = End { healed, broker_away: mix.broker_away, waits };
    let Evening { converged, at_rest, figures } = evening(&crew, &mut post, &end, &mut day).await;
    let log = if day.problems.is_empty() { None } else { Some(keep_log(&crew, seed).await?) };
    let told = dismiss(&crew, supervisor, &mut day.problems).await;
    Ok(Outcome {
        looked_at: day.expected.iter().map(|expected| expected.mrs.len()).sum(),
        problems: day.problems,
        mangled: post.mangled,
        lost: day.lost,
        figures,
        told,
        tally,
        converged,
        at_rest,
        took: begun.elapsed(),
        burst: day.burst,
        log,
    })
}

/// The servers go with their databases; where something went wrong the log tells why.
async fn keep_log(crew: &Crew, seed: u64) -> Result<PathBuf> {
    let path = std::env::temp_dir().join(format!("aldis-chaos-{seed}.log"));
    let mut file = BufWriter::new(File::create(&path)?);
    for Envelope { position, stream, kind, body, recorded_at, .. } in crew.reader.log().await {
        writeln!(file, "{position} {recorded_at} {stream} {kind} {body}")?;
    }
    file.flush()?;
    Ok(path)
}

/// What was seen when everybody had gone home.
struct Evening {
    converged: Converged,
    at_rest: Duration,
    figures: Figures,
}

/// Waits until all is at rest, lets some old webhooks come once more, and looks at everything.
async fn evening(crew: &Crew, post: &mut Post, end: &End, day: &mut Day) -> Evening {
    settle(crew, post, end.last(), &mut day.problems).await;
    let at_rest = end.last().elapsed();
    let log = crew.reader.log().await;
    let (converged, late) = end.judge(crew, &log);
    if day.burst.is_none() {
        // Where much was asked for at once, and nothing broke, it takes as long as it takes.
        day.problems.extend(late);
        post.late_copies().await;
        settle(crew, post, Instant::now(), &mut day.problems).await;
    }
    let (figures, found) = oracle::judge(crew, &crew.reader.log().await, &day.expected);
    day.problems.extend(found);
    let asked: usize = day.expected.iter().map(|e| e.commits.len() * e.stacks).sum();
    if day.burst.is_some() && figures.runs != asked {
        day.problems.push(format!("{asked} runs were asked for, and there are {}", figures.runs));
    }
    Evening { converged, at_rest, figures }
}

/// Very many runs, without a fault.
async fn at_once(crew: &Arc<Crew>, runs: u64) -> Result<Day> {
    let begun = Instant::now();
    let expected = burst::burst(crew, runs).await?;
    Ok(Day { expected, burst: Some(begun.elapsed()), ..Day::default() })
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
    day.waits = town.waits();
    day
}

/// Waits until nothing is left to do; sends again what was not answered.
async fn settle(crew: &Crew, post: &mut Post, since: Instant, problems: &mut Vec<String>) {
    loop {
        let resent = post.resend();
        crew.sim.deliveries_idle().await;
        let at_rest = crew.reader.at_rest(Duration::MAX).await.unwrap_or(false);
        if at_rest && !resent && crew.sim.held_deliveries().is_empty() {
            return;
        }
        if since.elapsed() > AT_REST {
            let seconds = AT_REST.as_secs();
            problems.push(format!("something is left to do {seconds} s after the last fault"));
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// All go, one by one, when all are there.
async fn dismiss(
    crew: &Crew,
    supervisor: JoinHandle<()>,
    problems: &mut Vec<String>,
) -> part::Told {
    if !crew.gathered().await {
        problems.push("not all processes are at work at the end".to_owned());
    }
    if supervisor.is_finished() {
        problems.push("nobody looked after the processes any more".to_owned());
    }
    let told = crew.dismiss().await;
    supervisor.abort();
    told
}

/// A line for whoever watches.
pub(crate) fn say(line: &str) {
    // Nothing can be done about an error stream that is closed.
    let _ = writeln!(std::io::stderr(), "{line}");
}
