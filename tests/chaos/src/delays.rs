//! Why something may take longer than a minute, by what the log shows.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aldis_domain::event::Event;
use aldis_domain::event::run::RunRequested;
use aldis_domain::id::ChangeKey;
use aldis_domain::report::Outcome;
use aldis_store::Envelope;

use crate::converged::STANDS;

/// An intent that has no outcome for so long has lost its answer.
const DOUBT: Duration = Duration::from_secs(15);

/// What was delayed, by project.
#[derive(Debug, Default)]
pub(crate) struct Delays {
    /// The creation of a comment or deployment was in doubt, or the outcome of a deployment whose
    /// runner was lost became known as unknown.
    pub(crate) in_doubt: BTreeSet<u64>,
    /// A planner was lost with it in its hands, so nobody else looked at it before the lease was
    /// over.
    pub(crate) held: BTreeSet<u64>,
    /// Commits of such deployments.
    pub(crate) unknown: BTreeSet<String>,
}

/// What is known on the way through the log; times are the log's.
#[derive(Default)]
struct Reader<'a> {
    delays: Delays,
    healed: i64,
    runs: HashMap<String, RunRequested>,
    finished: HashMap<String, i64>,
    received: HashMap<&'a str, (i64, Option<u64>)>,
    intended: BTreeMap<&'a str, i64>,
}

impl Delays {
    /// Those that were still to be felt after `healed`.
    pub(crate) fn after(healed: SystemTime, log: &[Envelope]) -> Self {
        let healed = micros(healed.duration_since(UNIX_EPOCH).unwrap_or_default());
        let mut reader = Reader { healed, ..Reader::default() };
        for envelope in log {
            if let Ok(event) = envelope.event() {
                reader.read(&envelope.stream, envelope.recorded_at, event);
            }
        }
        reader.delays
    }

    pub(crate) fn concern(&self, project: u64) -> bool {
        self.in_doubt.contains(&project) || self.held.contains(&project)
    }
}

impl<'a> Reader<'a> {
    fn read(&mut self, stream: &'a str, at: i64, event: Event) {
        match event {
            Event::DeliveryReceived(it) => {
                let project = it.trigger.project().map(|project| project.id);
                self.received.insert(stream, (at, project));
            }
            Event::DeliveryDecided(_) => {
                if let Some((since, project)) = self.received.remove(stream) {
                    self.hold(since, at, project);
                }
            }
            Event::RunRequested(run) => drop(self.runs.insert(run.run.to_string(), run)),
            Event::RunReleased(_) => self.moved_on(stream, at),
            Event::RunFinished(run) => {
                self.finished.insert(run.run.to_string(), at);
                if run.epoch.is_none() {
                    self.moved_on(stream, at);
                }
                if run.tracked && run.outcome == Outcome::Unknown && at > self.healed {
                    self.delays.in_doubt.extend(self.project(stream));
                    self.delays.unknown.insert(run.sha.to_string());
                }
            }
            Event::NoteIntended(it) if it.note.is_none() => self.intend(stream, at),
            Event::DeploymentIntended(it) if it.deployment.is_none() => self.intend(stream, at),
            Event::NoteConfirmed(_)
            | Event::NoteRefused(_)
            | Event::DeploymentConfirmed(_)
            | Event::DeploymentRefused(_) => {
                let since = self.intended.remove(stream).filter(|_| at > self.healed);
                if since.is_some_and(|since| at - since > micros(DOUBT)) {
                    self.delays.in_doubt.extend(self.project(stream));
                }
            }
            _ => {}
        }
    }

    fn intend(&mut self, stream: &'a str, at: i64) {
        self.intended.insert(stream, at);
    }

    /// A run began to be due, or never was: a planner looked at what it needs.
    fn moved_on(&mut self, stream: &str, at: i64) {
        let Some(run) = stream.split_once('-').and_then(|(_, id)| self.runs.get(id)) else {
            return;
        };
        let needs = run.needs.values().filter_map(|need| self.finished.get(&need.to_string()));
        let (since, project) = (needs.max().copied(), run.project.id);
        if let Some(since) = since {
            self.hold(since, at, Some(project));
        }
    }

    /// Something was due for a planner since then, and dealt with at last.
    fn hold(&mut self, since: i64, at: i64, project: Option<u64>) {
        if at > self.healed && at - since > micros(STANDS) {
            self.delays.held.extend(project);
        }
    }

    /// The project that a note, a deployment or a run belongs to.
    fn project(&self, stream: &str) -> Option<u64> {
        let (kind, name) = stream.split_once('-')?;
        match kind {
            "note" => name.parse::<ChangeKey>().ok().map(|change| change.project().id),
            _ => self.runs.get(name).map(|run| run.project.id),
        }
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
