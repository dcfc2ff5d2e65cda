//! Hints between services: a bell that says "look", never a fact.
//!
//! Losing, doubling or reordering every hint costs latency, never correctness: each consumer also
//! looks by itself every few seconds. The consumer loop of all services is here, written once.

mod consume;
mod in_process;
mod rabbitmq;

pub use consume::{Step, Stop, StopHandle, consume, stop};
pub use in_process::{Baton, Bus, Listener};
pub use rabbitmq::{Broker, BrokerError};

/// What a hint is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// A delivery is to be announced.
    Announce,
    /// A delivery or a change is to be planned.
    Plan,
    /// A run may be claimed.
    Run,
    /// Statuses are to be written that somebody waits for.
    UrgentStatuses,
    /// Statuses are to be written.
    Statuses,
    /// Comments are to be written.
    Notes,
    /// Deployments are to be written.
    Deployments,
    /// A running run should end.
    Cancel,
    /// Something was appended: projections may move on.
    Log,
    /// There is news of a commit that runs will probably need.
    Commit,
}

impl Topic {
    /// Whether a hint is for one of many consumers, in this process or another, who then looks and
    /// passes on what is more than it takes: every look is a write to the store. The others reach
    /// everybody; of runs nobody else knows who has a free slot.
    fn is_shared(self) -> bool {
        !matches!(self, Self::Run | Self::Cancel | Self::Log | Self::Commit)
    }

    /// The topic whose consumers step in when none of this one's is free: they do its work, too.
    fn helpers(self) -> Option<Self> {
        match self {
            Self::Announce => Some(Self::Plan),
            Self::UrgentStatuses => Some(Self::Statuses),
            _ => None,
        }
    }

    fn routing_key(self) -> &'static str {
        match self {
            Self::Announce => "announce",
            Self::Plan => "plan",
            Self::Run => "run",
            Self::UrgentStatuses => "urgent-statuses",
            Self::Statuses => "statuses",
            Self::Notes => "notes",
            Self::Deployments => "deployments",
            Self::Cancel => "cancel",
            Self::Log => "log",
            Self::Commit => "commit",
        }
    }

    /// Of a newer Aldis there may be others.
    fn of_routing_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.routing_key() == key)
    }

    fn queue(self) -> String {
        format!("aldis.{}", self.routing_key())
    }

    /// All topics.
    pub const ALL: [Self; 10] = [
        Self::Announce,
        Self::Plan,
        Self::Run,
        Self::UrgentStatuses,
        Self::Statuses,
        Self::Notes,
        Self::Deployments,
        Self::Cancel,
        Self::Log,
        Self::Commit,
    ];
}
