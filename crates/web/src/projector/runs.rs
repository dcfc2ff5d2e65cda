//! Runs: why each one is, where it stands, and what it brought home.

use std::collections::BTreeMap;

use aldis_domain::event::change::Trust;
use aldis_domain::event::run::{AttemptStarted, RunRequested};
use aldis_domain::event::{EndReason, Event};
use aldis_domain::id::{ChangeKey, ProjectKey, RunId, Sha};
use aldis_domain::report::{Outcome, Report};
use aldis_domain::text;
use aldis_store::Position;
use serde::{Deserialize, Serialize};

use super::fold::{Home, Listed, Projection, Seen};

/// Deliveries that a run's page names besides the first.
const KEPT_JOINS: usize = 20;
/// Longest result in a list, in characters.
const LINE: usize = 200;

/// The projection.
pub(crate) struct Runs;

/// A run as its page shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunPage {
    pub(crate) run: RunId,
    pub(crate) position: Position,
    pub(crate) requested_at: i64,
    pub(crate) project: ProjectKey,
    pub(crate) sha: Sha,
    pub(crate) stack: String,
    pub(crate) git_ref: String,
    pub(crate) trust: Trust,
    pub(crate) round: u32,
    /// The rule's reason in a sentence.
    pub(crate) why: String,
    /// Stream of the delivery that asked first.
    pub(crate) delivery: Option<String>,
    /// Streams of later deliveries that asked for the same, oldest first, at most 20.
    pub(crate) joined_by: Vec<String>,
    /// Everybody who ever wanted it; `true`: still does.
    pub(crate) changes: BTreeMap<ChangeKey, bool>,
    pub(crate) needs: BTreeMap<String, RunId>,
    /// Environment that a tracked run deploys to.
    pub(crate) environment: Option<String>,
    /// Steps as the config file has them.
    pub(crate) steps: Vec<String>,
    pub(crate) released: bool,
    pub(crate) cancel: Option<EndReason>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) finished: Option<Finished>,
}

/// One try of a runner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// From 1; the same number again after a restart of Aldis, which does not count.
    pub(crate) number: u32,
    pub(crate) epoch: u64,
    pub(crate) runner: String,
    pub(crate) started_at: i64,
    pub(crate) lost: Option<Lost>,
}

/// How an attempt was lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lost {
    pub(crate) at: i64,
    pub(crate) counts: bool,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Finished {
    pub(crate) at: i64,
    pub(crate) outcome: Outcome,
    pub(crate) reason: Option<EndReason>,
    /// The result in one line.
    pub(crate) line: String,
    pub(crate) report: Report,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RunState {
    /// For the runs it needs.
    Waiting,
    Queued,
    Running,
    Ended(Outcome),
}

/// A run as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunEntry {
    pub(crate) run: RunId,
    pub(crate) project: ProjectKey,
    pub(crate) stack: String,
    pub(crate) sha: Sha,
    /// The change that wanted it first, by name.
    pub(crate) change: Option<ChangeKey>,
    pub(crate) state: RunState,
    /// The result in one line; empty before there is one.
    pub(crate) line: String,
    pub(crate) tracked: bool,
    pub(crate) requested_at: i64,
    pub(crate) started_at: Option<i64>,
    pub(crate) finished_at: Option<i64>,
}

impl RunPage {
    /// Where the run stands. Once begun it stays running, also between two attempts.
    pub(crate) fn state(&self) -> RunState {
        match &self.finished {
            Some(finished) => RunState::Ended(finished.outcome),
            None if !self.attempts.is_empty() => RunState::Running,
            None if self.released => RunState::Queued,
            None => RunState::Waiting,
        }
    }
}

