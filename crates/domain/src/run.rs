//! A run: one execution of one stack for one commit. Its state, and what may happen to it.

use std::collections::BTreeMap;

use crate::event::run::{
    AttemptLost, AttemptStarted, Audience, CancelRequested, RunFinished, RunJoined, RunLeft,
    RunReleased, RunRequested,
};
use crate::event::{EndReason, Event};
use crate::fold::Fold;
use crate::id::{ChangeKey, ProjectKey, RunId, Sha};
use crate::report::{Outcome, Report};

/// How often a test run is tried before it ends [`Outcome::Lost`]. A tracked run has one attempt:
/// nobody may deploy twice.
pub const TEST_ATTEMPTS: u32 = 2;

/// Everything known of one run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    pub request: Option<RunRequested>,
    /// Everybody who ever wanted it; `true`: still does.
    pub audience: BTreeMap<Audience, bool>,
    pub released: bool,
    /// Attempts that count.
    pub attempts: u32,
    /// Of the newest attempt.
    pub epoch: Option<u64>,
    pub runner: Option<String>,
    /// An attempt is under way, as far as we know.
    pub running: bool,
    pub cancel: Option<EndReason>,
    pub finished: Option<RunFinished>,
    pub needed: bool,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// No such run.
    Absent,
    /// Waits for the runs it needs.
    Waiting,
    Queued,
    Running,
    Finished(Outcome),
}

/// What a run is asked to do.
#[derive(Debug, Clone)]
pub enum RunCommand {
    Join {
        audience: Audience,
        needed: bool,
        delivery: Option<String>,
    },
    Leave {
        change: ChangeKey,
        reason: EndReason,
    },
    /// A needed run ended: go on, or never start.
    Release,
    Skip {
        reason: EndReason,
    },
    Cancel {
        reason: EndReason,
    },
    Start {
        epoch: u64,
        runner: String,
    },
    /// The lease of `epoch` is over; `counts` is false after our own restart.
    Lose {
        epoch: u64,
        counts: bool,
    },
    Finish {
        epoch: u64,
        outcome: Outcome,
        report: Report,
    },
}

/// The run's "no".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("there is no such run")]
    Absent,
    #[error("the run is over")]
    Over,
    #[error("another attempt holds the run")]
    Stale,
}

impl Fold for Run {
    fn apply(&mut self, event: &Event) {
        match event {
            Event::RunRequested(request) => {
                self.audience.insert(request.audience.clone(), true);
                self.released = request.needs.is_empty();
                self.needed = request.needed;
                self.request = Some(request.clone());
            }
            Event::RunJoined(joined) => {
                self.audience.insert(joined.audience.clone(), true);
                self.needed |= joined.needed;
            }
            Event::RunLeft(left) => {
                for (audience, wants) in &mut self.audience {
                    *wants &= audience.change != left.change;
                }
            }
            Event::RunReleased(_) => self.released = true,
            Event::AttemptStarted(started) => {
                self.attempts = started.attempt;
                self.epoch = Some(started.epoch);
                self.runner = Some(started.runner.clone());
                self.running = true;
            }
            Event::AttemptLost(lost) => {
                self.running = false;
                if !lost.counts {
                    self.attempts = self.attempts.saturating_sub(1);
                }
            }
            Event::CancelRequested(cancel) => self.cancel = Some(cancel.reason.clone()),
            Event::RunFinished(finished) => {
                self.running = false;
                self.finished = Some(finished.clone());
            }
            _ => {}
        }
    }
}

impl Run {
    /// Where the run stands. Once an attempt has begun it stays *running* until it is over, also
    /// while a lost attempt is taken up again: the author should not see it go back and forth.
    pub fn phase(&self) -> Phase {
        match (&self.request, &self.finished) {
            (None, _) => Phase::Absent,
            (_, Some(finished)) => Phase::Finished(finished.outcome),
            (Some(_), None) if self.epoch.is_some() => Phase::Running,
            (Some(_), None) if self.released => Phase::Queued,
            (Some(_), None) => Phase::Waiting,
        }
    }

