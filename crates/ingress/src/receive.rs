//! One POST: limits, verification, and what came of keeping it.

use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::{HttpRequest, web};
use aldis_domain::event::delivery::{DeliveryRefused, Refusal};
use aldis_gitlab::hook::{self, Headers};

use crate::body::{Body, read};
use crate::delivery::{Delivery, event_name};
use crate::{Ingress, SHARED};

/// What became of a POST.
pub(crate) enum Received {
    /// In the log, under this stream.
    Stored(String),
    /// The same delivery is there already.
    Seen(String),
    /// In the spool, on its way to this stream.
    Spooled(String),
    Refused(Refusal),
    Aborted,
    Unavailable,
}

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
        let instance = self.inner.instance;
        let delivery = Delivery::read(&headers, &body, verified, source_ip(request), instance);
        match self.keep(&delivery).await {
            Received::Refused(reason) => self.refuse(request, &headers, reason).await,
            kept => kept,
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

fn source_ip(request: &HttpRequest) -> Option<String> {
    request.peer_addr().map(|address| address.ip().to_string())
}

fn now_unix() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}
