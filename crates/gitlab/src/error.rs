//! What went wrong with a call, told apart by what the caller does about it.

mod body;

use std::fmt;
use std::time::Duration;

pub(crate) use body::shorten;

/// Where and how a call failed. Holds neither the token nor the full URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// `GET`, `POST`, `PUT` or `DELETE`.
    pub method: &'static str,
    /// The path with names for its parts, as `/projects/:id/statuses/:sha`.
    pub path: &'static str,
    /// The HTTP status, if an answer came.
    pub status: Option<u16>,
    /// GitLab's message or the reason of the failure: one line, at most 300 characters.
    pub message: String,
    /// GitLab's `X-Request-Id`, to find the call in its logs.
    pub request_id: Option<String>,
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        if let Some(status) = self.status {
            write!(f, ": {status}")?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        if let Some(id) = &self.request_id {
            write!(f, " (request {id})")?;
        }
        Ok(())
    }
}

/// Why a call gave no value. The variants tell what to do next; see also [`Error::is_retryable`]
/// and [`Error::is_in_doubt`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No byte of the call went out (name, connection or TLS failed). It had no effect.
    #[error("GitLab cannot be reached; check the base URL, the network and the CA file: {0}")]
    NotSent(Box<Context>),
    /// A write went out and its answer was lost or unreadable. Read before writing again: GitLab
    /// keeps no idempotency keys.
    #[error("it is unknown whether GitLab did this; read before writing again: {0}")]
    InDoubt(Box<Context>),
    /// The answer to a read was lost or unreadable. Read again.
    #[error("GitLab's answer was lost or unreadable; try again: {0}")]
    Lost(Box<Context>),
    /// 401: the token is unknown, expired or revoked; the message says which.
    #[error("GitLab does not accept the token; set a new one: {0}")]
    Unauthorized(Box<Context>),
    /// 403: `scope` is set if the token lacks a scope (then a new token is needed), else the
    /// bot user's role is too low.
    #[error("{}: {context}", forbidden(scope.as_deref()))]
    Forbidden { context: Box<Context>, scope: Option<String> },
    /// 404: it does not exist, or the bot user may not see it.
    #[error("not found, or not visible to the bot user: {0}")]
    NotFound(Box<Context>),
    /// 409 or 423: something else is changing the same thing. Try again later.
    #[error("GitLab is busy with the same thing; try again: {0}")]
    Conflict(Box<Context>),
    /// The status or deployment does not go from its present state to the asked one. Nothing was
    /// changed; read and compare. Source: `app/services/ci/create_commit_status_service.rb`,
    /// `app/services/deployments/update_service.rb`.
    #[error("not possible from the present state; read it and compare: {0}")]
    CannotTransition(Box<Context>),
    /// GitLab refuses the values of this call. Sending them again will not help.
    #[error("GitLab refuses the values of this call: {context}")]
    Invalid {
        context: Box<Context>,
        /// The field GitLab complains about, if it names one.
        field: Option<String>,
    },
    /// A limit of the pipeline (jobs) or the merge request (comments) is reached.
    #[error("a size limit of GitLab is reached: {0}")]
    Limit(Box<Context>),
    /// A text we sent, or a file or list we asked for, is longer than allowed.
    #[error("longer than allowed: {0}")]
    TooLong(Box<Context>),
    /// The note held only quick actions: GitLab ran them and made (or kept) no note.
    /// Source: `lib/api/notes.rb`, answer 202.
    #[error("GitLab took the text for quick actions only and kept no note: {0}")]
    CommandsOnly(Box<Context>),
    /// 429, or held back here because of an earlier one or the own budget (then `status` is
    /// `None` and nothing was sent). Put the work off.
    #[error("too many requests; wait: {context}")]
    RateLimited { context: Box<Context>, retry_after: Option<Duration> },
    /// 5xx from GitLab, or what only a proxy before it says, such as 408. A write may have had its
    /// effect.
    #[error("GitLab has a problem; try again: {context}")]
    Server { context: Box<Context>, status: u16 },
}

fn forbidden(scope: Option<&str>) -> String {
    match scope {
        Some(scope) => format!("the token lacks the scope `{scope}`; set one that has it"),
        None => "the bot user may not do this; raise its role".to_owned(),
    }
}

impl Error {
    /// Method, path template, status and message of the failed call.
    pub fn context(&self) -> &Context {
        match self {
            Self::NotSent(context)
            | Self::InDoubt(context)
            | Self::Lost(context)
            | Self::Unauthorized(context)
            | Self::NotFound(context)
            | Self::Conflict(context)
            | Self::CannotTransition(context)
            | Self::Limit(context)
            | Self::TooLong(context)
            | Self::CommandsOnly(context)
            | Self::Forbidden { context, .. }
            | Self::Invalid { context, .. }
            | Self::RateLimited { context, .. }
            | Self::Server { context, .. } => context,
        }
    }

    /// Whether the same call may succeed later without anybody changing anything. If
    /// [`Error::is_in_doubt`] holds too, read first.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::NotSent(_)
                | Self::InDoubt(_)
                | Self::Lost(_)
                | Self::Conflict(_)
                | Self::RateLimited { .. }
                | Self::Server { .. }
        )
    }

    /// Whether a write may have had its effect although it failed: its answer was lost, or a
    /// server error was answered. Never true for a read.
    pub fn is_in_doubt(&self) -> bool {
        match self {
            Self::InDoubt(_) => true,
            Self::Server { context, .. } => context.method != "GET",
            _ => false,
        }
    }

    /// How long to wait before the next try, if that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The error for an answer of status 300 and above.
    pub(crate) fn answered(mut context: Context, body: &[u8], wait: Option<Duration>) -> Self {
        let status = context.status.unwrap_or_default();
        let said = body::read(body);
        context.message = said.message;
        let context = Box::new(context);
        let message = context.message.to_ascii_lowercase();
        match status {
            401 => Self::Unauthorized(context),
            403 => Self::Forbidden { context, scope: said.scope },
            404 => Self::NotFound(context),
            409 | 423 => Self::Conflict(context),
            413 => Self::TooLong(context),
            429 => Self::RateLimited { context, retry_after: wait },
            400 | 422 if message.contains("cannot transition") => Self::CannotTransition(context),
            400 | 422 if message.contains("too long") => Self::TooLong(context),
            400 | 422
                if message.contains("exceeded the limit")
                    || message.contains("maximum number of comments") =>
            {
                Self::Limit(context)
            }
            400 | 405 | 406 | 410 | 411 | 414 | 415 | 422 => {
                Self::Invalid { context, field: said.field }
            }
            // Nothing that GitLab says of a call: a redirect or 408 (the request did not come whole
            // in time) is a proxy's word, and says nothing of the values.
            _ => Self::Server { context, status },
        }
    }
}
