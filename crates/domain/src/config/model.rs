//! The config file after reading: every default filled in, every value checked.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::trigger::MergeRequestAction;

/// A checked `.aldis.yml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// By name, with `defaults` and `variables` merged in.
    pub stacks: BTreeMap<String, Stack>,
    /// Honour `[skip ci]` and `[ci skip]` in the head commit's message, and `push -o ci.skip`.
    pub skip_ci: bool,
    pub status: StatusConfig,
}

/// How statuses are named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusConfig {
    /// Stacks report as `<prefix>/<stack>`.
    pub prefix: String,
    /// Name of the roll-up status; `None`: switched off.
    pub aggregate: Option<String>,
}

/// A named unit of decision, status and environment: what a run executes, with all defaults in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack {
    /// Working directory from the repository's root, `.` for the root; never absolute, no `..`.
    pub dir: String,
    pub steps: Vec<Step>,
    pub on: On,
    /// Globs from the repository's root; empty means every path. Without `paths` in the file:
    /// `<dir>/**`. `*` and `?` stop at `/`, `**` does not; a leading `!` takes away, and the last
    /// glob that matches decides. `docs/`, and `docs` without a wildcard in its last part, also
    /// match everything below.
    pub paths: Vec<String>,
    /// Taken away from what `paths` found.
    pub paths_ignore: Vec<String>,
    /// `variables`, then `defaults.env`, then the stack's own `env`.
    pub env: BTreeMap<String, String>,
    /// For the whole stack.
    #[serde(with = "seconds")]
    pub timeout: Duration,
    /// Stacks that must pass first.
    pub needs: Vec<String>,
    pub reports: Reports,
    pub environment: Option<EnvironmentConfig>,
    pub concurrency: Concurrency,
    /// `None`: the server's executor.
    pub executor: Option<Executor>,
    pub network: Network,
}

/// One command of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub name: String,
    /// Run one after the other by `sh -e`.
    pub run: Vec<String>,
    pub env: BTreeMap<String, String>,
    #[serde(default, with = "optional_seconds", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    pub allow_failure: bool,
    pub when: When,
}

/// When a step runs, by how the steps before it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    OnSuccess,
    OnFailure,
    Always,
}

/// What starts a stack. A missing rule means that this kind never starts it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct On {
    pub push: Option<PushRule>,
    pub tag: Option<TagRule>,
    pub merge_request: Option<MergeRequestRule>,
}

/// Globs over branch names, matched whole and by the same signs as paths. Empty `branches` means every branch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushRule {
    /// Only the project's default branch, whatever its name: what a file without `on` means.
    /// `branches` is then empty and says nothing.
    #[serde(default)]
    pub default_branch: bool,
    pub branches: Vec<String>,
    pub branches_ignore: Vec<String>,
}

/// Globs over tag names. Empty means every tag.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagRule {
    pub tags: Vec<String>,
}

/// Which merge requests, and which of their events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeRequestRule {
    /// Empty means every target branch.
    pub target_branches: Vec<String>,
    pub actions: Vec<MergeRequestAction>,
    /// `false`: drafts are held back until they are ready.
    pub draft: bool,
}

/// Files that steps leave behind for us, by globs relative to the stack's `dir`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reports {
    pub junit: Vec<String>,
    /// `terraform show -json` output.
    pub terraform_plan: Vec<String>,
}

/// The GitLab environment that tracked runs of the stack are reported to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentConfig {
    pub name: String,
    pub url: Option<String>,
    pub tier: Option<Tier>,
    /// `None`: the project's default branch.
    pub tracked_branch: Option<String>,
}

/// GitLab's deployment tiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    Production,
    Staging,
    Testing,
    Development,
    Other,
}

/// How runs of one stack get along.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concurrency {
    /// A new head of a merge request ends the runs of the old one. Never applies to tracked runs.
    pub cancel_superseded: bool,
}

/// How steps are isolated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Executor {
    Bubblewrap,
    /// Asks for leave from the server, and is refused for forks.
    Shell,
}

/// What a step may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    Default,
    None,
}

mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(value.as_secs())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_secs)
    }
}

mod optional_seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "the signature that serde asks for")]
    pub(super) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(|d| d.as_secs()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(Duration::from_secs))
    }
}
