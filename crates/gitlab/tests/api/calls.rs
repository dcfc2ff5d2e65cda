//! One request-shape and error-map check per call.

mod feedback;
mod merge_request;
mod repository;

use std::fmt::Debug;

use aldis_gitlab::{Error, GitLab};
use insta::assert_snapshot;

use crate::server::{Reply, Server};

const SHA: &str = "6104942438c14ec7bd21c6cd5bd995272b3faff6";

/// Makes the call against `answer` and shows request and value; then makes it against failures
/// and checks that each becomes the error that tells what to do.
async fn check<T: Debug>(answer: &str, call: impl AsyncFn(&GitLab) -> Result<T, Error>) -> String {
    let server = Server::start([Reply::json(200, answer)]).await;
    let value = call(&server.client()).await.unwrap();
    let asked = server.asked();
    let reads = asked.starts_with("GET");

    let failures = [
        Reply::json(403, r#"{"message":"403 Forbidden"}"#),
        Reply::Say(502, "", "<html><title>502 Bad Gateway</title></html>".to_owned()),
        Reply::HangUp,
        Reply::Cut,
        Reply::json(404, r#"{"message":"404 Project Not Found"}"#),
    ];
    let server = Server::start(failures).await;
    let gitlab = server.client();
    let error = call(&gitlab).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden { scope: None, .. }), "{error}");
    assert!(!error.is_retryable() && !error.is_in_doubt(), "{error}");
    let error = call(&gitlab).await.unwrap_err();
    assert!(matches!(error, Error::Server { status: 502, .. }), "{error}");
    assert_eq!((error.is_retryable(), error.is_in_doubt()), (true, !reads), "{error}");
    for _ in ["no answer", "half an answer"] {
        let error = call(&gitlab).await.unwrap_err();
        assert!(matches!(error, Error::Lost(_)) == reads, "{error}");
        assert!(matches!(error, Error::InDoubt(_)) != reads, "{error}");
        assert_eq!((error.is_retryable(), error.is_in_doubt()), (true, !reads), "{error}");
    }
    match call(&gitlab).await {
        Err(error) => assert!(matches!(error, Error::NotFound(_)), "{error}"),
        Ok(nothing) => assert_eq!(format!("{nothing:?}"), "None"),
    }
    assert_eq!(server.requests().len(), 5, "a call is never repeated by itself");
    format!("{}\n{value:#?}", asked.replace(SHA, "SHA")).replace(SHA, "SHA")
}

#[tokio::test]
async fn user() {
    let answer = r#"{"id":4,"username":"project_5_bot_1f","bot":true}"#;
    let seen = check(answer, async |gitlab: &GitLab| gitlab.user().await).await;
    assert_snapshot!(seen, @r#"
    GET /gitlab/api/v4/user
    User {
        id: 4,
        username: "project_5_bot_1f",
        bot: Some(
            true,
        ),
    }
    "#);
}

#[tokio::test]
async fn token_self() {
    let answer = r#"{"id":1,"name":"ci","scopes":["api"],"expires_at":"2027-01-31","active":true}"#;
    let seen = check(answer, async |gitlab: &GitLab| gitlab.token_self().await).await;
    assert_snapshot!(seen, @r#"
    GET /gitlab/api/v4/personal_access_tokens/self
    Token {
        name: "ci",
        scopes: [
            "api",
        ],
        expires_at: Some(
            2027-01-31,
        ),
        active: true,
    }
    "#);
}

#[tokio::test]
async fn version() {
    let answer = r#"{"version":"19.5.0-ee","revision":"abc"}"#;
    let seen = check(answer, async |gitlab: &GitLab| gitlab.version().await).await;
    assert_snapshot!(seen, @r#"
    GET /gitlab/api/v4/version
    Version {
        version: "19.5.0-ee",
        revision: Some(
            "abc",
        ),
    }
    "#);
}

#[tokio::test]
async fn project() {
    let answer = r#"{"id":5,"path_with_namespace":"g/p","default_branch":"main","web_url":"http://h/g/p","ci_config_path":"","archived":null}"#;
    let seen = check(answer, async |gitlab: &GitLab| gitlab.project(5).get().await).await;
    assert_snapshot!(seen, @r#"
    GET /gitlab/api/v4/projects/5
    ProjectInfo {
        id: 5,
        path_with_namespace: "g/p",
        default_branch: Some(
            "main",
        ),
        web_url: "http://h/g/p",
        ci_config_path: None,
        archived: false,
    }
    "#);
}

#[tokio::test]
async fn member() {
    let answer = r#"{"id":4,"username":"u","access_level":30}"#;
    let seen = check(answer, async |gitlab: &GitLab| gitlab.project(5).member(4).await).await;
    assert_snapshot!(seen, @r#"
    GET /gitlab/api/v4/projects/5/members/all/4
    Some(
        Member {
            id: 4,
            username: "u",
            access_level: 30,
        },
    )
    "#);
}

#[tokio::test]
async fn hooks() {
    let answer = r#"[{"id":1,"url":"https://a/h","push_events":true,"alert_status":"disabled","disabled_until":"2026-01-02T03:04:05Z","signing_token_present":true}]"#;
    let seen = check(answer, async |gitlab: &GitLab| gitlab.project(5).hooks().list().await).await;
    assert_snapshot!(seen, @r#"
    GET /gitlab/api/v4/projects/5/hooks?per_page=100&page=1
    [
        Webhook {
            id: 1,
            url: "https://a/h",
            push_events: true,
            tag_push_events: false,
            merge_requests_events: false,
            note_events: false,
            pipeline_events: false,
            enable_ssl_verification: false,
            alert_status: Some(
                "disabled",
            ),
            disabled_until: Some(
                2026-01-02T03:04:05Z,
            ),
            token_present: None,
            signing_token_present: Some(
                true,
            ),
        },
    ]
    "#);
}
