//! What the log must say at the end, whatever happened to the processes. Each check returns the
//! problems that it found, in words.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aldis_domain::event::Event;
use aldis_domain::report::Outcome;
use aldis_domain::stream;
use aldis_gitlab_sim::{Attempt, Simulator};

/// The whole log: stream and event.
pub type Log = Vec<(String, Event)>;

/// How runs ended, in the order in which they did.
pub fn outcomes(log: &Log) -> impl Iterator<Item = Outcome> {
    log.iter().filter_map(|(_, event)| match event {
        Event::RunFinished(finished) => Some(finished.outcome),
        _ => None,
    })
}

/// What GitLab sent was answered 2xx, is in the log once, and has one outcome; a command in a
/// comment was carried out once.
pub fn deliveries(sim: &Simulator, log: &Log) -> Vec<String> {
    let mut problems = Vec::new();
    let mut counts: HashMap<&str, (u32, u32)> = HashMap::new();
    let mut commands = BTreeMap::new();
    for (stream, event) in log {
        match event {
            Event::DeliveryReceived(_) => counts.entry(stream).or_default().0 += 1,
            Event::DeliveryDecided(_) => counts.entry(stream).or_default().1 += 1,
            Event::CommandHandled(command) => *commands.entry(command.note).or_insert(0) += 1,
            _ => {}
        }
    }
    for delivery in sim.deliveries() {
        let name = stream::delivery("shared", &delivery.key);
        let (received, decided) = counts.get(name.as_str()).copied().unwrap_or_default();
        let answered = delivery.attempts.iter().any(Attempt::ok);
        if !answered || (received, decided) != (1, 1) {
            let (id, what) = (delivery.id, delivery.trigger.event());
            problems.push(format!(
                "{what} {id}: answered {answered}, received {received}, decided {decided}"
            ));
        }
    }
    let often = commands.into_iter().filter(|(_, times)| *times != 1);
    problems.extend(often.map(|(note, times)| format!("note {note}: {times} times")));
    problems
}

/// Every wish has one run, which ended once, with the result of its last attempt; a tracked one
/// started at most once.
pub fn runs(log: &Log) -> Vec<String> {
    let mut problems = Vec::new();
    let mut wishes = BTreeSet::new();
    let mut attempts: HashMap<&str, Vec<u64>> = HashMap::new();
    let mut ends: HashMap<&str, Vec<(Option<u64>, Outcome)>> = HashMap::new();
    for (stream, event) in log {
        match event {
            Event::AttemptStarted(a) => attempts.entry(stream).or_default().push(a.epoch),
            Event::RunFinished(f) => {
                let ends = ends.entry(stream).or_default();
                // A late result corrects an unknown one.
                ends.retain(|(_, outcome)| *outcome != Outcome::Unknown);
                ends.push((f.epoch, f.outcome));
            }
            _ => {}
        }
    }
    for (stream, event) in log {
        let Event::RunRequested(run) = event else { continue };
        let tracked = run.deploys.is_some();
        if !wishes.insert((run.project, &run.sha, &run.stack, tracked, run.round)) {
            problems.push(format!("{} of {} was asked for twice", run.stack, run.sha));
        }
        let attempts = attempts.remove(stream.as_str()).unwrap_or_default();
        let ends = ends.remove(stream.as_str()).unwrap_or_default();
        let epochs: Vec<_> = ends.iter().map(|(epoch, _)| *epoch).collect();
        if epochs != [attempts.last().copied()] {
            let (stack, sha) = (&run.stack, &run.sha);
            problems.push(format!("{stack} of {sha}: attempts {attempts:?}, ends {ends:?}"));
        }
        if tracked && attempts.len() > 1 {
            problems.push(format!("{} deploys {} times", run.stack, attempts.len()));
        }
    }
    problems
}

/// Each intent has its outcome before the next one, and none is open at the end.
pub fn intents(log: &Log) -> Vec<String> {
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
