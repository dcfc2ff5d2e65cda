//! Probes. They are open to everybody and say nothing about projects.

use std::time::Duration;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use serde::Serialize;

use crate::state::{Intake, State};

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

/// `GET /readyz`: what comes is kept, by the store or until it is back. Nothing new should come to
/// one that stops.
pub(super) async fn ready(state: web::Data<State>) -> HttpResponse {
    if (state.leaving)() {
        return answer(false, Some("it stops"));
    }
    let away = match tokio::time::timeout(PATIENCE, state.store.head()).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => {
            tracing::warn!(%error, "the database cannot be used");
            Some("the database cannot be used now; the log says why")
        }
        Err(_) => Some("the database takes too long to answer"),
    };
    let (ready, reason) = judge(away, state.intake.as_deref().map(|intake| intake()));
    answer(ready, reason)
}

fn answer(ready: bool, reason: Option<&'static str>) -> HttpResponse {
    let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.insert_header((CACHE_CONTROL, "no-store")).json(Ready { ready, reason })
}

/// `away`: why the database is no help. Whoever takes deliveries goes on without it.
fn judge(away: Option<&'static str>, intake: Option<Intake>) -> (bool, Option<&'static str>) {
    match (away, intake) {
        (None, None | Some(Intake { waits: false, .. })) => (true, None),
        (_, Some(Intake { is_full: true, .. })) => (false, Some("the spool is full")),
        (None, Some(_)) => (true, Some("deliveries in the spool are brought to the database")),
        (Some(_), Some(_)) => {
            (true, Some("the database cannot be used now; deliveries go to the spool"))
        }
        (Some(why), None) => (false, Some(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_takes_deliveries_is_ready_until_the_spool_is_full() {
        let intake = |waits, is_full| Some(Intake { waits, is_full });
        let away = Some("away");
        assert_eq!(judge(None, None), (true, None));
        assert_eq!(judge(away, None), (false, away));
        assert_eq!(judge(None, intake(false, false)), (true, None));
        // Nobody needs it, so nobody asks whether there is room again.
        assert_eq!(judge(None, intake(false, true)), (true, None));
        for (away, waits) in [(away, false), (away, true), (None, true)] {
            let (ready, reason) = judge(away, intake(waits, false));
            assert!(ready && reason.is_some_and(|reason| reason.contains("spool")), "{reason:?}");
            let full = judge(away, intake(waits, true));
            assert_eq!(full, (false, Some("the spool is full")));
        }
    }
}
