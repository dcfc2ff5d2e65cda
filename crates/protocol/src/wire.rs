//! The messages between a runner on another machine and the run queue: HTTP, JSON, one stream of
//! hints.
//!
//! Every request carries the runner's token as `Authorization: Bearer`. Answers: 200 with a body or
//! 204 without, 401 for a token that is not known, 403 with [`Refusal`] when nothing may be handed
//! to this runner, 409 when the lease is stale. Everything else means: later.

use aldis_domain::id::RunId;
use serde::{Deserialize, Serialize};

/// Who am I? 200 with [`Welcome`].
pub const HELLO: &str = "/api/v1/runner/hello";
/// POST of a [`ClaimRequest`](crate::ClaimRequest): 200 with an
/// [`Assignment`](crate::Assignment), or 204.
pub const CLAIM: &str = "/api/v1/runner/claim";
/// POST of a [`Ticket`](crate::Ticket): 200 with a [`Directive`](crate::Directive).
pub const HEARTBEAT: &str = "/api/v1/runner/heartbeat";
/// POST of a piece of output, bare bytes; the query is a [`Piece`]. 204.
pub const LOG: &str = "/api/v1/runner/log";
/// POST of a [`Finish`](crate::Finish): 204.
pub const FINISH: &str = "/api/v1/runner/finish";
/// POST of a [`Ticket`](crate::Ticket): 204.
pub const HAND_BACK: &str = "/api/v1/runner/hand-back";
/// A stream of [`Hint`]s, one a line, for as long as the connection lives. The longest silence is
/// [`QUIET`].
pub const HINTS: &str = "/api/v1/runner/hints";

/// Longest silence of a living stream of hints.
pub const QUIET: std::time::Duration = std::time::Duration::from_secs(10);
/// Bytes of the largest JSON message: a report names up to a thousand failed tests.
pub const MOST_JSON: usize = 8 << 20;
/// Bytes of the largest piece of output.
pub const MOST_OUTPUT: usize = 128 << 10;

/// Who the run queue takes the runner for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    pub name: String,
    /// The pools whose runs it is given.
    pub pools: Vec<String>,
}

/// Where a piece of output belongs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    pub run: RunId,
    pub epoch: u64,
    pub step: u32,
    pub seq: u64,
}

/// Why nothing is handed out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub message: String,
}

/// Says "look", as every hint does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// A run may be due.
    Run,
    /// A run of this or another runner should end.
    Cancel,
}

impl Hint {
    /// The line that says it, with its end.
    pub fn line(self) -> &'static str {
        match self {
            Self::Run => "run\n",
            Self::Cancel => "cancel\n",
        }
    }

    /// A newer queue may say more than this runner knows.
    pub fn of_line(line: &str) -> Option<Self> {
        [Self::Run, Self::Cancel].into_iter().find(|hint| hint.line().trim_end() == line)
    }
}

/// A duration as whole milliseconds.
pub(crate) mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

/// A secret in the clear: only in the answer to a runner that has proved who it is.
pub(crate) mod secret {
    use secrecy::{ExposeSecret, SecretString};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &SecretString, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(value.expose_secret())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<SecretString, D::Error> {
        String::deserialize(from).map(SecretString::from)
    }
}
