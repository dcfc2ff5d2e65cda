//! The lives of what we own in GitLab: the statuses of a commit, a note, a deployment.
//!
//! Each outward act is written down before it is done and after: *intended*, then *confirmed* or
//! *refused*. An intent without an outcome is in doubt, and is resolved by reading GitLab.

use serde::{Deserialize, Serialize};

use super::EndReason;
use super::change::PlanVerdict;
use crate::id::{ChangeKey, ProjectKey, RunId, Sha};

/// A commit's statuses are wanted, before it is known which stacks there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneAdmitted {
    pub project: ProjectKey,
    pub sha: Sha,
    pub lane: String,
    pub change: ChangeKey,
    /// Name of the aggregate status.
    pub aggregate: String,
}

/// What the statuses of a lane stand for, by one change's plan. A later plan of the same change
/// replaces it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanePlanned {
    pub project: ProjectKey,
    pub sha: Sha,
    pub lane: String,
    pub change: ChangeKey,
    pub verdict: PlanVerdict,
    /// `None`: switched off.
    pub aggregate: Option<String>,
    pub runs: Vec<LaneRun>,
    /// How many stacks the config has.
    pub stacks: u64,
}

/// One stack's line in the pipeline view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneRun {
    pub stack: String,
    /// Full status name, such as `aldis/api`.
    pub name: String,
    pub run: RunId,
}

/// A change no longer looks at the lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneEnded {
    pub project: ProjectKey,
    pub sha: Sha,
    pub lane: String,
    pub change: ChangeKey,
    pub reason: EndReason,
}

/// GitLab's pipelines of the commit, as last read or told by a Pipeline Hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelinesSeen {
    pub project: ProjectKey,
    pub sha: Sha,
    /// `false`: a hook says that there is something new; read before the next write.
    pub read: bool,
    pub pipelines: Vec<PipelineSeen>,
}

/// One pipeline of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineSeen {
    pub id: u64,
    /// Branch, tag, or `refs/merge-requests/N/head`.
    #[serde(rename = "ref")]
    pub name: String,
    /// `external`: made by commit statuses.
    pub source: String,
}

/// GitLab's states of a commit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusState {
    Pending,
    Running,
    Success,
    Failed,
    Canceled,
    Skipped,
}

/// These status lines are about to be written, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusesIntended {
    pub writes: Vec<StatusWrite>,
    /// Fencing number of the work item's lease.
    pub epoch: u64,
}

/// One status to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusWrite {
    pub lane: String,
    pub name: String,
    /// What the line stands for: a run's id, or the aggregate's plan number. A new attempt may be
    /// unfinished again, the same never.
    pub attempt: String,
    pub state: StatusState,
    pub description: String,
    /// The run it links to; `None`: the commit's page.
    pub run: Option<RunId>,
    /// The pinned pipeline; `None`: the lane has no home yet.
    pub pipeline: Option<u64>,
}

/// How the intended writes went, in the same order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusesSettled {
    pub outcomes: Vec<StatusOutcome>,
    /// Merge requests whose note must tell that a line was refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tell: Vec<ChangeKey>,
    /// No answer came, and they are what GitLab showed then. A write may land yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read: bool,
}

/// Nothing that was sent and not answered can land any more: these lines show something else than
/// was known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusesCompared {
    pub lines: Vec<StatusShown>,
}

/// What a line shows in GitLab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusShown {
    pub pipeline: u64,
    pub name: String,
    pub state: StatusState,
    pub description: String,
}

/// How one write went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum StatusOutcome {
    /// GitLab shows it.
    Confirmed { pipeline: u64, job: u64 },
    /// It was not done and may be tried again.
    NotDone,
    /// GitLab shows something else for this line.
    Differs { pipeline: u64, job: u64, state: StatusState },
    /// Refused for good: the reason in GitLab's words.
    Refused { class: RefusalClass, message: String },
    /// The pinned pipeline is gone.
    HomeGone,
}

/// Why GitLab refused, by what can be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalClass {
    /// 403: the bot may not.
    Forbidden,
    /// 404: the commit, merge request or project is gone or hidden.
    Gone,
    /// 400 or 422: the request itself, such as a name that a CI job bears.
    Invalid,
    /// 422: the pipeline holds no more jobs.
    Full,
}

/// GitLab does not let the bot write statuses in this lane of the project (a protected branch, for
/// one). Not tried again within a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapabilityLost {
    pub project: ProjectKey,
    pub lane: String,
    pub message: String,
}

/// The sticky note is about to be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteIntended {
    /// `None`: it will be created.
    pub note: Option<u64>,
    /// SHA-256 of the body, hex.
    pub digest: String,
    pub epoch: u64,
}

/// The sticky note stands with this body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteConfirmed {
    pub note: u64,
    pub digest: String,
    /// No answer came, and this is what GitLab showed then. A write may land yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read: bool,
}

/// Nothing that was sent and not answered can land any more: this is what the note shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteCompared {
    /// `None`: it is not to be seen.
    pub digest: Option<String>,
}

/// The note was not written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteRefused {
    /// `None`: not done, may be tried again.
    pub class: Option<RefusalClass>,
    /// The note we had is gone: a person deleted it.
    pub gone: bool,
    pub message: String,
}

/// The environment exists with this tier and URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentConfirmed {
    pub environment: u64,
}

/// GitLab's states of a deployment made by the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentState {
    Running,
    Success,
    Failed,
    Canceled,
}

/// A deployment is about to be made or moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentIntended {
    /// `None`: it will be created.
    pub deployment: Option<u64>,
    pub state: DeploymentState,
    pub epoch: u64,
}

/// The deployment shows this state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentConfirmed {
    pub deployment: u64,
    pub state: DeploymentState,
}

/// The deployment, or the environment for it, was not written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentRefused {
    /// `None`: not done, may be tried again.
    pub class: Option<RefusalClass>,
    pub message: String,
    /// What the deployment should have shown. `None`: as intended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<DeploymentState>,
}