    /// Whether a new wish with the same key is content with this run. One that was canceled,
    /// skipped or lost is not a result.
    pub fn satisfies(&self) -> bool {
        match self.phase() {
            Phase::Absent => false,
            Phase::Finished(outcome) => {
                !matches!(outcome, Outcome::Canceled | Outcome::Skipped | Outcome::Lost)
            }
            _ => self.cancel.is_none(),
        }
    }

    /// Whether it makes a deployment.
    pub fn tracked(&self) -> bool {
        self.request.as_ref().is_some_and(|r| r.deploys.is_some())
    }

    /// Whether somebody still waits for it.
    pub fn wanted(&self) -> bool {
        self.audience.values().any(|wants| *wants)
    }

    /// Whether a result of the attempt `epoch` would be the run's: it is under way, or was given up
    /// as [`Outcome::Unknown`], of which it may still tell.
    pub fn awaits(&self, epoch: u64) -> bool {
        let may_tell = match &self.finished {
            Some(finished) => finished.outcome == Outcome::Unknown,
            None => self.running,
        };
        self.epoch == Some(epoch) && may_tell
    }

    fn everybody(&self) -> Vec<Audience> {
        self.audience.keys().cloned().collect()
    }
}

/// What follows from a command: events, or the reason why nothing does. An empty list means that
/// the command changes nothing.
pub fn decide(run: &Run, command: RunCommand) -> Result<Vec<Event>, Rejection> {
    let request = run.request.as_ref().ok_or(Rejection::Absent)?;
    match command {
        RunCommand::Join { audience, needed, delivery } => {
            Ok(join(run, request, audience, needed, delivery))
        }
        RunCommand::Leave { change, reason } => Ok(leave(run, request, change, reason)),
        RunCommand::Release => Ok(match run.phase() {
            Phase::Waiting if run.cancel.is_none() => {
                vec![RunReleased { tracked: run.tracked() }.into()]
            }
            _ => Vec::new(),
        }),
        RunCommand::Skip { reason } => Ok(match run.phase() {
            Phase::Waiting => vec![end(run, request, Outcome::Skipped, Some(reason))],
            _ => Vec::new(),
        }),
        RunCommand::Cancel { reason } => Ok(cancel(run, request, reason)),
        RunCommand::Start { epoch, runner } => start(run, request, epoch, runner),
        RunCommand::Lose { epoch, counts } => lose(run, request, epoch, counts),
        RunCommand::Finish { epoch, outcome, report } => {
            finish(run, request, epoch, outcome, report)
        }
    }
}

fn join(
    run: &Run,
    request: &RunRequested,
    audience: Audience,
    needed: bool,
    delivery: Option<String>,
) -> Vec<Event> {
    if run.audience.get(&audience) == Some(&true) && (run.needed || !needed) {
        return Vec::new();
    }
    vec![RunJoined { audience, sha: request.sha.clone(), needed, delivery }.into()]
}

fn leave(run: &Run, request: &RunRequested, change: ChangeKey, reason: EndReason) -> Vec<Event> {
    let present = run.audience.iter().any(|(a, wants)| *wants && a.change == change);
    if !present {
        return Vec::new();
    }
    let others = run.audience.iter().any(|(a, wants)| *wants && a.change != change);
    let mut events = vec![RunLeft { change, reason: reason.clone() }.into()];
    if !others && !run.tracked() {
        events.extend(cancel(run, request, reason));
    }
    events
}

fn cancel(run: &Run, request: &RunRequested, reason: EndReason) -> Vec<Event> {
    match run.phase() {
        Phase::Absent | Phase::Finished(_) => Vec::new(),
        Phase::Running if run.cancel.is_some() => Vec::new(),
        Phase::Running if run.running => vec![CancelRequested { reason }.into()],
        _ => vec![end(run, request, Outcome::Canceled, Some(reason))],
    }
}

fn start(
    run: &Run,
    request: &RunRequested,
    epoch: u64,
    runner: String,
) -> Result<Vec<Event>, Rejection> {
    match run.phase() {
        Phase::Finished(_) => Err(Rejection::Over),
        Phase::Absent | Phase::Waiting => Err(Rejection::Absent),
        _ if run.epoch.is_some_and(|held| held >= epoch) => Err(Rejection::Stale),
        _ => Ok(vec![
            AttemptStarted {
                attempt: run.attempts + 1,
                epoch,
                runner,
                sha: request.sha.clone(),
                audience: run.everybody(),
                tracked: run.tracked(),
            }
            .into(),
        ]),
    }
}

