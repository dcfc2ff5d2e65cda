//! One attempt from claim to finish.
//!
//! Called by the slot. Whatever happens in here ends in one `finish`, except that nothing more is
//! said of a run that is no longer ours.

use std::sync::Arc;
use std::time::Duration;

use aldis_domain::config::{Executor as Wish, Network};
use aldis_domain::report::{Outcome, Report};
use aldis_protocol::{Assignment, DispatchError, Dispatcher, Finish, LogChunk, Ticket};
use secrecy::ExposeSecret;
use tokio::sync::watch;

use crate::executor::{Executor, OBJECTS, Shell};
use crate::lease::{Interrupt, Lease};
use crate::output::{Log, Patterns};
use crate::reports;
use crate::room;
use crate::slot::{Slot, Stop};
use crate::steps::{self, Stepped};
use crate::workspace::{Mirror, RunDir, Wanted, WorkspaceError};

/// How long the end of a log is offered to a queue that does not answer.
const LOG_PATIENCE: Duration = Duration::from_secs(30);
/// How long a result is offered; a tracked run's is offered much longer, for nobody else has it.
const FINISH_PATIENCE: Duration = Duration::from_mins(10);
const TRACKED_PATIENCE: Duration = Duration::from_hours(24);

/// How long a run is offered back to a queue that does not answer: the lease ends soon after.
const HAND_BACK_PATIENCE: Duration = Duration::from_secs(10);

/// The result of an attempt, or why there is none to be told.
enum Verdict {
    Done(Outcome, Box<Report>),
    HandBack,
    Forget,
}

/// Executes an assignment and reports it. `claimed_at`: boot time before the claim was sent.
pub(crate) async fn execute<D: Dispatcher>(
    slot: &mut Slot<D>,
    assignment: Assignment,
    claimed_at: Duration,
    stop: watch::Receiver<Stop>,
) {
    let dispatcher = slot.shared.dispatcher.clone();
    let ticket = assignment.ticket.clone();
    let lease = Lease::keep(
        dispatcher.clone(),
        ticket.clone(),
        assignment.lease,
        assignment.tracked,
        claimed_at,
    );
    let token = assignment.source.token.expose_secret();
    let patterns = Patterns::new(&assignment.source.user, [token]);
    let keep = slot.shared.settings.limits.output;
    let stale = std::sync::Arc::clone(&lease.stale);
    let mut log = Log::start(dispatcher.clone(), ticket.clone(), patterns, keep, stale);

    let (verdict, run_dir) = run(slot, &assignment, &lease, stop, &mut log).await;
    // Nobody waits for the directory to be gone, but somebody waits for the result.
    let removed = tokio::spawn(async move {
        if let Some(run_dir) = run_dir {
            run_dir.remove().await;
        }
    });
    report(&dispatcher, &assignment, verdict, log).await;
    // The slot's next run must find room. A removal that panicked is swept up at the next start.
    let _ = removed.await;
}

/// Tells the log's end and the result.
async fn report<D: Dispatcher>(
    dispatcher: &D,
    assignment: &Assignment,
    verdict: Verdict,
    log: Log,
) {
    let ticket = assignment.ticket.clone();
    let (outcome, mut report) = match verdict {
        Verdict::Done(outcome, report) => (outcome, report),
        Verdict::HandBack => {
            log.close(Duration::ZERO).await;
            tracing::info!(run = %ticket.run, epoch = ticket.epoch, "run handed back");
            let word = LastWord::HandBack(ticket);
            // Untold, it is lost when its lease ends.
            let _ = tokio::time::timeout(HAND_BACK_PATIENCE, tell(dispatcher, &word)).await;
            return;
        }
        Verdict::Forget => {
            log.close(Duration::ZERO).await;
            tracing::info!(run = %ticket.run, epoch = ticket.epoch, "the run is no longer ours");
            return;
        }
    };
    let closed = log.close(LOG_PATIENCE).await;
    report.tail = closed.tail;
    report.remarks.extend(closed.remark);
    tracing::info!(run = %ticket.run, epoch = ticket.epoch, ?outcome, "run finished");
    let patience = if assignment.tracked { TRACKED_PATIENCE } else { FINISH_PATIENCE };
    let word = LastWord::Finish(Box::new(Finish { ticket, outcome, report: *report }));
    if tokio::time::timeout(patience, tell(dispatcher, &word)).await.is_err() {
        tracing::error!("the result of a run could not be handed over");
    }
}

/// The last word on an attempt.
enum LastWord {
    Finish(Box<Finish>),
    HandBack(Ticket),
}

