//! The webhook endpoint: limits, verification, durable append, answer.
//!
//! GitLab does not send twice, and disables hooks that fail: so everything authentic is on disk
//! before its 2xx, whether it is understood or not; in the spool, if the store does not take it. Never
//! here: a call to GitLab, a decision what to run.

mod body;
mod crowd;
mod delivery;
mod drain;
mod keep;
mod receive;
mod refused;
mod signed;
mod spool;
mod translate;

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use aldis_gitlab::hook::Secrets;
use aldis_store::Store;
use tokio::sync::RwLock;

pub use body::BODY_LIMIT;
pub use crowd::Crowd;
use receive::Received;
use refused::Refusals;
use signed::SignedProjects;
pub use spool::{Level, Spool, SpoolError};

/// Where GitLab posts to; the second is an alias of the first.
pub const PATHS: [&str; 2] = ["/api/webhooks/gitlab", "/api/v1/webhooks/gitlab"];

/// Name of the hook that the shared paths stand for.
const SHARED: &str = "shared";

/// What the endpoint needs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ingress {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    secrets: Secrets,
    /// Number of the GitLab instance whose secrets these are.
    instance: u32,
    refusals: Refusals,
    signed: SignedProjects,
    spool: Spool,
    crowd: Crowd,
    /// Held for reading by all who try the store first.
    direct: RwLock<()>,
}

impl Ingress {
    /// `secrets`: those of `instance`, current and previous. What goes to the spool stays there
    /// until [`Ingress::drain`] runs.
    pub fn new(store: Store, spool: Spool, secrets: Secrets, instance: u32) -> Self {
        let (refusals, signed, crowd, direct) = Default::default();
        let inner = Inner { store, secrets, instance, refusals, signed, spool, crowd, direct };
        Self { inner: Arc::new(inner) }
    }

    /// How its spool stands.
    pub fn spool_level(&self) -> Level {
        self.inner.spool.level()
    }

    /// For whoever stands back while deliveries crowd.
    pub fn crowd(&self) -> Crowd {
        self.inner.crowd.clone()
    }

    /// Mounts the endpoint. Methods other than POST are answered 405.
    pub fn configure(&self, config: &mut web::ServiceConfig) {
        for path in PATHS {
            let ingress = self.clone();
            let receive = move |request: HttpRequest, payload: web::Payload| {
                let ingress = ingress.clone();
                async move { ingress.answer(&request, payload).await }
            };
            config.service(web::resource(path).route(web::post().to(receive)));
        }
    }

    async fn answer(&self, request: &HttpRequest, mut payload: web::Payload) -> HttpResponse {
        match self.receive(request, &mut payload).await {
            Received::Stored(delivery) => told(HttpResponse::Ok(), "stored", &delivery),
            Received::Seen(delivery) => told(HttpResponse::Ok(), "seen", &delivery),
            Received::Spooled(delivery) => told(HttpResponse::Accepted(), "spooled", &delivery),
            Received::Refused(refusal) => refused::answer(refusal, payload),
            Received::Aborted => HttpResponse::BadRequest().body("the body did not come whole\n"),
            Received::Unavailable => HttpResponse::ServiceUnavailable()
                .insert_header(("Retry-After", "10"))
                .body("the delivery could not be stored\n"),
        }
    }
}

fn told(mut answer: actix_web::HttpResponseBuilder, result: &str, delivery: &str) -> HttpResponse {
    answer.json(serde_json::json!({ "result": result, "delivery": delivery }))
}