fn lose(
    run: &Run,
    request: &RunRequested,
    epoch: u64,
    counts: bool,
) -> Result<Vec<Event>, Rejection> {
    if run.finished.is_some() {
        return Err(Rejection::Over);
    }
    if run.epoch != Some(epoch) || !run.running {
        return Err(Rejection::Stale);
    }
    let mut events = vec![AttemptLost { epoch, counts }.into()];
    if let Some(reason) = &run.cancel {
        events.push(end(run, request, Outcome::Canceled, Some(reason.clone())));
    } else if run.tracked() {
        events.push(end(run, request, Outcome::Unknown, None));
    } else if counts && run.attempts >= TEST_ATTEMPTS {
        events.push(end(run, request, Outcome::Lost, None));
    }
    Ok(events)
}

fn finish(
    run: &Run,
    request: &RunRequested,
    epoch: u64,
    outcome: Outcome,
    report: Report,
) -> Result<Vec<Event>, Rejection> {
    if !run.awaits(epoch) {
        let is_told_again = run.epoch == Some(epoch) && run.finished.is_some();
        return Err(if is_told_again { Rejection::Over } else { Rejection::Stale });
    }
    let mut finished = finished(run, request, outcome, run.cancel.clone());
    finished.epoch = Some(epoch);
    finished.report = report;
    if outcome != Outcome::Canceled {
        finished.reason = None;
    }
    Ok(vec![finished.into()])
}

fn end(run: &Run, request: &RunRequested, outcome: Outcome, reason: Option<EndReason>) -> Event {
    finished(run, request, outcome, reason).into()
}

fn finished(
    run: &Run,
    request: &RunRequested,
    outcome: Outcome,
    reason: Option<EndReason>,
) -> RunFinished {
    RunFinished {
        run: request.run.clone(),
        sha: request.sha.clone(),
        outcome,
        epoch: run.epoch,
        reason,
        report: Report::default(),
        audience: run.everybody(),
        tracked: run.tracked(),
        needed: run.needed,
    }
}

/// The wish that a run id stands for: same key, same run.
#[derive(Debug, Clone, Copy)]
pub struct RunKey<'a> {
    pub project: ProjectKey,
    pub sha: &'a Sha,
    pub stack: &'a str,
    /// Canonical JSON of the stack's effective definition.
    pub definition: &'a str,
    pub trust: crate::event::change::Trust,
    pub tracked: bool,
    pub round: u32,
}

impl RunKey<'_> {
    /// The text whose SHA-256 digest is the run's id. Length-prefixed, so that no two keys share it.
    pub fn canonical(&self) -> String {
        let project = self.project.to_string();
        let trust = format!("{:?}", self.trust);
        let kind = if self.tracked { "tracked" } else { "test" };
        let round = self.round.to_string();
        let parts = [
            project.as_str(),
            self.sha.as_str(),
            self.stack,
            self.definition,
            &trust,
            kind,
            &round,
        ];
        parts.iter().map(|part| format!("{}:{part}", part.len())).collect()
    }
}

/// What the runs that a waiting run needs make of it.
pub fn needs_verdict<'a>(
    needs: impl IntoIterator<Item = (&'a String, Phase)>,
) -> Option<RunCommand> {
    let mut all_passed = true;
    for (stack, phase) in needs {
        match phase {
            Phase::Finished(Outcome::Passed) => {}
            Phase::Finished(_) => {
                let reason = EndReason::NeedFailed { stack: stack.clone() };
                return Some(RunCommand::Skip { reason });
            }
            _ => all_passed = false,
        }
    }
    all_passed.then_some(RunCommand::Release)
}

/// The id under which a missing run is looked for.
pub fn id_of(key: &RunKey<'_>, sha256: impl Fn(&[u8]) -> [u8; 32]) -> RunId {
    RunId::from_digest(&sha256(key.canonical().as_bytes()))
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
