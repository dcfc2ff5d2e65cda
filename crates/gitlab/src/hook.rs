//! Deliveries of GitLab's webhooks: is one authentic, and what does it say.
//!
//! Called by ingress with the raw bytes. Nothing of a payload is a fact before it was read again
//! through the API, and no secret is compared in a time that depends on it.

pub mod payload;
mod secret;
mod shape;

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretString};

pub use payload::{ParseError, Payload, parse};
pub use secret::{SigningKey, SigningKeyError};

/// Seconds that the time of a signed delivery may differ from ours, both ways.
pub const TIMESTAMP_TOLERANCE: u64 = 300;

/// The headers that are read of a delivery (`app/services/web_hook_service.rb`).
#[derive(Clone, Default)]
pub struct Headers {
    /// `X-Gitlab-Event`, for instance `Push Hook`.
    pub event: Option<String>,
    /// What deduplicates deliveries: `webhook-id`, before GitLab 19.0 `Idempotency-Key`, before
    /// 17.4 nothing. Kept when a delivery is sent again.
    pub idempotency_key: Option<String>,
    /// `X-Gitlab-Event-UUID`: shared by hooks that cause each other. No delivery id.
    pub event_uuid: Option<String>,
    /// `X-Gitlab-Instance`: what the sender calls itself. Not to be trusted.
    pub instance: Option<String>,
    webhook_id: Option<String>,
    timestamp: Option<String>,
    signatures: Option<String>,
    token: Option<SecretString>,
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Headers")
            .field("event", &self.event)
            .field("idempotency_key", &self.idempotency_key)
            .field("signed", &self.signatures.is_some())
            .finish_non_exhaustive()
    }
}

impl Headers {
    /// Takes the headers through `lookup`, which gets lower-case names. An empty value counts as
    /// missing.
    pub fn read<'a>(lookup: impl Fn(&str) -> Option<&'a str>) -> Self {
        let text = |name: &str| lookup(name).filter(|value| !value.is_empty()).map(str::to_owned);
        let webhook_id = text("webhook-id");
        Self {
            event: text("x-gitlab-event"),
            idempotency_key: webhook_id.clone().or_else(|| text("idempotency-key")),
            event_uuid: text("x-gitlab-event-uuid"),
            instance: text("x-gitlab-instance"),
            webhook_id,
            timestamp: text("webhook-timestamp"),
            signatures: text("webhook-signature"),
            token: text("x-gitlab-token").map(SecretString::from),
        }
    }
}

/// What a hook may be secured with. The first of each kind is the current one, the others are
/// previous ones that stay good during a rotation. Empty tokens never match.
#[derive(Clone, Default)]
pub struct Secrets {
    pub tokens: Vec<SecretString>,
    pub signing: Vec<SigningKey>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tokens, keys) = (self.tokens.len(), self.signing.len());
        write!(f, "Secrets({tokens} tokens, {keys} signing keys)")
    }
}

/// How a delivery proved itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `webhook-signature`, which covers the body.
    Signature,
    /// `X-Gitlab-Token`, which does not.
    Token,
}

/// Which secret matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    Current,
    /// The hook still uses a secret that is about to go.
    Previous,
}

/// Proof that a delivery is authentic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    pub method: Method,
    pub secret: Age,
}

/// Why a delivery is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The delivery bears no secret, or none is configured here.
    #[error("the delivery bears no secret, or none is configured; set the same one on both sides")]
    MissingSecret,
    #[error("the secret token is another than the configured one")]
    WrongSecret,
    /// No signature fits. The token is not tried then.
    #[error("the signature does not fit; check the signing token and that no proxy changes bodies")]
    BadSignature,
    /// Signed, but too long ago or ahead.
    #[error("the signed time is more than five minutes away; check the clocks")]
    StaleTimestamp,
    #[error("this hook must be signed; set its signing token in GitLab (19.0 or later)")]
    SignatureRequired,
}

/// Decides whether a delivery is authentic. `raw_body` are the bytes as they came; `now_unix` is in
/// seconds.
///
/// A signature is checked if signing keys are configured, and then it alone decides. Without a
/// signature (GitLab sends `webhook-id` always, so that says nothing) the token decides, unless
/// `require_signature` is set or only signing keys are configured.
pub fn verify(
    headers: &Headers,
    raw_body: &[u8],
    now_unix: i64,
    secrets: &Secrets,
    require_signature: bool,
) -> Result<Verified, Refusal> {
    let has_token = secrets.tokens.iter().any(|token| !token.expose_secret().is_empty());
    if !has_token && secrets.signing.is_empty() {
        return Err(Refusal::MissingSecret);
    }
    if let Some(signatures) = headers.signatures.as_deref().filter(|_| !secrets.signing.is_empty())
    {
        let secret = signed(headers, signatures, raw_body, now_unix, secrets)?;
        return Ok(Verified { method: Method::Signature, secret });
    }
    if require_signature || !has_token {
        return Err(Refusal::SignatureRequired);
    }
    let given = headers.token.as_ref().ok_or(Refusal::MissingSecret)?;
    let given = digest(&SHA256, given.expose_secret().as_bytes());
    let place = secrets.tokens.iter().position(|token| {
        let token = token.expose_secret();
        let equal =
            verify_slices_are_equal(digest(&SHA256, token.as_bytes()).as_ref(), given.as_ref());
        !token.is_empty() && equal.is_ok()
    });
    let secret = age(place.ok_or(Refusal::WrongSecret)?);
    Ok(Verified { method: Method::Token, secret })
}

fn signed(
    headers: &Headers,
    signatures: &str,
    body: &[u8],
    now_unix: i64,
    secrets: &Secrets,
) -> Result<Age, Refusal> {
    let (Some(id), Some(timestamp)) = (&headers.webhook_id, &headers.timestamp) else {
        return Err(Refusal::BadSignature);
    };
    let message: [&[u8]; 5] = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
    let place = secrets.signing.iter().position(|key| key.signed(&message, signatures));
    let place = place.ok_or(Refusal::BadSignature)?;
    let at: i64 = timestamp.parse().map_err(|_| Refusal::StaleTimestamp)?;
    if now_unix.abs_diff(at) > TIMESTAMP_TOLERANCE {
        return Err(Refusal::StaleTimestamp);
    }
    Ok(age(place))
}

fn age(place: usize) -> Age {
    if place == 0 { Age::Current } else { Age::Previous }
}
