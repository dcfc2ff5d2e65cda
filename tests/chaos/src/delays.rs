//! Why something may take longer than a minute, by what the log shows.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aldis_domain::event::Event;
use aldis_domain::event::run::RunRequested;
use aldis_domain::id::ChangeKey;
use aldis_domain::report::Outcome;
use aldis_store::Envelope;

/// An intent that has no outcome for so long has lost its answer.
const DOUBT: Duration = Duration::from_secs(15);

/// What was delayed, by project.
#[derive(Debug, Default)]
pub(crate) struct Delays {
    /// A write of a comment or deployment was in doubt, or the outcome of a deployment whose
    /// runner was lost became known as unknown.
    pub(crate) in_doubt: BTreeSet<u64>,
    /// Commits of such deployments.
    pub(crate) unknown: BTreeSet<String>,
}

/// What is known on the way through the log; times are the log's.
#[derive(Default)]
struct Reader<'a> {
    delays: Delays,
    healed: i64,
    runs: HashMap<String, RunRequested>,
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
}

impl<'a> Reader<'a> {
    fn read(&mut self, stream: &'a str, at: i64, event: Event) {
        match event {
            Event::RunRequested(run) => drop(self.runs.insert(run.run.to_string(), run)),
            Event::RunFinished(run)
                if run.tracked && run.outcome == Outcome::Unknown && at > self.healed =>
            {
                self.delays.in_doubt.extend(self.project(stream));
                self.delays.unknown.insert(run.sha.to_string());
            }
            Event::NoteIntended(_) | Event::DeploymentIntended(_) => {
                self.intended.insert(stream, at);
            }
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
