//! Changes: each merge request or ref with its plans.

use aldis_domain::event::change::{
    ChangeEnded, ChangePlanned, CommandHandled, HeadMoved, MergeRequestFacts,
};
use aldis_domain::event::{EndReason, Event};
use aldis_domain::id::{ChangeKey, Sha};
use aldis_store::Position;
use serde::{Deserialize, Serialize};

use super::fold::{Home, Listed, Projection, Seen};

/// Plans that a change's page shows.
const KEPT_PLANS: usize = 20;
/// Commands that a change's page shows.
const KEPT_COMMANDS: usize = 50;

/// The projection.
pub(crate) struct Changes;

/// A change as its page shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChangePage {
    pub(crate) key: ChangeKey,
    /// Of the newest event.
    pub(crate) position: Position,
    pub(crate) head: Option<Sha>,
    pub(crate) merge_request: Option<MergeRequestFacts>,
    /// Newest last, at most 20.
    pub(crate) plans: Vec<PlanEntry>,
    /// Newest last, at most 50.
    pub(crate) commands: Vec<CommandEntry>,
    pub(crate) ended: Option<EndReason>,
}

/// One plan and when it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlanEntry {
    pub(crate) at: i64,
    pub(crate) plan: ChangePlanned,
}

/// One comment command and when it was dealt with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CommandEntry {
    pub(crate) at: i64,
    pub(crate) handled: CommandHandled,
}

impl Projection for Changes {
    const NAME: &'static str = "changes";
    const VERSION: u32 = 1;
    const KINDS: &'static [&'static str] =
        &["head_moved", "change_planned", "command_handled", "change_ended"];
    const HOME: Home = Home::Documents;
    type Body = ChangePage;
    type Entry = ();

    fn key(seen: &Seen) -> Option<String> {
        let key = seen.stream.strip_prefix("change-")?;
        key.parse::<ChangeKey>().ok().map(|key| key.to_string())
    }

    fn apply(body: Option<ChangePage>, key: &str, seen: &Seen) -> Option<ChangePage> {
        let mut body = match body {
            Some(body) => body,
            None => empty(key.parse().ok()?),
        };
        body.position = seen.position;
        match &seen.event {
            Event::HeadMoved(HeadMoved { sha, merge_request }) => {
                body.head = Some(sha.clone());
                body.merge_request.clone_from(merge_request);
                body.ended = None;
            }
            Event::ChangePlanned(plan) => {
                body.plans.push(PlanEntry { at: seen.at, plan: plan.clone() });
                keep_last(&mut body.plans, KEPT_PLANS);
                body.ended = None;
            }
            Event::CommandHandled(handled) => {
                body.commands.push(CommandEntry { at: seen.at, handled: handled.clone() });
                keep_last(&mut body.commands, KEPT_COMMANDS);
            }
            Event::ChangeEnded(ChangeEnded { reason }) => body.ended = Some(reason.clone()),
            _ => {}
        }
        Some(body)
    }

    fn listed(_body: &ChangePage) -> Option<Listed<()>> {
        None
    }
}

fn empty(key: ChangeKey) -> ChangePage {
    ChangePage {
        key,
        position: 0,
        head: None,
        merge_request: None,
        plans: Vec::new(),
        commands: Vec::new(),
        ended: None,
    }
}

fn keep_last<T>(list: &mut Vec<T>, kept: usize) {
    let over = list.len().saturating_sub(kept);
    list.drain(..over);
}
