//! What must hold at the end, however often the bot died.

use std::collections::{BTreeMap, BTreeSet};

use aldis_domain::event::Event;
use aldis_domain::report::Outcome;
use aldis_gitlab_sim::{Attempt, Route};
use aldis_tests::oracle::{self, Log};
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

impl World {
    /// A person sees what stands there when nothing is killed; a tracked run that was under way
    /// when its runner died is the one exception.
    pub(crate) async fn ends_like(&mut self, play: Play) {
        self.nothing_lost_or_doubled().await;
        let log = self.log().await;
        let unknown = oracle::outcomes(&log).any(|outcome| outcome == Outcome::Unknown);
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
        let mut problems = oracle::deliveries(&self.sim, &log);
        problems.extend(oracle::runs(&log));
        problems.extend(oracle::intents(&log));
        problems.extend(self.created(&log));
        problems.extend(self.links(&log));
        let problems = problems.join("\n  ");
        assert!(problems.is_empty(), "{}", self.describe(&format!("\n  {problems}")));
    }

    /// No line of this commit ever failed or was canceled, and it passed.
    pub(crate) fn nobody_saw_red(&self, commit: &str) {
        let timeline = self.sim.timeline();
        let commit = format!(" {commit} ");
        let lines: Vec<&String> = timeline.iter().filter(|line| line.contains(&commit)).collect();
        let red = |line: &&String| line.contains(": failed") || line.contains(": canceled");
        let is_green = lines.iter().any(|line| line.contains("aldis: success"));
        assert!(is_green && !lines.iter().any(red), "{}", timeline.join("\n"));
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
            assert!(status.success(), "{} ends with {status}: {}", site.name(), part.said());
        }
        self.sim.stop().await;
    }
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