impl Projection for Runs {
    const NAME: &'static str = "runs";
    const VERSION: u32 = 1;
    const KINDS: &'static [&'static str] = &[
        "run_requested",
        "run_joined",
        "run_released",
        "attempt_started",
        "attempt_lost",
        "cancel_requested",
        "run_left",
        "run_finished",
    ];
    const HOME: Home = Home::Stream;
    type Body = RunPage;
    type Entry = RunEntry;

    fn key(seen: &Seen) -> Option<String> {
        let key = seen.stream.strip_prefix("run-")?;
        key.parse::<RunId>().ok().map(String::from)
    }

    fn apply(body: Option<RunPage>, _key: &str, seen: &Seen) -> Option<RunPage> {
        let Some(mut body) = body else {
            return match &seen.event {
                Event::RunRequested(request) => Some(requested(request, seen)),
                _ => None,
            };
        };
        match &seen.event {
            Event::RunJoined(joined) => {
                body.changes.insert(joined.audience.change.clone(), true);
                if let Some(by) = joined.delivery.as_ref().filter(|by| is_new(&body, by)) {
                    body.joined_by.push(by.clone());
                }
            }
            Event::RunReleased(_) => body.released = true,
            Event::AttemptStarted(started) => body.attempts.push(attempt(started, seen)),
            Event::AttemptLost(lost) => {
                for attempt in body.attempts.iter_mut().filter(|a| a.epoch == lost.epoch) {
                    attempt.lost = Some(Lost { at: seen.at, counts: lost.counts });
                }
            }
            Event::CancelRequested(cancel) => body.cancel = Some(cancel.reason.clone()),
            Event::RunLeft(left) => {
                body.changes.entry(left.change.clone()).and_modify(|wants| *wants = false);
            }
            Event::RunFinished(finished) => {
                body.finished = Some(Finished {
                    at: seen.at,
                    outcome: finished.outcome,
                    reason: finished.reason.clone(),
                    line: text::result_line(finished),
                    report: finished.report.clone(),
                });
            }
            _ => {}
        }
        Some(body)
    }

    fn listed(body: &RunPage) -> Option<Listed<RunEntry>> {
        let line = body.finished.as_ref().map(|f| text::one_line(&f.line, LINE));
        Some(Listed {
            sort_key: body.position,
            scopes: vec!["all".to_owned(), body.project.to_string()],
            entry: RunEntry {
                run: body.run.clone(),
                project: body.project,
                stack: body.stack.clone(),
                sha: body.sha.clone(),
                change: body.changes.keys().next().cloned(),
                state: body.state(),
                line: line.unwrap_or_default(),
                tracked: body.environment.is_some(),
                requested_at: body.requested_at,
                started_at: body.attempts.first().map(|a| a.started_at),
                finished_at: body.finished.as_ref().map(|f| f.at),
            },
        })
    }
}

fn is_new(body: &RunPage, delivery: &String) -> bool {
    body.joined_by.len() < KEPT_JOINS
        && body.delivery.as_ref() != Some(delivery)
        && !body.joined_by.contains(delivery)
}

fn requested(request: &RunRequested, seen: &Seen) -> RunPage {
    RunPage {
        run: request.run.clone(),
        position: seen.position,
        requested_at: seen.at,
        project: request.project,
        sha: request.sha.clone(),
        stack: request.stack.clone(),
        git_ref: request.git_ref.clone(),
        trust: request.trust,
        round: request.round,
        why: request.why.clone(),
        delivery: request.delivery.clone(),
        joined_by: Vec::new(),
        changes: BTreeMap::from([(request.audience.change.clone(), true)]),
        needs: request.needs.clone(),
        environment: request.deploys.as_ref().map(|d| d.environment.name.clone()),
        steps: request.definition.steps.iter().map(|step| step.name.clone()).collect(),
        released: request.needs.is_empty(),
        cancel: None,
        attempts: Vec::new(),
        finished: None,
    }
}

fn attempt(started: &AttemptStarted, seen: &Seen) -> Attempt {
    Attempt {
        number: started.attempt,
        epoch: started.epoch,
        runner: started.runner.clone(),
        started_at: seen.at,
        lost: None,
    }
}
