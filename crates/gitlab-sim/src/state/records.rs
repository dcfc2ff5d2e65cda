//! The rows that the simulator keeps. Plain data; the rules are in the sibling modules.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;

use crate::git::Repo;
use crate::ids::{MergeRequestRef, NoteId, PipelineId, ProjectId, UserId};

/// A person or bot.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) username: String,
    pub(crate) name: String,
    pub(crate) bot: bool,
}

/// What a token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Everything its user may do.
    Api,
    /// Every GET.
    ReadApi,
    /// `/user` only.
    ReadUser,
    /// Fetching by git, and raw files.
    ReadRepository,
    /// Fetching and pushing by git.
    WriteRepository,
    /// Rotating the token itself.
    SelfRotate,
}

impl Scope {
    /// GitLab's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::ReadApi => "read_api",
            Self::ReadUser => "read_user",
            Self::ReadRepository => "read_repository",
            Self::WriteRepository => "write_repository",
            Self::SelfRotate => "self_rotate",
        }
    }
}

/// A personal, project or group access token.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) id: u64,
    pub(crate) value: String,
    pub(crate) user: UserId,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) expires_at: Option<jiff::civil::Date>,
    pub(crate) revoked: bool,
    pub(crate) created_at: Timestamp,
}

/// A role in a project, with GitLab's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccessLevel {
    /// May look at some things, may comment.
    Guest = 10,
    /// May read the code.
    Reporter = 20,
    /// May push, post statuses and deploy.
    Developer = 30,
    /// May also push to protected branches and manage hooks.
    Maintainer = 40,
    /// May do everything.
    Owner = 50,
}

/// A project with its repository.
#[derive(Debug)]
pub(crate) struct Project {
    pub(crate) id: ProjectId,
    pub(crate) path: String,
    pub(crate) former_paths: Vec<String>,
    pub(crate) repo: Repo,
    pub(crate) default_branch: String,
    pub(crate) public: bool,
    pub(crate) owner: UserId,
    pub(crate) members: BTreeMap<UserId, AccessLevel>,
    pub(crate) protected_branches: BTreeSet<String>,
    pub(crate) forked_from: Option<ProjectId>,
    /// Most jobs in one pipeline; 0 means no limit.
    pub(crate) pipeline_size_limit: usize,
    pub(crate) created_at: Timestamp,
}

impl Project {
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    pub(crate) fn namespace(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(namespace, _)| namespace)
    }
}

/// One state of a merge request's code.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) id: u64,
    pub(crate) head: String,
    /// Merge base with the target branch.
    pub(crate) base: String,
    /// Tip of the target branch then.
    pub(crate) start: String,
    /// Number of changed files.
    pub(crate) files: usize,
    pub(crate) created_at: Timestamp,
}

/// A merge request. It always has at least one version.
#[derive(Debug, Clone)]
pub(crate) struct MergeRequest {
    pub(crate) id: u64,
    pub(crate) iid: u64,
    pub(crate) project: ProjectId,
    pub(crate) source_project: ProjectId,
    pub(crate) source_branch: String,
    pub(crate) target_branch: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) labels: Vec<String>,
    /// `opened`, `closed` or `merged`.
    pub(crate) state: &'static str,
    pub(crate) author: UserId,
    pub(crate) versions: Vec<Version>,
    /// Commits of every version: a pipeline of any of them is listed.
    pub(crate) commits: BTreeSet<String>,
    pub(crate) merge_commit: Option<String>,
    /// False while GitLab has not looked at the code yet; the API then shows no sha.
    pub(crate) prepared: bool,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

impl MergeRequest {
    pub(crate) fn reference(&self) -> MergeRequestRef {
        MergeRequestRef { project: self.project, iid: self.iid }
    }

    pub(crate) fn head(&self) -> &str {
        self.versions.last().map_or("", |version| version.head.as_str())
    }

    pub(crate) fn draft(&self) -> bool {
        let title = self.title.to_ascii_lowercase();
        ["draft:", "[draft]", "(draft)"].iter().any(|mark| title.starts_with(mark))
    }

    /// The ref in the target repository that follows the head.
    pub(crate) fn head_ref(&self) -> String {
        format!("refs/merge-requests/{}/head", self.iid)
    }
}

/// A pipeline: GitLab's own, or one made for commit statuses.
#[derive(Debug, Clone)]
pub(crate) struct Pipeline {
    pub(crate) id: PipelineId,
    pub(crate) iid: u64,
    pub(crate) project: ProjectId,
    pub(crate) sha: String,
    pub(crate) git_ref: String,
    pub(crate) tag: bool,
    /// `push`, `merge_request_event`, `external`, …
    pub(crate) source: String,
    pub(crate) merge_request: Option<MergeRequestRef>,
    pub(crate) user: UserId,
    pub(crate) status: JobState,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// State of a job or pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobState {
    /// Waiting for earlier jobs.
    Created,
    /// Waiting for a runner.
    Pending,
    /// At work.
    Running,
    /// Passed.
    Success,
    /// Did not pass.
    Failed,
    /// Stopped before it could end.
    Canceled,
    /// Not wanted.
    Skipped,
    /// Waiting for a person.
    Manual,
}

impl JobState {
    /// GitLab's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Skipped => "skipped",
            Self::Manual => "manual",
        }
    }

    /// True when nothing more will happen to the job by itself.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Success | Self::Failed | Self::Canceled | Self::Skipped)
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a row is a CI job or a commit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobKind {
    /// A job of `.gitlab-ci.yml`.
    Build,
    /// A commit status posted through the API.
    External,
}

/// A job row of a pipeline. A name may have many rows; all but the newest are retried.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Number in the instance.
    pub id: u64,
    /// Its pipeline.
    pub pipeline: PipelineId,
    /// CI job or commit status.
    pub kind: JobKind,
    /// What people see as its name.
    pub name: String,
    /// Its state.
    pub state: JobState,
    /// Branch, tag or merge request ref.
    pub git_ref: String,
    /// Who made the row.
    pub user: UserId,
    /// Text beside the name.
    pub description: Option<String>,
    /// Where a click leads.
    pub target_url: Option<String>,
    /// Per cent.
    pub coverage: Option<f64>,
    /// True when a newer row of the same name hides it.
    pub retried: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it began to run.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// A comment on a merge request.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    pub(crate) id: NoteId,
    pub(crate) merge_request: MergeRequestRef,
    pub(crate) author: UserId,
    pub(crate) body: String,
    pub(crate) system: bool,
    pub(crate) internal: bool,
    pub(crate) edits: u32,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// A place where a project is deployed to.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    pub(crate) id: u64,
    pub(crate) project: ProjectId,
    pub(crate) name: String,
    pub(crate) slug: String,
    pub(crate) external_url: Option<String>,
    pub(crate) tier: String,
    pub(crate) stopped: bool,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// One deployment to an environment.
#[derive(Debug, Clone)]
pub(crate) struct Deployment {
    pub(crate) id: u64,
    pub(crate) iid: u64,
    pub(crate) project: ProjectId,
    pub(crate) environment: u64,
    pub(crate) sha: String,
    pub(crate) git_ref: String,
    pub(crate) tag: bool,
    /// `created`, `running`, `success`, `failed` or `canceled`.
    pub(crate) status: String,
    pub(crate) user: UserId,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) finished_at: Option<Timestamp>,
}
