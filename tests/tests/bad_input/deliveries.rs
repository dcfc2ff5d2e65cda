//! Bad webhook POSTs beside the good ones.

use aldis_domain::event::Event;
use aldis_tests::{HOOK_SECRET, Setup, Story};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::goes_on;

/// The bot's answer to a POST with these headers.
async fn post(story: &Story, headers: &[(&str, &str)], body: Vec<u8>) -> u16 {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/api/webhooks/gitlab", story.bot.base_url);
    let mut request = client.post(url).header("content-type", "application/json").body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap().status().as_u16()
}

/// A push that would start a run if it were believed.
fn good_push(story: &Story) -> Vec<u8> {
    push_of(story.project.0, &story.sim.branch_head(story.project, "main").unwrap())
}

/// Posts in a settled story. GitLab must show nothing of it; then the answer.
async fn unseen(story: &Story, headers: &[(&str, &str)], body: Vec<u8>) -> u16 {
    story.settle().await;
    let before = (story.timeline(), story.runs().await);
    let status = post(story, headers, body).await;
    story.settle().await;
    assert_eq!((story.timeline(), story.runs().await), before, "it changed something");
    status
}

const TOKEN: (&str, &str) = ("x-gitlab-token", HOOK_SECRET);
const PUSH: (&str, &str) = ("x-gitlab-event", "Push Hook");

#[tokio::test]
async fn wrong_and_missing_secrets() {
    let story = Story::start().await;
    let body = good_push(&story);
    let wrong = [PUSH, ("x-gitlab-token", "story-secrets")];
    assert_eq!(unseen(&story, &wrong, body.clone()).await, 401);
    assert_eq!(unseen(&story, &[PUSH], body).await, 401);
    goes_on(story).await;
}

#[tokio::test]
async fn a_stale_timestamp() {
    let story = Setup { hooks: aldis_tests::Hooks::Signing, ..Setup::USUAL }.start().await;
    // Made with the story's signing token by `openssl dgst -sha256 -mac HMAC`, long ago.
    let headers = [
        PUSH,
        ("webhook-id", "0190a8e2-5c6f-7d31-9a55-6c1e2b7f4d10"),
        ("webhook-timestamp", "1760000000"),
        ("webhook-signature", "v1,IDSzIZH9NYXdPErwEwzlaiEBNW/oz/oRJmqjk593jCA="),
    ];
    let body = br#"{"object_kind":"push","ref":"refs/heads/a\u0026b"}"#;
    assert_eq!(unseen(&story, &headers, body.to_vec()).await, 401);
    let log = story.log().await;
    let stale = log.iter().any(|(_, event)| {
        use aldis_domain::event::delivery::Refusal;
        matches!(event, Event::DeliveryRefused(refused) if refused.reason == Refusal::StaleTimestamp)
    });
    assert!(stale, "it is told as stale, not as wrong");
    goes_on(story).await;
}

#[tokio::test]
async fn a_body_of_26_mb() {
    let story = Story::start().await;
    let mut stream = TcpStream::connect(story.bot.address).await.unwrap();
    let head = format!(
        "POST /api/webhooks/gitlab HTTP/1.1\r\nHost: aldis\r\nX-Gitlab-Event: Push Hook\r\n\
         X-Gitlab-Token: {HOOK_SECRET}\r\nContent-Length: {}\r\n\r\n",
        26 * 1024 * 1024
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    goes_on(story).await;
}

#[tokio::test]
async fn json_that_is_cut_or_deep() {
    let story = Story::start().await;
    let body = good_push(&story);
    let half = body[..body.len() / 2].to_vec();
    assert_eq!(unseen(&story, &[PUSH, TOKEN], half).await, 200);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(unseen(&story, &[PUSH, TOKEN], deep.into_bytes()).await, 200);
    let log = story.log().await;
    let kept = log.iter().filter(|(_, event)| matches!(event, Event::DeliveryQuarantined(_)));
    assert_eq!(kept.count(), 2);
    goes_on(story).await;
}

#[tokio::test]
async fn an_unknown_event() {
    let story = Story::start().await;
    let event = ("x-gitlab-event", "Brand New Hook");
    let body = br#"{"object_kind":"brand_new","project":{"id":1}}"#;
    assert_eq!(unseen(&story, &[event, TOKEN], body.to_vec()).await, 200);
    let verdicts = story.verdicts().await;
    assert_eq!(verdicts.last().unwrap(), "ignored: nothing is done for Brand New Hook");
    goes_on(story).await;
}

/// A push to a branch of a project, as GitLab would tell it.
fn push_of(project: u64, sha: &str) -> Vec<u8> {
    format!(
        r#"{{"object_kind":"push","project_id":{project},"user_id":1,"ref":"refs/heads/main",
        "before":"{}","after":"{sha}","checkout_sha":"{sha}"}}"#,
        "1".repeat(40)
    )
    .into_bytes()
}

#[tokio::test]
async fn an_unknown_project() {
    let story = Story::start().await;
    let body = push_of(4_242, &"2".repeat(40));
    assert_eq!(unseen(&story, &[PUSH, TOKEN], body).await, 200);
    let verdicts = story.verdicts().await;
    let last = verdicts.last().unwrap();
    assert!(last.starts_with("unreadable: "), "{last}");
    goes_on(story).await;
}

#[tokio::test]
async fn a_commit_that_is_gone() {
    let story = Story::start().await;
    story.push("A", "main", &[("code", "1")]);
    let body = push_of(story.project.0, &"2".repeat(40));
    assert_eq!(unseen(&story, &[PUSH, TOKEN], body).await, 200);
    goes_on(story).await;
}
