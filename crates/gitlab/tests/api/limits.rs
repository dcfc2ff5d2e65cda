//! Rate limits: shared by clones, obeyed without asking again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aldis_gitlab::Error;

use crate::server::{Reply, Server};

#[tokio::test]
async fn after_a_429_calls_of_its_class_are_held_back_by_all_clones() {
    let server = Server::start([
        Reply::json(429, r#"{"message":{"error":"This endpoint has been requested too many"}}"#),
        Reply::json(200, "[]"),
    ])
    .await;
    let gitlab = server.client();
    let clone = gitlab.clone();
    let refused = gitlab.project(5).merge_request(7).notes().create("x").await.unwrap_err();
    assert_eq!(refused.retry_after(), Some(Duration::from_secs(5)));
    assert_eq!(refused.context().status, Some(429));

    let held = clone.project(6).merge_request(8).notes().create("x").await.unwrap_err();
    assert!(matches!(held, Error::RateLimited { .. }), "{held}");
    assert_eq!(held.context().status, None);
    assert!(held.retry_after().unwrap() <= Duration::from_secs(5));
    assert!(clone.project(5).merge_request(7).notes().list().await.unwrap().is_empty());
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn the_plain_text_refusal_of_the_whole_api_stops_everything() {
    let headers = "Retry-After: 40\r\nRateLimit-Name: throttle_authenticated_api\r\n";
    let server = Server::start([Reply::Say(429, headers, "Retry later\n".to_owned())]).await;
    let gitlab = server.client();
    let refused = gitlab.user().await.unwrap_err();
    assert_eq!(refused.retry_after(), Some(Duration::from_secs(40)));
    let held = gitlab.project(5).deployments().list(None, 1).await.unwrap_err();
    assert!(held.retry_after().unwrap() > Duration::from_secs(30));
}

#[tokio::test]
async fn the_last_allowed_call_closes_the_gate_by_gitlabs_clock() {
    let headers = "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\nRateLimit-Remaining: 0\r\n\
                   RateLimit-Reset: 1700000030\r\n";
    let server = Server::start([Reply::Say(200, headers, r#"{"version":"19"}"#.to_owned())]).await;
    let gitlab = server.client();
    gitlab.version().await.unwrap();
    let wait = gitlab.version().await.unwrap_err().retry_after().unwrap();
    assert!(wait > Duration::from_secs(25) && wait <= Duration::from_secs(30), "{wait:?}");
}

#[tokio::test]
async fn the_own_budget_refuses_without_sending() {
    let server = Server::start([Reply::json(200, r#"{"version":"19"}"#)]).await;
    let gitlab = server.builder().requests_per_minute(1).build().unwrap();
    gitlab.version().await.unwrap();
    let held = gitlab.version().await.unwrap_err();
    assert!(held.retry_after().unwrap() > Duration::from_secs(50), "{held}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn every_finished_call_is_reported_and_nothing_secret_with_it() {
    let server =
        Server::start([Reply::json(200, r#"{"id":5,"path_with_namespace":"g/p"}"#), Reply::HangUp])
            .await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let observer = Arc::new(move |record: &aldis_gitlab::CallRecord| {
        let mut record = record.clone();
        record.duration = Duration::ZERO;
        log.lock().unwrap().push(format!("{record:?}"));
    });
    let gitlab = server.builder().observer(observer).build().unwrap();
    gitlab.project(5).get().await.unwrap();
    gitlab.project(5).merge_request(7).notes().create("x").await.unwrap_err();
    insta::assert_snapshot!(seen.lock().unwrap().join("\n"), @r#"
    CallRecord { method: "GET", path: "/projects/:id", project: Some(5), status: Some(200), duration: 0ns, request_id: Some("01TEST") }
    CallRecord { method: "POST", path: "/projects/:id/merge_requests/:iid/notes", project: Some(5), status: None, duration: 0ns, request_id: None }
    "#);
}
