//! Hooks: registrations, deliveries and what a test may do to them.
//! The rows live in the state; `hooks::send` is the one task that posts them.

pub(crate) mod payload;
pub(crate) mod send;
mod sign;

use bytes::Bytes;
use jiff::Timestamp;

use crate::ids::{DeliveryId, HookId, ProjectId};

pub(crate) use sign::{decode_key, signature};

/// An event that a hook may be registered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trigger {
    /// A branch was pushed, created or deleted.
    Push,
    /// A tag was pushed or deleted.
    TagPush,
    /// A merge request changed.
    MergeRequests,
    /// A comment was made or edited.
    Note,
    /// The same for internal comments.
    ConfidentialNote,
    /// A pipeline changed its status.
    Pipeline,
    /// A deployment changed its status.
    Deployment,
}

impl Trigger {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Push,
        Self::TagPush,
        Self::MergeRequests,
        Self::Note,
        Self::ConfidentialNote,
        Self::Pipeline,
        Self::Deployment,
    ];

    /// Value of `X-Gitlab-Event`.
    pub fn event(self) -> &'static str {
        match self {
            Self::Push => "Push Hook",
            Self::TagPush => "Tag Push Hook",
            Self::MergeRequests => "Merge Request Hook",
            Self::Note => "Note Hook",
            Self::ConfidentialNote => "Confidential Note Hook",
            Self::Pipeline => "Pipeline Hook",
            Self::Deployment => "Deployment Hook",
        }
    }

    /// Name of the flag in the hook API.
    pub fn flag(self) -> &'static str {
        match self {
            Self::Push => "push_events",
            Self::TagPush => "tag_push_events",
            Self::MergeRequests => "merge_requests_events",
            Self::Note => "note_events",
            Self::ConfidentialNote => "confidential_note_events",
            Self::Pipeline => "pipeline_events",
            Self::Deployment => "deployment_events",
        }
    }
}

/// How the receiver may know that a delivery is genuine.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// Not at all.
    None,
    /// `X-Gitlab-Token` in plain text.
    Token(String),
    /// `webhook-signature`; a key as `whsec_<base64 of 32 bytes>`.
    Signing(String),
    /// Both headers.
    Both {
        /// For `X-Gitlab-Token`.
        token: String,
        /// For `webhook-signature`.
        signing: String,
    },
}

impl Secret {
    pub(crate) fn token(&self) -> Option<&str> {
        match self {
            Self::Token(token) | Self::Both { token, .. } => Some(token),
            Self::None | Self::Signing(_) => None,
        }
    }

    pub(crate) fn signing(&self) -> Option<&str> {
        match self {
            Self::Signing(signing) | Self::Both { signing, .. } => Some(signing),
            Self::None | Self::Token(_) => None,
        }
    }

    pub(crate) fn from_parts(token: Option<String>, signing: Option<String>) -> Self {
        match (token, signing) {
            (None, None) => Self::None,
            (Some(token), None) => Self::Token(token),
            (None, Some(signing)) => Self::Signing(signing),
            (Some(token), Some(signing)) => Self::Both { token, signing },
        }
    }
}

impl std::fmt::Debug for Secret {
    /// Says which kind, never the value.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Token(_) => "Token(…)",
            Self::Signing(_) => "Signing(…)",
            Self::Both { .. } => "Both(…)",
        })
    }
}

/// A registration.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    pub(crate) id: HookId,
    pub(crate) project: ProjectId,
    /// Belongs to the group above the project: fires too, but the project does not list it.
    pub(crate) group_level: bool,
    pub(crate) url: String,
    pub(crate) secret: Secret,
    pub(crate) triggers: std::collections::BTreeSet<Trigger>,
    pub(crate) created_at: Timestamp,
}

/// One event for one hook, with everything that became of it.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its number.
    pub id: DeliveryId,
    /// The hook it is for.
    pub hook: HookId,
    /// The project where it happened.
    pub project: ProjectId,
    /// What it tells.
    pub trigger: Trigger,
    /// `Idempotency-Key` and `webhook-id`; the same when it is delivered again.
    pub key: String,
    /// The JSON body, byte for byte as it is signed.
    pub body: Bytes,
    /// Whether it waits, and why.
    pub state: DeliveryState,
    /// Every time it was sent, oldest first.
    pub attempts: Vec<Attempt>,
}

/// Whether a delivery still has to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// Kept back by [`crate::Simulator::hold_deliveries`].
    Held,
    /// In the queue or on its way.
    Queued,
    /// Sent at least once, and answered or failed.
    Sent,
    /// Thrown away by a test.
    Dropped,
}

/// One HTTP request of a delivery.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// When it began.
    pub at: Timestamp,
    /// Headers as sent, without the secret token's value.
    pub headers: Vec<(String, String)>,
    /// How long the receiver took.
    pub took: std::time::Duration,
    /// Status code, or why there was none.
    pub answer: Result<u16, String>,
    /// Start of the answer's body, at most 8 KB.
    pub answer_body: String,
}

impl Attempt {
    /// 2xx and 3xx count as delivered.
    pub fn ok(&self) -> bool {
        matches!(self.answer, Ok(200..=399))
    }
}

/// In which order held deliveries go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    AsFired,
    /// Newest first.
    Reversed,
    /// In an order that follows from this seed.
    Shuffled(u64),
    /// These, in this order; the others stay held.
    Chosen(Vec<DeliveryId>),
}
