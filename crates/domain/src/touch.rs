//! What follows from an event: the work rows that are written in the same transaction, so that
//! nothing can be forgotten.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::event::run::Audience;
use crate::id::{ChangeKey, Sha};
use crate::stream;
use crate::trigger::Trigger;

/// What kind of work is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkKind {
    /// A delivery to plan (key: [`stream::plan_key`]), or a change to look at again (key: its
    /// stream).
    Plan,
    /// A run to execute (key: the run).
    Run,
    /// A commit's statuses to write (key: [`stream::statuses_key`]).
    Statuses,
    /// A merge request's sticky note (key: the change).
    Note,
    /// A tracked run's deployment (key: the run).
    Deployment,
}

/// One work row to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    pub kind: WorkKind,
    pub key: String,
    /// 0 is most urgent.
    pub class: u8,
    pub due_in_millis: u64,
}

/// Most urgent: what somebody is looking at right now. A delivery to plan has this class until it
/// is announced, and [`NORMAL`] then.
pub const URGENT: u8 = 0;
/// The usual.
pub const NORMAL: u8 = 1;
/// What may wait when there is much to do.
pub const RELAXED: u8 = 2;

/// How long note updates are gathered, in milliseconds: editing a note for each of many runs that
/// end together would only spend the budget.
const NOTE_GATHERING: u64 = 300;

impl WorkKind {
    /// Every kind; its place here is its number.
    pub const ALL: [Self; 5] =
        [Self::Plan, Self::Run, Self::Statuses, Self::Note, Self::Deployment];

    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Run => "run",
            Self::Statuses => "statuses",
            Self::Note => "note",
            Self::Deployment => "deployment",
        }
    }
}

impl fmt::Display for WorkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Touch {
    /// Work of `kind` on `key`, due now.
    pub fn now(kind: WorkKind, key: impl Into<String>, class: u8) -> Self {
        Self { kind, key: key.into(), class, due_in_millis: 0 }
    }
}

/// The work that `event`, appended to `stream_name`, makes due. `id`: the event's; those of later
/// events are greater.
pub fn touches(event: &Event, stream_name: &str, id: impl fmt::Display) -> Vec<Touch> {
    match event {
        // What is understood and asks for nothing has its outcome already.
        Event::DeliveryReceived(received) if matches!(received.trigger, Trigger::Other { .. }) => {
            Vec::new()
        }
        Event::DeliveryReceived(_) => {
            vec![Touch::now(WorkKind::Plan, stream::plan_key(id, stream_name), URGENT)]
        }
        Event::ChangePlanned(_) | Event::CommandHandled(_) => note_of_stream(stream_name),
        Event::RunRequested(run) if run.needs.is_empty() => {
            vec![Touch::now(WorkKind::Run, run.run.as_str(), run_class(run.deploys.is_some()))]
        }
        Event::RunReleased(released) => run_of_stream(stream_name)
            .map(|run| Touch::now(WorkKind::Run, run, run_class(released.tracked)))
            .into_iter()
            .collect(),
        Event::RunJoined(joined) => note(&joined.audience.change).into_iter().collect(),
        Event::AttemptStarted(started) => {
            let mut due = statuses(&started.audience, &started.sha, NORMAL);
            if let (true, Some(run)) = (started.tracked, run_of_stream(stream_name)) {
                due.push(Touch::now(WorkKind::Deployment, run, NORMAL));
            }
            due
        }
        Event::RunFinished(finished) => {
            let mut due = statuses(&finished.audience, &finished.sha, URGENT);
            due.extend(finished.audience.iter().filter_map(|a| note(&a.change)));
            if finished.needed {
                due.extend(
                    finished
                        .audience
                        .iter()
                        .map(|a| Touch::now(WorkKind::Plan, stream::change(&a.change), URGENT)),
                );
            }
            if finished.tracked {
                due.push(Touch::now(WorkKind::Deployment, finished.run.as_str(), URGENT));
            }
            due
        }
        Event::LaneAdmitted(lane) => vec![lane_touch(lane.project, &lane.sha, URGENT)],
        Event::LanePlanned(lane) => vec![lane_touch(lane.project, &lane.sha, NORMAL)],
        Event::LaneEnded(lane) => vec![lane_touch(lane.project, &lane.sha, URGENT)],
        Event::StatusesSettled(settled) => settled.tell.iter().filter_map(note).collect(),
        Event::PipelinesSeen(seen) if !seen.read => {
            vec![Touch::now(
                WorkKind::Statuses,
                stream::statuses_key(seen.project, &seen.sha),
                NORMAL,
            )]
        }
        _ => Vec::new(),
    }
}

fn run_class(tracked: bool) -> u8 {
    if tracked { URGENT } else { NORMAL }
}

fn run_of_stream(stream_name: &str) -> Option<&str> {
    stream_name.strip_prefix("run-")
}

fn lane_touch(project: crate::id::ProjectKey, sha: &Sha, class: u8) -> Touch {
    Touch::now(WorkKind::Statuses, stream::statuses_key(project, sha), class)
}

fn statuses(audience: &[Audience], sha: &Sha, class: u8) -> Vec<Touch> {
    let mut keys: Vec<_> =
        audience.iter().map(|a| stream::statuses_key(a.posting_project, sha)).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter().map(|key| Touch::now(WorkKind::Statuses, key, class)).collect()
}

fn note(change: &ChangeKey) -> Option<Touch> {
    change.merge_request().map(|_| Touch {
        kind: WorkKind::Note,
        key: change.to_string(),
        class: RELAXED,
        due_in_millis: NOTE_GATHERING,
    })
}

/// Every plan may change what the note says; whether there is a note yet is seen there.
fn note_of_stream(stream_name: &str) -> Vec<Touch> {
    let change = stream_name.strip_prefix("change-").and_then(|c| c.parse::<ChangeKey>().ok());
    change.and_then(|change| note(&change)).into_iter().collect()
}