/// Says it until the queue has taken it, or disowned the attempt.
async fn tell<D: Dispatcher>(dispatcher: &D, word: &LastWord) {
    let mut pause = Duration::from_millis(200);
    loop {
        let told = match word {
            LastWord::Finish(finish) => dispatcher.finish(finish.as_ref().clone()).await,
            LastWord::HandBack(ticket) => dispatcher.hand_back(ticket).await,
        };
        let Err(DispatchError::Unavailable(why)) = told else { return };
        tracing::warn!(why, "the end of a run cannot be told yet");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(15));
    }
}

/// Everything between claim and finish; the run directory, if there is one, is to be removed.
async fn run<D: Dispatcher>(
    slot: &mut Slot<D>,
    assignment: &Assignment,
    lease: &Lease,
    mut stop: watch::Receiver<Stop>,
    log: &mut Log,
) -> (Verdict, Option<RunDir>) {
    let work = async {
        let shell = match choose(slot, assignment) {
            Ok(shell) => shell,
            Err(trouble) => return (broken(trouble), None),
        };
        let run_dir = match fetch(slot, assignment, lease, shell, log).await {
            Ok(run_dir) => run_dir,
            Err(Stopped::Interrupt(interrupt)) => {
                return (interrupted(interrupt, assignment, Report::default()), None);
            }
            Err(Stopped::NoRoom(trouble)) if give_away(slot, assignment) => {
                tracing::warn!(run = %assignment.ticket.run, trouble, "another runner may have room");
                return (Verdict::HandBack, None);
            }
            Err(Stopped::NoRoom(trouble) | Stopped::Trouble(trouble)) => {
                log.line(LogChunk::SETUP, &trouble);
                return (broken(trouble), None);
            }
        };
        let verdict = in_directory(slot, assignment, lease, shell, &run_dir, log).await;
        (verdict, Some(run_dir))
    };
    tokio::pin!(work);
    let ends_at = if assignment.tracked { Stop::Cancel } else { Stop::HandBack };
    tokio::select! {
        verdict = &mut work => return verdict,
        _ = stop.wait_for(|stop| *stop >= ends_at) => lease.stop(),
    }
    work.await
}

/// Whether the shell executor is to be used, or why nothing is.
fn choose<D>(slot: &Slot<D>, assignment: &Assignment) -> Result<bool, String> {
    let settings = &slot.shared.settings;
    let wish = assignment.stack.executor.unwrap_or(settings.executor);
    match wish {
        Wish::Bubblewrap if slot.bubblewrap.is_some() => Ok(false),
        Wish::Bubblewrap => {
            Err("this runner has no sandbox, and the stack asks for one".to_owned())
        }
        Wish::Shell if assignment.untrusted => {
            Err("the shell executor is refused for untrusted code".to_owned())
        }
        Wish::Shell if settings.allow_shell || settings.executor == Wish::Shell => Ok(true),
        Wish::Shell => {
            Err("this runner does not allow the shell executor; set `executor: bubblewrap`"
                .to_owned())
        }
    }
}

/// Why no step was begun.
enum Stopped {
    Interrupt(Interrupt),
    NoRoom(String),
    Trouble(String),
}

impl From<WorkspaceError> for Stopped {
    fn from(error: WorkspaceError) -> Self {
        match error {
            WorkspaceError::NoRoom(trouble) => Self::NoRoom(trouble),
            error => Self::Trouble(error.to_string()),
        }
    }
}

/// A commit is not at fault for a full disk. False: the run stays here, as a tracked one does, which
/// nobody takes back, and one that was given away before.
fn give_away<D>(slot: &Slot<D>, assignment: &Assignment) -> bool {
    !assignment.tracked && slot.shared.given_away.remember(&assignment.ticket.run)
}

/// Brings the commit into a run directory, unless told to end.
async fn fetch<D: Dispatcher>(
    slot: &Slot<D>,
    assignment: &Assignment,
    lease: &Lease,
    shell: bool,
    log: &mut Log,
) -> Result<RunDir, Stopped> {
    let shared = &slot.shared;
    log.line(LogChunk::SETUP, &format!("commit {}", assignment.sha));
    let mirror = shared.mirrors.open(assignment.project);
    let wanted = Wanted {
        sha: assignment.sha.clone(),
        git_ref: assignment.git_ref.clone(),
        source: assignment.source.clone(),
    };
    // A dozen new files take milliseconds, and nothing in them depends on the fetch.
    let run_dir = make_run_dir(slot, assignment, shell, &mirror);
    let (run_dir, fetched) = tokio::join!(run_dir, bring(&mirror, &wanted, assignment, lease));
    let run_dir = run_dir?;
    let checked_out = match fetched {
        Ok(()) => tokio::select! {
            result = run_dir.check_out(&shared.git, &mirror, &wanted, slot.user) => result.map_err(Stopped::from),
            interrupt = lease.interrupted() => Err(Stopped::Interrupt(interrupt)),
        },
        Err(stopped) => Err(stopped),
    };
    match checked_out {
        Ok(()) => Ok(run_dir),
        Err(stopped) => {
            run_dir.remove().await;
            Err(stopped)
        }
    }
}

