//! A delivery's life: one webhook POST.

use serde::{Deserialize, Serialize};

use super::change::StackDecision;
use crate::id::{ChangeKey, ProjectKey, Sha};
use crate::trigger::Trigger;

/// An authentic delivery is on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryReceived {
    /// The hook's name in the URL, `shared` for the path without one.
    pub hook: String,
    /// GitLab's `webhook-id` or `Idempotency-Key`; `None` for servers before 17.4.
    pub key: Option<String>,
    /// `X-Gitlab-Event`, at most 64 characters.
    pub event: String,
    pub verified: Verification,
    /// `true`: made with the previous secret, which may not be dropped yet.
    pub previous_secret: bool,
    pub source_ip: Option<String>,
    /// Body size.
    pub bytes: u64,
    /// SHA-256 of the body, hex: its row in `payloads`.
    pub payload: String,
    pub trigger: Trigger,
}

/// How a delivery proved that it is GitLab's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verification {
    Signature,
    Token,
}

/// Somebody posted something that is not authentic, or too large. Answered 401 or 413.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryRefused {
    pub hook: String,
    pub event: String,
    pub reason: Refusal,
    pub source_ip: Option<String>,
    /// How many of the same hook, reason and source this record stands for.
    pub times: u64,
}

/// Why a POST was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    MissingSecret,
    WrongSecret,
    BadSignature,
    StaleTimestamp,
    /// The hook has signed before, this request is not signed.
    SignatureRequired,
    TooLarge,
}

/// Authentic, kept, but not understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryQuarantined {
    pub hook: String,
    pub key: Option<String>,
    pub event: String,
    pub verified: Verification,
    pub bytes: u64,
    pub payload: String,
    /// What is wrong, with line and column where there is one.
    pub problem: String,
}

/// What the planner made of the delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryDecided {
    pub verdict: DeliveryVerdict,
    /// The plans that were made or joined because of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plans: Vec<DeliveryPlan>,
}

/// One change that was planned because of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryPlan {
    pub change: ChangeKey,
    pub sha: Sha,
    /// `false`: every run existed already, the delivery was absorbed by them.
    pub new_runs: bool,
    pub stacks: Vec<StackDecision>,
}

/// The outcome in a word, with what a person needs to believe it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum DeliveryVerdict {
    /// Changes were planned; see the plans.
    Planned,
    /// Nothing in it asks for work: the reason as a sentence.
    Ignored { reason: String },
    /// A comment command was carried out or refused.
    Command { reason: String },
    /// The change is over: its runs and lanes were ended.
    Ended,
    /// GitLab's own pipelines changed; statuses look for their home again.
    Noted,
    /// The project cannot be read: unknown here, or the token has no access.
    Unreadable { project: Option<ProjectKey>, reason: String },
}
