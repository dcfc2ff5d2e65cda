//! Planning: from the facts that were gathered and the streams as they are, the events that follow.
//!
//! Pure, and yet free to look at any stream: a decision that meets one that was not loaded says so
//! ([`Undecided::Missing`]), the caller loads it and asks again. Called by the planner only.

mod command;
mod end;
mod head;
mod needs;
mod runs;

use std::collections::BTreeMap;

use crate::change::ConfigFound;
use crate::config::StatusConfig;
use crate::event::Event;
use crate::event::change::{CommandHandled, ConfigBasis, MergeRequestFacts, Trust};
use crate::fold::Fold;
use crate::id::{ChangeKey, ProjectKey, Sha};
use crate::run::Rejection;
use crate::trigger::MergeRequestAction;

pub use command::handle_once;
pub use end::{cancel_runs, end_change, end_lane};
pub use head::{plan, told};
pub use needs::look_at_needs;

/// Everything that was read for one head.
#[derive(Debug, Clone)]
pub struct Facts {
    pub head: Sha,
    pub merge_request: Option<MergeRequestFacts>,
    pub trust: Trust,
    pub access_level: u32,
    pub config: ConfigFound,
    pub basis: ConfigBasis,
    /// `None`: not known, every path counts as touched.
    pub changed: Option<Vec<String>>,
    pub skip: bool,
    pub posting_project: ProjectKey,
    pub lane: String,
    pub git_ref: String,
    pub default_branch: String,
}

/// What asks for a plan.
#[derive(Debug, Clone)]
pub enum Asked {
    Push {
        before: Option<Sha>,
    },
    Tag,
    /// The head of a merge request's branch moved, as a push tells it.
    HeadMoved,
    MergeRequest(MergeRequestAction),
    /// `/test`, with the stacks it names.
    Test(Vec<String>),
    /// `/retest`
    Retest,
}

/// A head to plan.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    pub key: &'a ChangeKey,
    pub facts: &'a Facts,
    pub asked: &'a Asked,
    /// The command that asks, which counts as handled with this plan.
    pub command: Option<&'a CommandHandled>,
    /// The stream of the delivery that asks.
    pub delivery: Option<&'a str>,
    /// How statuses are named: by the config, or by the last one that was valid.
    pub status: &'a StatusConfig,
    /// SHA-256, which names runs.
    pub sha256: fn(&[u8]) -> [u8; 32],
}

/// Why there is no decision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecided {
    /// This stream must be loaded first.
    #[error("stream `{0}` was not loaded")]
    Missing(String),
    #[error(transparent)]
    Rejected(#[from] Rejection),
}

/// The streams a decision looks at, and what it wants to append to them.
#[derive(Debug, Default)]
pub struct Ledger {
    known: BTreeMap<String, Vec<Event>>,
    new: Vec<(String, Event)>,
}

impl Ledger {
    /// Takes in a stream's events; the decision begins anew after that.
    pub fn load(&mut self, stream: String, events: Vec<Event>) {
        self.new.clear();
        self.known.insert(stream, events);
    }

    /// What is to be appended, in order.
    pub fn into_events(self) -> Vec<(String, Event)> {
        self.new
    }

    /// The state of a stream, with what was appended to it here.
    fn fold<S: Fold>(&self, stream: &str) -> Result<S, Undecided> {
        let known = self.known.get(stream).ok_or_else(|| Undecided::Missing(stream.to_owned()))?;
        let new = self.new.iter().filter(|(name, _)| name == stream).map(|(_, event)| event);
        Ok(S::of(known.iter().chain(new)))
    }

    fn append(&mut self, stream: &str, event: impl Into<Event>) {
        self.new.push((stream.to_owned(), event.into()));
    }
}

/// The branch a run deploys from.
fn branch_of(key: &ChangeKey) -> String {
    match key {
        ChangeKey::Ref { name, .. } => crate::stream::short_name(name).to_owned(),
        ChangeKey::MergeRequest { .. } => String::new(),
    }
}
