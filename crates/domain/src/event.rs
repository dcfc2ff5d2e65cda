//! Past-tense facts: what the log holds.
//!
//! Shapes only ever grow: a field that comes later has a default, a changed meaning is a new kind.
//! No name, e-mail or prose of people stands in an event; actors are numbers.

pub mod change;
pub mod delivery;
pub mod resource;
pub mod run;

use serde::{Deserialize, Serialize};

use change::{
    ChangeEnded, ChangePlanned, CommandHandled, HeadMoved, ProjectObserved, ProjectSigned,
};
use delivery::{DeliveryDecided, DeliveryQuarantined, DeliveryReceived, DeliveryRefused};
use resource::{
    CapabilityLost, DeploymentConfirmed, DeploymentIntended, DeploymentRefused,
    EnvironmentConfirmed, LaneAdmitted, LaneEnded, LanePlanned, NoteCompared, NoteConfirmed,
    NoteIntended, NoteRefused, PipelinesSeen, StatusesCompared, StatusesIntended, StatusesSettled,
};
use run::{
    AttemptLost, AttemptStarted, CancelRequested, RunFinished, RunJoined, RunLeft, RunReleased,
    RunRequested,
};

/// Why a stored body is not the event its kind says.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Written by a newer Aldis. Folds pass over it; see [`Event::decode`].
    #[error("no event of kind `{0}` is known here")]
    UnknownKind(String),
    #[error("event of kind `{kind}`, schema {version}: {source}")]
    Body { kind: String, version: u32, source: serde_json::Error },
}

macro_rules! events {
    ($($name:ident $kind:literal),* $(,)?) => {
        /// Everything that can have happened.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[expect(clippy::large_enum_variant, reason = "events are made one at a time and soon become text")]
        pub enum Event {
            $($name($name),)*
        }

        impl Event {
            /// Every kind, in the order of a delivery's way through the house.
            pub const KINDS: &'static [&'static str] = &[$($kind),*];

            /// The kind as it is stored.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => $kind,)*
                }
            }

            /// The canonical text that is stored and hashed.
            pub fn body(&self) -> String {
                let text = match self {
                    $(Self::$name(fact) => serde_json::to_string(fact),)*
                };
                text.expect("events hold only strings, numbers and maps with string keys")
            }

            /// Reads a stored event. A kind that is not known here is an error of its own, so that
            /// a fold can pass over what a newer Aldis wrote.
            pub fn decode(kind: &str, version: u32, body: &str) -> Result<Self, EventError> {
                let wrong = |source| EventError::Body { kind: kind.to_owned(), version, source };
                match kind {
                    $($kind => serde_json::from_str(body).map(Self::$name).map_err(wrong),)*
                    _ => Err(EventError::UnknownKind(kind.to_owned())),
                }
            }
        }

        $(impl From<$name> for Event {
            fn from(fact: $name) -> Self {
                Self::$name(fact)
            }
        })*
    };
}

events! {
    DeliveryReceived "delivery_received",
    DeliveryRefused "delivery_refused",
    DeliveryQuarantined "delivery_quarantined",
    DeliveryDecided "delivery_decided",
    ProjectObserved "project_observed",
    ProjectSigned "project_signed",
    HeadMoved "head_moved",
    ChangePlanned "change_planned",
    CommandHandled "command_handled",
    ChangeEnded "change_ended",
    RunRequested "run_requested",
    RunJoined "run_joined",
    RunReleased "run_released",
    AttemptStarted "attempt_started",
    AttemptLost "attempt_lost",
    CancelRequested "cancel_requested",
    RunLeft "run_left",
    RunFinished "run_finished",
    LaneAdmitted "lane_admitted",
    LanePlanned "lane_planned",
    LaneEnded "lane_ended",
    PipelinesSeen "pipelines_seen",
    StatusesIntended "statuses_intended",
    StatusesSettled "statuses_settled",
    StatusesCompared "statuses_compared",
    CapabilityLost "capability_lost",
    NoteIntended "note_intended",
    NoteConfirmed "note_confirmed",
    NoteCompared "note_compared",
    NoteRefused "note_refused",
    EnvironmentConfirmed "environment_confirmed",
    DeploymentIntended "deployment_intended",
    DeploymentConfirmed "deployment_confirmed",
    DeploymentRefused "deployment_refused",
}

impl Event {
    /// Version of every body's shape as this Aldis writes it.
    pub const SCHEMA_VERSION: u32 = 1;
}

/// A fact about why something was ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum EndReason {
    /// The change has a newer head.
    Superseded {
        by: crate::id::Sha,
    },
    Closed,
    Merged,
    /// The branch or tag is gone.
    Deleted,
    /// `/cancel`; the actor's number.
    Asked {
        by: u64,
    },
    /// A stack it needs ended without passing.
    NeedFailed {
        stack: String,
    },
    /// Newer facts show that the sha was no head of the change.
    Stale,
}
