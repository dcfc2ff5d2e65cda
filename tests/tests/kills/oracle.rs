//! What must hold at the end, however often the bot died.

use std::collections::{BTreeMap, BTreeSet};

use aldis_domain::event::Event;
use aldis_domain::report::Outcome;
use aldis_gitlab_sim::{Attempt, Route};
use tokio::sync::OnceCell;

use crate::play::Play;
use crate::world::World;

/// What stands at the end of a story in which nothing was killed.
pub(crate) async fn undisturbed(play: Play) -> &'static str {
    static MERGE: OnceCell<String> = OnceCell::const_new();
    static SUPERSEDE: OnceCell<String> = OnceCell::const_new();
    let known = match play {
        Play::Merge => &MERGE,
        Play::Supersede => &SUPERSEDE,
    };
    let seen = known.get_or_init(async || {
        let mut world = World::build("undisturbed", &[]).await;
        world.play(play).await;
        world.nothing_lost_or_doubled().await;
        let seen = world.seen();
        world.stop().await;
        seen
    });
    seen.await
}

/// One event of the log: stream, event.
type Log = Vec<(String, Event)>;

impl World {
    /// A person sees what stands there when nothing is killed; a tracked run that was under way
    /// when its runner died is the one exception.
    pub(crate) async fn ends_like(&mut self, play: Play) {
        self.nothing_lost_or_doubled().await;
        let log = self.log().await;
        let unknown = finishes(&log).any(|(_, outcome)| outcome == Outcome::Unknown);
        let expected = undisturbed(play).await;
        let expected = if unknown { with_unknown_outcome(expected) } else { expected.to_owned() };
        let seen = self.seen();
        if unknown {
            assert!(self.kills > 0, "{}", self.describe("unknown, and nothing was killed"));
        }
        assert!(seen == expected, "{}", self.describe(&format!("a person should see\n{expected}")));
    }

    /// What the log and the calls must say in any case.
    pub(crate) async fn nothing_lost_or_doubled(&self) {
        let log = self.log().await;
        let mut problems = self.deliveries(&log);
        problems.extend(runs(&log));
        problems.extend(intents(&log));
        problems.extend(self.created(&log));
        problems.extend(self.links(&log));
        let problems = problems.join("\n  ");
        assert!(problems.is_empty(), "{}", self.describe(&format!("\n  {problems}")));
    }

    pub(crate) async fn log(&self) -> Log {
        let log = self.site.log().await.into_iter();
        log.map(|e| (e.stream.clone(), e.event().expect("an event of this version"))).collect()
    }

    /// Whether everything that was received has its outcome.
    pub(crate) async fn all_planned(&self) -> bool {
        let Ok(store) = self.site.store().await else { return false };
        let waits = store.backlog(aldis_domain::touch::WorkKind::Plan).await;
        store.close().await;
        let sent = self.sim.deliveries().iter().all(|d| d.attempts.iter().any(Attempt::ok));
        sent && waits.is_ok_and(|waits| waits.due + waits.leased + waits.later == 0)
    }

    /// What was answered 2xx is in the log once, and has one outcome.
    fn deliveries(&self, log: &Log) -> Vec<String> {
        let mut problems = Vec::new();
        for delivery in self.sim.deliveries() {
            let of_it = |wanted: fn(&Event) -> bool| {
                let name = aldis_domain::stream::delivery("shared", &delivery.key);
                log.iter().filter(|(stream, event)| *stream == name && wanted(event)).count()
            };
            let received = of_it(|e| matches!(e, Event::DeliveryReceived(_)));
            let decided = of_it(|e| matches!(e, Event::DeliveryDecided(_)));
            let answered = delivery.attempts.iter().any(Attempt::ok);
            if !answered || (received, decided) != (1, 1) {
                let (id, what) = (delivery.id, delivery.trigger.event());
                problems.push(format!(
                    "{what} {id}: answered {answered}, received {received}, decided {decided}"
                ));
            }
        }
        let mut commands = BTreeMap::new();
        for (_, event) in log {
            if let Event::CommandHandled(command) = event {
                *commands.entry(command.note).or_insert(0) += 1;
            }
        }
        problems.extend(
            commands
                .iter()
                .filter(|(_, n)| **n != 1)
                .map(|(note, n)| format!("note {note}: {n} times")),
        );
        problems
    }

    /// What is made in GitLab was made once.
    fn created(&self, log: &Log) -> Vec<String> {
        let made = |route: Route| {
            let mut paths = BTreeMap::new();
            for call in self.sim.calls() {
                let ours = call.applied && call.status == 201 && call.route == route;
                if ours {
                    *paths.entry(call.path).or_insert(0) += 1;
                }
            }
            paths
        };
        let twice = made(Route::NoteCreate).into_iter().filter(|(_, n)| *n > 1);
        let mut problems: Vec<String> =
            twice.map(|(path, n)| format!("{path}: {n} notes")).collect();
        let tracked =
            log.iter().filter(|(_, e)| matches!(e, Event::AttemptStarted(a) if a.tracked));
        let runs = tracked.map(|(stream, _)| stream).collect::<BTreeSet<_>>().len();
        let deployments: usize = made(Route::DeploymentCreate).into_values().sum();
        if deployments != runs {
            problems.push(format!("{runs} tracked runs, {deployments} deployments"));
        }
        let environments: usize = made(Route::EnvironmentCreate).into_values().sum();
        if environments > 1 {
            problems.push(format!("{environments} environments were made"));
        }
        problems
    }

