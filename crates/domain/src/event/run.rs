//! A run's life: one execution of one stack for one commit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::EndReason;
use super::change::Trust;
use crate::config::{EnvironmentConfig, Stack};
use crate::id::{ChangeKey, ProjectKey, RunId, Sha};
use crate::report::{Outcome, Report};

/// Somebody's statuses or note show the run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Audience {
    pub change: ChangeKey,
    /// Where the statuses go.
    pub posting_project: ProjectKey,
}

/// A run is wanted. Its stream's name is the digest of its key, so the same wish meets itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRequested {
    pub run: RunId,
    pub project: ProjectKey,
    pub sha: Sha,
    pub stack: String,
    pub definition: Stack,
    pub trust: Trust,
    pub round: u32,
    pub audience: Audience,
    /// Where the commit can be fetched by name: `refs/heads/…`, `refs/tags/…`,
    /// `refs/merge-requests/N/head`.
    pub git_ref: String,
    /// Set for a tracked run.
    pub deploys: Option<Deploys>,
    /// Runs that must pass first, by stack name.
    pub needs: BTreeMap<String, RunId>,
    /// Whether runs of the same plan wait for this one.
    pub needed: bool,
    /// The rule's reason in a sentence: *why it ran*.
    pub why: String,
    /// The stream of the delivery that asked first.
    pub delivery: Option<String>,
}

/// What a tracked run is reported to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deploys {
    pub environment: EnvironmentConfig,
    /// The branch's short name.
    pub branch: String,
}

/// Another change wants the same run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunJoined {
    pub audience: Audience,
    pub sha: Sha,
    /// Whether runs of the joining plan wait for this one.
    pub needed: bool,
    pub delivery: Option<String>,
}

/// Everything it needs has passed: it may be claimed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunReleased {
    /// A tracked run goes before test runs.
    #[serde(default)]
    pub tracked: bool,
}

/// A runner has the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptStarted {
    /// From 1.
    pub attempt: u32,
    /// Fencing number of the lease.
    pub epoch: u64,
    pub runner: String,
    pub sha: Sha,
    pub audience: Vec<Audience>,
    pub tracked: bool,
}

/// The runner of an attempt was not heard of in time, or its process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptLost {
    pub epoch: u64,
    /// `false`: our own restart, which does not count as an attempt.
    pub counts: bool,
}

/// The run should end; a running attempt is told at its next heartbeat or sooner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRequested {
    pub reason: EndReason,
}

/// A change no longer wants the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunLeft {
    pub change: ChangeKey,
    pub reason: EndReason,
}

/// The run is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFinished {
    pub run: RunId,
    pub sha: Sha,
    pub outcome: Outcome,
    /// `None`: it never started.
    pub epoch: Option<u64>,
    /// Why it was ended, for canceled and skipped runs.
    pub reason: Option<EndReason>,
    pub report: Report,
    /// Whose statuses and notes change with it.
    pub audience: Vec<Audience>,
    pub tracked: bool,
    /// Whether other runs wait for it.
    pub needed: bool,
}
