//! What a runner and the run queue say to each other: one trait, its messages, no IO.
//!
//! Every message of a runner after the claim carries (run, epoch). A stale epoch is refused with
//! [`DispatchError::Stale`]: the runner then ends the job and forgets it. [`wire`] says how the
//! messages travel between machines.

pub mod wire;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use aldis_domain::config::Stack;
use aldis_domain::id::{ProjectKey, RunId, Sha};
use aldis_domain::report::{Outcome, Report};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// The run queue as a runner sees it. Adapters: in process, and over HTTP.
pub trait Dispatcher: Clone + Send + Sync + 'static {
    /// Takes the next due run, if there is one. Asked again with the same request, because the
    /// answer did not arrive, it hands out the same attempt.
    fn claim(
        &self,
        request: ClaimRequest,
    ) -> impl Future<Output = Result<Option<Assignment>, DispatchError>> + Send;

    /// Commits that runs will probably need, told after `after` (`None`: from now on), so that they
    /// can be fetched before the first of these runs is claimed. Resolves when there are any; never
    /// where the queue tells none. Missing one costs time, nothing else.
    fn announced(&self, after: Option<i64>) -> impl Future<Output = Announced> + Send;

    /// Keeps the lease and learns whether to go on. To be called every third of the lease or so.
    fn heartbeat(
        &self,
        ticket: &Ticket,
    ) -> impl Future<Output = Result<Directive, DispatchError>> + Send;

    /// Resolves when the run should be canceled, as soon as the queue knows. Never resolves if not.
    fn canceled(&self, ticket: &Ticket) -> impl Future<Output = ()> + Send;

    /// Hands over output. `seq` makes a repeated chunk harmless.
    fn log(&self, chunk: LogChunk) -> impl Future<Output = Result<(), DispatchError>> + Send;

    /// Gives the run back unfinished: another runner may take it at once, and the attempt does not
    /// count. Not for tracked runs.
    fn hand_back(&self, ticket: &Ticket) -> impl Future<Output = Result<(), DispatchError>> + Send;

    /// Ends the attempt. The first answer counts; repeating it with the same epoch is harmless.
    fn finish(&self, finish: Finish) -> impl Future<Output = Result<(), DispatchError>> + Send;
}

/// What a free slot asks for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClaimRequest {
    /// Name of the runner and slot, shown on the run page.
    pub runner: String,
    /// Names this wish of this slot: a new one after each answer.
    pub id: String,
    /// Whether the same was asked before and no answer came.
    pub again: bool,
}

/// Commits to fetch ahead.
#[derive(Debug, Clone)]
pub struct Announced {
    /// What to ask with the next time.
    pub upto: i64,
    pub commits: Vec<Commit>,
}

/// A commit and where it is to be had.
#[derive(Debug, Clone)]
pub struct Commit {
    pub project: ProjectKey,
    pub sha: Sha,
    /// As [`Assignment::git_ref`].
    pub git_ref: String,
    pub source: Source,
}

/// The right to work on a run: what every later message carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    pub run: RunId,
    /// Fencing number of the lease.
    pub epoch: u64,
}

/// A run to execute.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Assignment {
    pub ticket: Ticket,
    pub attempt: u32,
    /// Until the next heartbeat must have been heard.
    #[serde(with = "wire::millis")]
    pub lease: Duration,
    /// A tracked run is not killed for a lost lease.
    pub tracked: bool,
    pub project: ProjectKey,
    pub sha: Sha,
    /// Where the commit can be asked for if the server does not hand out bare shas:
    /// `refs/heads/…`, `refs/tags/…` or `refs/merge-requests/N/head`.
    pub git_ref: String,
    pub stack_name: String,
    pub stack: Stack,
    /// From a fork or an unknown author: no secrets, no network, never the shell executor.
    pub untrusted: bool,
    pub source: Source,
    /// `CI=true`, `ALDIS_…` and friends; below the stack's own `env`.
    pub env: Vec<(String, String)>,
}

/// Where the commit comes from. Never shown, never put in a URL, an argument or a file.
#[derive(Clone, Serialize, Deserialize)]
pub struct Source {
    /// Built from the instance's base URL and the project's path; without user or password.
    pub url: String,
    pub user: String,
    #[serde(with = "wire::secret")]
    pub token: SecretString,
    /// PEM file that git must trust besides the system's store.
    pub ca_file: Option<String>,
    /// `false` only if the operator asked for it.
    pub verify_tls: bool,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("url", &self.url).finish_non_exhaustive()
    }
}

/// The answer to a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Directive {
    Go,
    /// End the steps, then finish with [`Outcome::Canceled`].
    Cancel,
}

/// A piece of a step's output, at most 64 KiB, secrets masked, ANSI kept.
#[derive(Debug, Clone)]
pub struct LogChunk {
    pub ticket: Ticket,
    /// Number of the step, from 0; the workspace's own words come as step 0 of [`LogChunk::SETUP`].
    pub step: u32,
    /// Counts from 0 within the attempt, over all steps.
    pub seq: u64,
    pub bytes: Vec<u8>,
}

impl LogChunk {
    /// The step number under which fetching and preparing speak.
    pub const SETUP: u32 = u32::MAX;
}

/// The end of an attempt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Finish {
    pub ticket: Ticket,
    pub outcome: Outcome,
    pub report: Report,
}

/// Why the queue did not take a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DispatchError {
    /// Somebody else holds the run now, or it is over: stop, and say nothing more of it.
    #[error("the lease on this run is no longer ours")]
    Stale,
    /// Try again later: the queue could not be reached or could not store.
    #[error("the run queue cannot answer: {0}")]
    Unavailable(String),
}