    /// Each stack's line leads to the newest run of its commit. (All runs here are of the names
    /// `app` and `deploy`, and no commit has both a test run and a tracked one.)
    fn links(&self, log: &Log) -> Vec<String> {
        let mut newest = BTreeMap::new();
        for (_, event) in log {
            if let Event::RunRequested(run) = event {
                newest.insert((run.sha.as_str(), run.stack.as_str()), run.run.as_str());
            }
        }
        let mut problems = Vec::new();
        for ((sha, stack), run) in newest {
            for pipeline in self.sim.pipeline_views(self.project, sha) {
                let line = pipeline.jobs.iter().find(|job| job.name == format!("aldis/{stack}"));
                let link = line.and_then(|job| job.target_url.as_deref()).unwrap_or_default();
                if !link.ends_with(run) {
                    problems.push(format!("{stack} of {sha} leads to {link}, not to run {run}"));
                }
            }
        }
        problems
    }

    /// Asks the bot to stop, which it must do by itself.
    pub(crate) async fn stop(mut self) {
        self.bot.terminate();
        let status = self.bot.end().await;
        assert!(status.success(), "{}", self.describe(&format!("it ends with {status}")));
        for (site, part) in &mut self.parts {
            part.terminate();
            let status = part.end().await;
            assert!(status.success(), "{} ends with {status}: {}", site.roles(), part.said());
        }
        self.sim.stop().await;
    }
}

fn finishes(log: &Log) -> impl Iterator<Item = (&str, Outcome)> {
    log.iter().filter_map(|(stream, event)| match event {
        Event::RunFinished(finished) => Some((stream.as_str(), finished.outcome)),
        _ => None,
    })
}

/// Every wish has one run, which ended once, with the result of its last attempt; a tracked one
/// started at most once.
fn runs(log: &Log) -> Vec<String> {
    let mut problems = Vec::new();
    let mut wishes = BTreeSet::new();
    for (name, event) in log {
        let Event::RunRequested(run) = event else { continue };
        let tracked = run.deploys.is_some();
        if !wishes.insert((run.sha.as_str(), &run.stack, tracked, run.round)) {
            problems.push(format!("{} of {} was asked for twice", run.stack, run.sha));
        }
        let own = || log.iter().filter(move |(stream, _)| stream == name).map(|(_, event)| event);
        let attempts: Vec<u64> = own()
            .filter_map(|e| if let Event::AttemptStarted(a) = e { Some(a.epoch) } else { None })
            .collect();
        let ends: Vec<Option<u64>> = own()
            .filter_map(|e| if let Event::RunFinished(f) = e { Some(f.epoch) } else { None })
            .collect();
        if ends != [attempts.last().copied()] {
            problems.push(format!(
                "{} of {}: attempts {attempts:?}, ends {ends:?}",
                run.stack, run.sha
            ));
        }
        if tracked && attempts.len() > 1 {
            problems.push(format!("{} deploys {} times", run.stack, attempts.len()));
        }
    }
    problems
}

/// Each intent has its outcome before the next one, and none is open at the end.
fn intents(log: &Log) -> Vec<String> {
    let mut open = BTreeSet::new();
    let mut problems = Vec::new();
    for (stream, event) in log {
        match event {
            Event::StatusesIntended(_) | Event::NoteIntended(_) | Event::DeploymentIntended(_)
                if !open.insert(stream) =>
            {
                problems.push(format!("{stream}: intended again while in doubt"));
            }
            Event::StatusesSettled(_)
            | Event::NoteConfirmed(_)
            | Event::NoteRefused(_)
            | Event::DeploymentConfirmed(_)
            | Event::DeploymentRefused(_) => drop(open.remove(stream)),
            _ => {}
        }
    }
    problems.extend(open.iter().map(|stream| format!("{stream}: left in doubt")));
    problems
}

/// The end of [`Play::Merge`] when nobody knows how the deployment went.
fn with_unknown_outcome(expected: &str) -> String {
    let (before, merge) = expected.split_once("merge:\n").expect("a commit called merge");
    let (merge, after) = merge.split_once("slip:\n").expect("the next commit");
    assert!(merge.contains("aldis/deploy: success \"passed in T\""), "{merge}");
    let merge = merge
        .replace("main merge: success", "main merge: failed")
        .replace(
            "aldis: success \"2 stacks passed\"",
            "aldis: failed \"1 of 2 stacks failed: deploy (outcome unknown)\"",
        )
        .replace(
            "aldis/deploy: success \"passed in T\"",
            "aldis/deploy: failed \"outcome unknown: the runner vanished\"",
        );
    let after = after.replace("  success merge main", "  failed merge main");
    format!("{before}merge:\n{merge}slip:\n{after}")
}
