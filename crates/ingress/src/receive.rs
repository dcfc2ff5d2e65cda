//! One POST: verify, translate, append.

use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::{HttpRequest, web};
use aldis_domain::event::Event;
use aldis_domain::event::change::ProjectSigned;
use aldis_domain::event::delivery::{
    DeliveryDecided, DeliveryQuarantined, DeliveryReceived, DeliveryRefused, DeliveryVerdict,
    Refusal, Verification,
};
use aldis_domain::id::ProjectKey;
use aldis_domain::stream;
use aldis_domain::trigger::Trigger;
use aldis_gitlab::hook::{self, Headers, Method, Verified};
use aldis_store::{Answer, Append, Expected, Meta, NewEvent, StoreError, sha256};
use bytes::Bytes;

use crate::body::{Body, read};
use crate::translate::{project, translate};
use crate::{Ingress, SHARED};

/// What became of a POST.
pub(crate) enum Received {
    /// On disk, under this stream.
    Stored(String),
    /// The same delivery is there already.
    Seen(String),
    Refused(Refusal),
    Aborted,
    Unavailable,
}

/// Longest event name and delivery key that are kept as they come.
const MOST_NAME: usize = 64;
const MOST_KEY: usize = 128;
/// What stands for a missing event name; GitLab has none like it.
const NO_EVENT: &str = "none";

impl Ingress {
    pub(crate) async fn receive(
        &self,
        request: &HttpRequest,
        payload: &mut web::Payload,
    ) -> Received {
        let headers = Headers::read(|name| request.headers().get(name)?.to_str().ok());
        let body = match read(request, payload).await {
            Body::Whole(body) => body,
            Body::Aborted => return Received::Aborted,
            Body::TooLarge(bytes) => {
                tracing::warn!(bytes, "a delivery is larger than GitLab sends any");
                return self.refuse(request, &headers, Refusal::TooLarge).await;
            }
        };
        let secrets = &self.inner.secrets;
        let verified = match hook::verify(&headers, &body, now_unix(), secrets, false) {
            Ok(verified) => verified,
            Err(refusal) => return self.refuse(request, &headers, refusal_of(refusal)).await,
        };
        match self.store(request, &headers, &body, verified).await {
            Ok(received) => received,
            Err(error) => {
                tracing::error!(%error, "a delivery could not be stored");
                Received::Unavailable
            }
        }
    }

    async fn refuse(&self, request: &HttpRequest, headers: &Headers, reason: Refusal) -> Received {
        let refused = DeliveryRefused {
            hook: SHARED.to_owned(),
            event: event_name(headers),
            reason,
            source_ip: source_ip(request),
            times: 1,
        };
        self.inner.refusals.record(&self.inner.store, refused).await;
        Received::Refused(reason)
    }

    async fn store(
        &self,
        request: &HttpRequest,
        headers: &Headers,
        body: &Bytes,
        verified: Verified,
    ) -> Result<Received, StoreError> {
        let inner = &self.inner;
        let event = event_name(headers);
        let parsed = hook::parse(&event, body).map_err(|error| error.to_string());
        let named = parsed.as_ref().ok().and_then(|payload| project(payload, inner.instance));
        let digest = sha256(body);
        let key = headers.idempotency_key.as_deref().map(kept_key);
        if let Some(refusal) = self.must_sign(named, verified).await? {
            return Ok(self.refuse(request, headers, refusal).await);
        }
        let new = match parsed.and_then(|payload| translate(payload, inner.instance)) {
            Ok(trigger) => NewEvent::new(DeliveryReceived {
                hook: SHARED.to_owned(),
                key: key.clone(),
                event,
                verified: verification(verified),
                previous_secret: verified.secret == hook::Age::Previous,
                source_ip: source_ip(request),
                bytes: body.len() as u64,
                payload: hex(&digest),
                trigger,
            }),
            Err(problem) => NewEvent::new(DeliveryQuarantined {
                hook: SHARED.to_owned(),
                key: key.clone(),
                event,
                verified: verification(verified),
                bytes: body.len() as u64,
                payload: hex(&digest),
                problem,
            }),
        };
        let name = stream::delivery(SHARED, &key.unwrap_or_else(|| new.id.to_string()));
        let proof = self.first_proof(named, verified).await?;
        let new = new.with_payload(lz4_flex::compress_prepend_size(body));
        match inner.store.append(append_for(&name, new, proof)).await? {
            Answer::Conflict { stream, .. } if stream == name => Ok(Received::Seen(name)),
            Answer::Conflict { .. } | Answer::FencedOff => Err(StoreError::Contended(name)),
            Answer::Appended { .. } | Answer::Seen => {
                if let Some(project) = proof {
                    inner.signed.remember(project, true);
                }
                Ok(Received::Stored(name))
            }
        }
    }

