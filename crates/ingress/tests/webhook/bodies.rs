//! Bodies that are not what they promise. What is authentic is kept, whatever it is.

use aldis_domain::event::Event;
use aldis_domain::event::delivery::{DeliveryVerdict, Verification};
use aldis_domain::touch::WorkKind;

use crate::endpoint::{Endpoint, KEY, secrets};
use crate::post::{PUSH, Post, now};

/// Posts the body as this event; it must be quarantined whole. The problem.
async fn problem(event: &str, body: &[u8]) -> String {
    let endpoint = Endpoint::start().await;
    let answer = endpoint.send(&Post::of(event, body)).await;
    assert_eq!(answer.result(), "200 stored");
    let quarantined = endpoint.quarantined().await;
    let [kept] = quarantined.as_slice() else { panic!("{quarantined:?}") };
    assert_eq!(endpoint.log().await.len(), 1);
    assert_eq!(endpoint.payload(&kept.payload).await, body, "kept as it came");
    assert_eq!(kept.bytes, body.len() as u64);
    assert_eq!(kept.verified, Verification::Token);
    assert_eq!(kept.event, event);
    let due = endpoint.store.backlog(WorkKind::Plan).await.unwrap().due;
    assert_eq!(due, 0, "nothing to plan");
    assert_eq!(endpoint.status(&Post::push()).await, 200, "the next one is taken");
    endpoint.stop().await;
    kept.problem.clone()
}

#[tokio::test]
async fn truncated_json() {
    let cut = &PUSH[..PUSH.len() / 2];
    insta::assert_snapshot!(problem("Push Hook", cut).await, @"line 15, column 14 of the payload: EOF while parsing a string");
}

#[tokio::test]
async fn no_body() {
    insta::assert_snapshot!(problem("Push Hook", b"").await, @"line 1, column 0 of the payload: EOF while parsing a value");
}

#[tokio::test]
async fn deep_json() {
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    insta::assert_snapshot!(problem("Push Hook", deep.as_bytes()).await, @"line 1, column 132 of the payload: recursion limit exceeded");
    let objects = "{\"a\":".repeat(100_000);
    insta::assert_snapshot!(problem("Issue Hook", objects.as_bytes()).await, @"line 1, column 636 of the payload: recursion limit exceeded");
}

#[tokio::test]
async fn bytes_that_are_no_text() {
    insta::assert_snapshot!(problem("Push Hook", b"{\"ref\":\n \"\xff\xfe\"}").await, @"line 2, column 3 of the payload: this byte is not UTF-8");
    insta::assert_snapshot!(problem("Push Hook", b"\x00\x01\x02").await, @"line 1, column 1 of the payload: expected value");
    insta::assert_snapshot!(problem("Push Hook", b"\xef\xbb\xbf{}").await, @"line 1, column 1 of the payload: expected value");
}

#[tokio::test]
async fn json_of_another_shape() {
    insta::assert_snapshot!(problem("Push Hook", b"[1,2]").await, @"line 1, column 1 of the payload: a payload is a JSON object");
    insta::assert_snapshot!(problem("Push Hook", b"{\n  \"project_id\": \"15\"\n}").await, @r#"line 2, column 20 of the payload: invalid type: string "15", expected u64"#);
    insta::assert_snapshot!(problem("Push Hook", b"{} {}").await, @"line 1, column 4 of the payload: trailing characters");
    let short = String::from_utf8(PUSH.to_vec()).unwrap().replace(&"2e".repeat(20), "2e2e");
    insta::assert_snapshot!(problem("Push Hook", short.as_bytes()).await, @"after: `2e2e` is no commit sha");
    let negative = br#"{"project_id":-1,"ref":"refs/heads/x","before":"a","after":"b"}"#;
    insta::assert_snapshot!(problem("Push Hook", negative).await, @"line 1, column 16 of the payload: invalid value: integer `-1`, expected u64");
}

#[tokio::test]
async fn a_payload_without_its_project() {
    let without = String::from_utf8(PUSH.to_vec()).unwrap().replace("\"project_id\"", "\"other\"");
    insta::assert_snapshot!(problem("Push Hook", without.as_bytes()).await, @"line 36, column 1 of the payload: missing field `project_id`");
}

#[tokio::test]
async fn a_signed_body_that_cannot_be_read_is_kept_as_signed() {
    let endpoint = Endpoint::with(secrets(&[], &[KEY])).await;
    let post = Post::bare(*b"{").with("X-Gitlab-Event", "Push Hook").sign(KEY, "id", now());
    assert_eq!(endpoint.send(&post).await.result(), "200 stored");
    let quarantined = endpoint.quarantined().await;
    assert_eq!(quarantined[0].verified, Verification::Signature);
    assert_eq!(quarantined[0].key.as_deref(), Some("id"));
    assert_eq!(endpoint.send(&post).await.result(), "200 seen");
    endpoint.stop().await;
}

/// What is answered to an event nobody acts on, and what its record says.
async fn ignored(post: Post) -> String {
    let endpoint = Endpoint::start().await;
    let answer = endpoint.send(&post).await;
    assert_eq!(answer.result(), "200 stored");
    let log = endpoint.log().await;
    let [(first, Event::DeliveryReceived(_)), (second, Event::DeliveryDecided(decided))] =
        log.as_slice()
    else {
        panic!("{log:?}")
    };
    assert_eq!(first, second);
    assert_eq!(endpoint.store.backlog(WorkKind::Plan).await.unwrap().due, 0);
    let DeliveryVerdict::Ignored { reason } = &decided.verdict else { panic!("{decided:?}") };
    let reason = reason.clone();
    endpoint.stop().await;
    reason
}

#[tokio::test]
async fn events_nobody_acts_on() {
    insta::assert_snapshot!(ignored(Post::of("Issue Hook", *b"{\"project\":{\"id\":15}}")).await, @"nothing is done for Issue Hook");
    insta::assert_snapshot!(ignored(Post::of("Brand New Hook", *b"{}")).await, @"nothing is done for Brand New Hook");
    insta::assert_snapshot!(ignored(Post::of("System Hook", *b"{\"event_name\":\"user_create\"}")).await, @"nothing is done for System Hook");
    // Valid JSON of any shape is fine where nobody reads it.
    insta::assert_snapshot!(ignored(Post::of("Wiki Page Hook", *b"[]")).await, @"nothing is done for Wiki Page Hook");
}

#[tokio::test]
async fn an_event_without_a_usable_name() {
    let nameless = Post::push();
    let mut without = nameless.clone();
    without.headers.retain(|(name, _)| *name != "X-Gitlab-Event");
    insta::assert_snapshot!(ignored(without).await, @"the delivery does not say what it is about (X-Gitlab-Event)");
    insta::assert_snapshot!(ignored(nameless.clone().with("X-Gitlab-Event", "")).await, @"the delivery does not say what it is about (X-Gitlab-Event)");
    insta::assert_snapshot!(ignored(nameless.clone().with("X-Gitlab-Event", &b"\xff\xfe"[..])).await, @"the delivery does not say what it is about (X-Gitlab-Event)");
    let long = ignored(nameless.with("X-Gitlab-Event", "x".repeat(4_000))).await;
    assert!(long.len() < 200, "the log does not take {} characters of a stranger's", long.len());
}
