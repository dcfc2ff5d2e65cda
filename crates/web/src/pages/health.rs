//! Probes. They are open to everybody and say nothing about projects.

use std::time::Duration;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use serde::Serialize;

use crate::state::State;

/// How long the store may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Serialize)]
struct Ready {
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// `GET /healthz`: the process lives.
pub(super) async fn lives() -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).body("ok\n")
}

/// `GET /readyz`: the store answers.
pub(super) async fn ready(state: web::Data<State>) -> HttpResponse {
    let reason = match tokio::time::timeout(PATIENCE, state.store.head()).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready");
            Some("the database cannot be used now; the log says why")
        }
        Err(_) => Some("the database takes too long to answer"),
    };
    let mut response = match reason {
        None => HttpResponse::Ok(),
        Some(_) => HttpResponse::ServiceUnavailable(),
    };
    let body = Ready { ready: reason.is_none(), reason };
    response.insert_header((CACHE_CONTROL, "no-store")).json(body)
}