    /// On the shared path the project is known only now: whether it has signed before is asked
    /// right after parsing.
    async fn must_sign(
        &self,
        project: Option<ProjectKey>,
        verified: Verified,
    ) -> Result<Option<Refusal>, StoreError> {
        let inner = &self.inner;
        if verified.method == Method::Signature || inner.secrets.signing.is_empty() {
            return Ok(None);
        }
        let Some(project) = project else { return Ok(None) };
        let signed = inner.signed.has_signed(&inner.store, project).await?;
        Ok(signed.then_some(Refusal::SignatureRequired))
    }

    /// The project whose hook signed for the first time, as far as the log knows.
    async fn first_proof(
        &self,
        project: Option<ProjectKey>,
        verified: Verified,
    ) -> Result<Option<ProjectKey>, StoreError> {
        let inner = &self.inner;
        let Some(project) = project.filter(|_| verified.method == Method::Signature) else {
            return Ok(None);
        };
        let signed = inner.signed.has_signed(&inner.store, project).await?;
        Ok((!signed).then_some(project))
    }
}

/// The delivery, and what it is the first proof of.
fn append_for(name: &str, new: NewEvent, proof: Option<ProjectKey>) -> Append {
    let meta = Meta { correlation: Some(new.id), ..Meta::from_source("ingress") };
    let events = match outcome_of(&new.event) {
        Some(decided) => vec![new, NewEvent::new(decided)],
        None => vec![new],
    };
    let append = Append::new(meta).write(name, Expected::NoStream, events);
    let Some(project) = proof else { return append };
    let signed = ProjectSigned { project, hook: SHARED.to_owned() };
    append.write(&stream::project(project), Expected::Any, vec![NewEvent::new(signed)])
}

/// What asks for nothing is decided at once; everything else is the planner's.
fn outcome_of(event: &Event) -> Option<DeliveryDecided> {
    let Event::DeliveryReceived(received) = event else { return None };
    let Trigger::Other { event } = &received.trigger else { return None };
    let reason = match event.as_str() {
        NO_EVENT => "the delivery does not say what it is about (X-Gitlab-Event)".to_owned(),
        event => format!("nothing is done for {event}"),
    };
    Some(DeliveryDecided { verdict: DeliveryVerdict::Ignored { reason }, plans: Vec::new() })
}

fn refusal_of(refusal: hook::Refusal) -> Refusal {
    match refusal {
        hook::Refusal::MissingSecret => Refusal::MissingSecret,
        hook::Refusal::WrongSecret => Refusal::WrongSecret,
        hook::Refusal::BadSignature => Refusal::BadSignature,
        hook::Refusal::StaleTimestamp => Refusal::StaleTimestamp,
        hook::Refusal::SignatureRequired => Refusal::SignatureRequired,
    }
}

fn verification(verified: Verified) -> Verification {
    match verified.method {
        Method::Signature => Verification::Signature,
        Method::Token => Verification::Token,
    }
}

fn event_name(headers: &Headers) -> String {
    headers.event.as_deref().unwrap_or(NO_EVENT).chars().take(MOST_NAME).collect()
}

/// A key is part of a stream's name: one that is odd or long is replaced by its digest.
fn kept_key(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if key.len() <= MOST_KEY && key.chars().all(plain) {
        key.to_owned()
    } else {
        hex(&sha256(key.as_bytes()))
    }
}

fn hex(digest: &[u8; 32]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

fn source_ip(request: &HttpRequest) -> Option<String> {
    request.peer_addr().map(|address| address.ip().to_string())
}

fn now_unix() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}
