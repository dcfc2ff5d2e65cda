//! A change's life: one merge request or ref, and what was decided for each of its heads.

use serde::{Deserialize, Serialize};

use super::EndReason;
use crate::config::matching::Rule;
use crate::id::{ProjectKey, RunId, Sha};
use crate::trigger::Command;

/// What we know of a project that deliveries are admitted by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectObserved {
    pub project: ProjectKey,
    /// `group/name`, as it was then; a display value and the git URL's path.
    pub path: String,
    pub default_branch: Option<String>,
    /// Whether the last plan found a config file: then the next delivery is admitted at once.
    pub configured: bool,
    /// Name of the aggregate status by the last config; `None`: switched off.
    pub aggregate: Option<String>,
}

/// A valid signature was seen: from now on unsigned deliveries for this project are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectSigned {
    pub project: ProjectKey,
    pub hook: String,
}

/// The change has this head now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadMoved {
    pub sha: Sha,
    /// `None`: a ref of the project itself.
    pub merge_request: Option<MergeRequestFacts>,
}

/// What GitLab said of a merge request when it was planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeRequestFacts {
    /// `None`: the fork is gone.
    pub source_project: Option<u64>,
    pub source_branch: String,
    pub target_branch: String,
    pub draft: bool,
    pub author: u64,
}

/// Who asks, as far as trust goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    Member,
    Fork,
    Unknown,
}

/// What was decided for one head, and by which facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangePlanned {
    pub sha: Sha,
    pub trust: Trust,
    /// Access level of the actor as GitLab answered then; 0: no member.
    pub access_level: u32,
    pub config: ConfigBasis,
    pub verdict: PlanVerdict,
    /// One per stack of the config, in name order.
    pub stacks: Vec<StackDecision>,
    /// How many paths the change touches; `None`: could not be told, every path counts as touched.
    pub changed_paths: Option<u64>,
    /// Where the statuses go: the posting project.
    pub posting_project: ProjectKey,
    /// Branch, tag, or `refs/merge-requests/N/head`; empty: statuses may be posted nowhere.
    pub lane: String,
}

/// Where the definitions came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigBasis {
    /// The commit or branch it was read at; `None`: there is no file.
    pub at: Option<String>,
    /// SHA-256 of the file, hex.
    pub digest: Option<String>,
}

/// The plan as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum PlanVerdict {
    /// Neither head nor target has a config file.
    NoConfig,
    /// At most the first 20 findings, as `aldis lint` prints them.
    ConfigError {
        findings: Vec<String>,
    },
    /// `[skip ci]` in the head commit, or `push -o ci.skip`.
    SkippedByAuthor,
    /// No stack is affected.
    Nothing {
        stacks: u64,
    },
    /// Every affected stack waits for the merge request to leave draft.
    DraftsHeldBack,
    /// A fork or an unknown author: nothing runs before somebody approves this sha.
    AwaitingApproval,
    Runs,
}

/// One stack's decision and the rule that made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackDecision {
    pub stack: String,
    pub rule: Rule,
    /// `None`: the rule said no.
    pub run: Option<RunId>,
    #[serde(default)]
    pub tracked: bool,
}

/// A comment command was carried out or refused, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandHandled {
    pub note: u64,
    pub command: Command,
    pub actor: u64,
    pub access_level: u32,
    /// `None`: done. Else the rule that refused, as a sentence.
    pub refused: Option<String>,
}

/// Nobody waits for this change any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeEnded {
    pub reason: EndReason,
}
