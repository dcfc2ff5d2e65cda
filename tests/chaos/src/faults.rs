//! Carries the plan out. A fault whose moment is not there yet is tried again until it is.

use std::future::ready;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use aldis_gitlab_sim::{Fault as Answers, FaultKind, Route};
use aldis_test_servers::RabbitMq;
use anyhow::{Context, Result, bail};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::ambush::ambush;
use crate::crew::Crew;
use crate::fault::{CREW, Fault, Link, Role};
use crate::nudge::nudge;
use crate::part::Part;
use crate::plan::Planned;
use crate::say;
use crate::tally::Tally;

/// How often it is looked how many webhooks were sent, and whether something has come about.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Longest wait until a process is there that is to be struck, or is back after that.
pub(crate) const THERE: Duration = Duration::from_mins(2);
/// Longest wait until a point is met or a lost answer used.
pub(crate) const MET: Duration = Duration::from_mins(8);
/// Between two nudges towards a point.
const NUDGE_EVERY: Duration = Duration::from_secs(20);

/// How far the day is.
#[derive(Debug, Default)]
pub(crate) struct Course {
    healed: OnceLock<Instant>,
    deserted: AtomicBool,
}

impl Course {
    /// Whether the last fault is over.
    pub(crate) fn is_calm(&self) -> bool {
        self.healed.get().is_some()
    }

    /// Nobody is at work any more: what has not broken by now never will.
    pub(crate) fn desert(&self) {
        self.deserted.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_deserted(&self) -> bool {
        self.deserted.load(Ordering::Relaxed)
    }
}

/// What is to be broken, and who breaks it now.
#[derive(Clone)]
struct Breaker {
    crew: Arc<Crew>,
    course: Arc<Course>,
    /// Each is held by one fault at a time.
    database: Arc<Mutex<()>>,
    broker: Arc<Mutex<()>>,
    answers: Arc<Mutex<()>>,
    restarts: Arc<Mutex<()>>,
}

/// Waits for each fault's time and carries it out; those that last go on beside the next ones.
/// Returns when all are healed, with the moment at which they were.
pub(crate) async fn strike(
    crew: Arc<Crew>,
    plan: Vec<Planned>,
    course: Arc<Course>,
) -> (Instant, Tally) {
    let mut tally = Tally::of(&plan);
    let mut lasting = JoinSet::new();
    let (database, broker, answers, restarts) = Default::default();
    let breaker = Breaker { crew, course, database, broker, answers, restarts };
    let (crew, course) = (&breaker.crew, &breaker.course);
    for Planned { at, fault } in plan {
        while crew.sim.deliveries_fired() < at && !course.is_deserted() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        if course.is_deserted() {
            break;
        }
        say(&format!("{at:>6}  {fault}"));
        let breaker = breaker.clone();
        lasting.spawn(async move {
            let done = breaker.carry_out(&fault).await;
            (fault, done)
        });
    }
    while let Some(ended) = lasting.join_next().await {
        match ended {
            Ok((fault, done)) => tally.note(&fault, done),
            Err(error) => tally.problems.push(format!("a fault could not be healed: {error}")),
        }
    }
    crew.sim.clear_faults();
    (*course.healed.get_or_init(Instant::now), tally)
}

impl Breaker {
    async fn carry_out(&self, fault: &Fault) -> Result<()> {
        let seconds = Duration::from_secs;
        let crew = &self.crew;
        match *fault {
            Fault::Kill { part, down } => self.kill(crew.part(part), seconds(down), None).await,
            Fault::KillAt { part, ref point } if CREW[part] == Role::Runner => {
                ambush(crew, &self.course, part, point).await
            }
            Fault::KillAt { part, ref point } => self.kill_at(crew.part(part), point).await,
            Fault::Freeze { part, time } => freeze(crew.part(part), seconds(time)).await,
            Fault::Restart { part } => self.restart(crew.part(part)).await,
            Fault::DatabaseCrash { down } => self.break_database(seconds(down)).await,
            Fault::BrokerKill { down } => {
                let away = |broker: &RabbitMq| {
                    broker.kill();
                    true
                };
                let back = |broker: &RabbitMq| {
                    broker.resume();
                    true
                };
                self.break_broker(away, seconds(down), back).await
            }
            Fault::BrokerStop { down } => {
                let app = |word| move |broker: &RabbitMq| broker.ctl(&[word]);
                self.break_broker(app("stop_app"), seconds(down), app("start_app")).await
            }
            Fault::QueueDeleted { queue } => self.delete(queue).await,
            Fault::BlackHole { part, link, time } => {
                self.black_hole(part, link, seconds(time)).await
            }
            Fault::Reset { part, link } => {
                let way = crew.way(part, link);
                until(THERE, "no connection is there", || ready(way.cut())).await
            }
            Fault::DiskFull { part, time } => {
                crew.fill_disk(part, seconds(time)).await.context("filling and emptying it")
            }
            Fault::LostAnswers { route, times } => self.lose_answers(route, times).await,
        }
    }