/// Waits until the commit is in the mirror.
async fn bring(
    mirror: &Mirror,
    wanted: &Wanted,
    assignment: &Assignment,
    lease: &Lease,
) -> Result<(), Stopped> {
    let limit = tokio::time::sleep(assignment.stack.timeout.max(Duration::from_mins(1)));
    tokio::select! {
        result = mirror.need(wanted) => Ok(result?),
        interrupt = lease.interrupted() => Err(Stopped::Interrupt(interrupt)),
        () = limit => Err(Stopped::Trouble("fetching took longer than the stack may".to_owned())),
    }
}

async fn make_run_dir<D>(
    slot: &Slot<D>,
    assignment: &Assignment,
    shell: bool,
    mirror: &Arc<Mirror>,
) -> Result<RunDir, WorkspaceError> {
    let inside = (!shell).then(|| std::path::Path::new(OBJECTS));
    let runs = slot.shared.capabilities.work_dir.join("runs");
    let (ticket, sha, user) = (assignment.ticket.clone(), assignment.sha.clone(), slot.user);
    let mirror = Arc::clone(mirror);
    let create = move || RunDir::create(&runs, &ticket, &mirror, inside, &sha, user);
    tokio::task::spawn_blocking(create)
        .await
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(|error| WorkspaceError::local("make a run directory", &error))
}

/// Steps and reports.
async fn in_directory<D: Dispatcher>(
    slot: &mut Slot<D>,
    assignment: &Assignment,
    lease: &Lease,
    shell: bool,
    run_dir: &RunDir,
    log: &mut Log,
) -> Verdict {
    let before = slot.cage.felt();
    let settings = slot.shared.settings.clone();
    let plain = Shell { user: slot.user, cage: slot.cage.clone() };
    let executor = match &mut slot.bubblewrap {
        Some(bubblewrap) if !shell => Executor::Bubblewrap(bubblewrap),
        _ => Executor::Shell(&plain),
    };
    let stepped = steps::run_all(executor, assignment, &settings, lease, run_dir, log).await;
    let Stepped { outcome, mut report, interrupt } = stepped;
    let wants_network = assignment.stack.network == Network::Default && !assignment.untrusted;
    let is_cut_off = slot.bubblewrap.as_ref().is_some_and(|bubblewrap| !bubblewrap.has_network());
    if !shell && wants_network && is_cut_off && slot.shared.capabilities.has_network {
        report
            .remarks
            .push("the network helper did not start: the steps had no network".to_owned());
    }
    if let Some(interrupt) = interrupt {
        return interrupted(interrupt, assignment, report);
    }
    report.machine.extend(slot.shared.capabilities.remarks.iter().cloned());
    report.machine.push(format!("limits held by {}", slot.shared.capabilities.limits));
    let after = slot.cage.felt();
    if after.memory > before.memory {
        let most = settings.limits.memory >> 20;
        report
            .remarks
            .push(format!("a process was killed: the run used more than {most} MiB of memory"));
    }
    if after.processes > before.processes {
        let most = settings.limits.processes;
        report.remarks.push(format!("the run reached its limit of {most} processes"));
    }
    if outcome != Outcome::Passed && room::is_used_up(&run_dir.root) {
        report.remarks.push("the disk of the runner was full when the run ended".to_owned());
    }
    let tree = run_dir.tree.clone();
    let stack_dir = assignment.stack.dir.clone();
    let wanted = assignment.stack.reports.clone();
    let found =
        tokio::task::spawn_blocking(move || reports::collect(&tree, &stack_dir, &wanted)).await;
    if let Ok(found) = found {
        report.tests = found.tests;
        report.plans = found.plans;
        report.remarks.extend(found.remarks);
    }
    Verdict::Done(outcome, Box::new(report))
}

fn broken(trouble: String) -> Verdict {
    let report = Report { trouble: Some(trouble), ..Report::default() };
    Verdict::Done(Outcome::Broken, Box::new(report))
}

fn interrupted(interrupt: Interrupt, assignment: &Assignment, mut report: Report) -> Verdict {
    match interrupt {
        Interrupt::Stopped if !assignment.tracked => Verdict::HandBack,
        Interrupt::Lost => Verdict::Forget,
        Interrupt::Canceled => Verdict::Done(Outcome::Canceled, Box::new(report)),
        Interrupt::Stopped => {
            report.trouble = Some("the runner was stopped".to_owned());
            Verdict::Done(Outcome::Canceled, Box::new(report))
        }
    }
}