    /// Returns when it is back.
    async fn kill(&self, part: &Part, down: Duration, point: Option<&str>) -> Result<()> {
        let _one = part.hands.lock().await;
        until(THERE, "it is not there", || part.kill(down, point)).await?;
        if point.is_some() {
            // It may be killed before it can say that it is back.
            return Ok(());
        }
        until(THERE, "it does not come back", || part.is_at_work()).await
    }

    /// Returns when it was killed there, and is back.
    async fn kill_at(&self, part: &Part, point: &str) -> Result<()> {
        let _one = part.pointed.lock().await;
        self.kill(part, Duration::ZERO, Some(point)).await?;
        let begun = Instant::now();
        let mut nudged: u64 = 0;
        while !part.met(point).await {
            if begun.elapsed() > MET || self.course.is_deserted() {
                part.spare().await;
                bail!("it was not met within {} s", begun.elapsed().as_secs());
            }
            if begun.elapsed().as_secs() >= nudged * NUDGE_EVERY.as_secs() {
                nudge(&self.crew, point, nudged).await;
                nudged += 1;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        until(THERE, "it does not come back", || part.is_at_work()).await
    }

    async fn restart(&self, part: &Part) -> Result<()> {
        let _one = self.restarts.lock().await;
        let _hands = part.hands.lock().await;
        // A runner offers the result of a deployment until it is taken.
        let dispatch = self.crew.dispatch();
        let _taken =
            if part.role == Role::Runner { Some(dispatch.hands.lock().await) } else { None };
        until(THERE, "it was not at work", || part.restart()).await?;
        until(THERE, "it does not come back", || part.is_at_work()).await
    }

    /// Breaks it, and mends it after a while.
    async fn break_broker(
        &self,
        away: impl FnOnce(&RabbitMq) -> bool + Send + 'static,
        down: Duration,
        back: impl FnOnce(&RabbitMq) -> bool + Send + 'static,
    ) -> Result<()> {
        let _one = self.broker.lock().await;
        let broker = Arc::clone(&self.crew.broker);
        let work = move || {
            let is_away = away(&broker);
            std::thread::sleep(down);
            (is_away, back(&broker))
        };
        match tokio::task::spawn_blocking(work).await? {
            (true, true) => Ok(()),
            (is_away, is_back) => bail!("the broker went: {is_away}, and came back: {is_back}"),
        }
    }

    /// It is not there just after it was deleted or the broker came back.
    async fn delete(&self, queue: &'static str) -> Result<()> {
        let delete = move |broker: &RabbitMq| broker.ctl(&["delete_queue", queue]);
        let deleted =
            || async move { self.break_broker(delete, Duration::ZERO, |_| true).await.is_ok() };
        until(THERE, "the queue is not there", deleted).await
    }

    /// As a crash of its machine.
    async fn break_database(&self, down: Duration) -> Result<()> {
        let _one = self.database.lock().await;
        let postgres = Arc::clone(&self.crew.postgres);
        let work = move || {
            postgres.crash();
            std::thread::sleep(down);
            postgres.resume();
        };
        Ok(tokio::task::spawn_blocking(work).await?)
    }

    /// It lasts until something was swallowed by it.
    async fn black_hole(&self, part: usize, link: Link, time: Duration) -> Result<()> {
        let dark = self.crew.way(part, link).darken().await;
        tokio::time::sleep(time).await;
        until(THERE, "nobody went there", || ready(dark.has_swallowed())).await
    }

    /// Returns when all of them are lost.
    async fn lose_answers(&self, route: Route, times: u32) -> Result<()> {
        let _one = self.answers.lock().await;
        let sim = &self.crew.sim;
        sim.fault(Answers::on(route, FaultKind::LoseAnswer).times(times));
        let used = || ready(!sim.faults_left() || self.course.is_deserted());
        until(MET, "nobody asked for so many", used).await?;
        if sim.faults_left() {
            bail!("everybody went home before");
        }
        Ok(())
    }
}

async fn freeze(part: &Part, time: Duration) -> Result<()> {
    let _one = part.hands.lock().await;
    until(THERE, "it was not at work", || part.freeze()).await?;
    tokio::time::sleep(time).await;
    if !part.thaw().await {
        bail!("it did not stand still for so long");
    }
    Ok(())
}

/// Looks until it is so; fails with `problem` after `patience`.
pub(crate) async fn until<F: Future<Output = bool>>(
    patience: Duration,
    problem: &str,
    is_so: impl Fn() -> F,
) -> Result<()> {
    let begun = Instant::now();
    while !is_so().await {
        if begun.elapsed() > patience {
            bail!("{problem} for {} s", patience.as_secs());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// The process of this number among those of a role, counted round and round.
pub(crate) fn nth(role: Role, number: u64) -> usize {
    let all = (0..CREW.len()).filter(|part| CREW[*part] == role);
    let all: Vec<usize> = all.collect();
    all[usize::try_from(number).unwrap_or(0) % all.len()]
}
