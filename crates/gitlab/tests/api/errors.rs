//! Errors that only some calls can give, and what they say.

use std::time::Duration;

use aldis_gitlab::{Error, GitLab, StatusPost, StatusState};
use insta::assert_snapshot;

use crate::server::{Reply, Server};

const POST: StatusPost<'static> = StatusPost {
    state: StatusState::Running,
    name: "aldis/ci",
    ref_: None,
    target_url: None,
    description: None,
    pipeline_id: None,
    coverage: None,
};

/// Name of the variant and the text of the error that this answer to a status gives.
async fn status(code: u16, body: &str) -> String {
    let server = Server::start([Reply::json(code, body)]).await;
    let error = server.client().project(5).statuses("1f").create(&POST).await.unwrap_err();
    let kind = format!("{error:?}");
    let kind = kind.split([' ', '(']).next().unwrap().to_owned();
    format!("{kind} | {error}")
}

/// Status and body, as GitLab has them.
const ANSWERS: [(u16, &str); 21] = [
    (
        400,
        r#"{"message":"Cannot transition status via :run from :running (Reason(s): Status cannot transition via \"run\")"}"#,
    ),
    (400, r#"{"message":{"status":["cannot transition via \"drop\""]}}"#),
    (400, r#"{"message":{"description":["is too long (maximum is 255 characters)"]}}"#),
    (400, r#"{"message":{"target_url":["is blocked: Only allowed schemes are http, https"]}}"#),
    (400, r#"{"message":{"name":["has already been taken"]}}"#),
    (400, r#"{"error":"state is missing, state does not have a valid value"}"#),
    (
        400,
        r#"{"message":"400 Bad request - Note {:note=>[\"is too long (maximum is 1000000 characters)\"]}"}"#,
    ),
    (400, r#"{"message":"Maximum number of comments exceeded"}"#),
    (401, r#"{"message":"401 Unauthorized"}"#),
    (
        401,
        r#"{"error":"invalid_token","error_description":"Token was revoked. You have to re-authorize from the user."}"#,
    ),
    (
        401,
        r#"{"error":"invalid_token","error_description":"Token is expired. You can either do re-authorization or token refresh."}"#,
    ),
    (403, r#"{"message":"403 Forbidden"}"#),
    (
        403,
        r#"{"error":"insufficient_scope","error_description":"The request requires higher privileges","scope":"api"}"#,
    ),
    (404, r#"{"message":"404 References for commit Not Found"}"#),
    (405, r#"{"error":"405 Not Allowed"}"#),
    (409, r#"{"message":"Another update to this commit status is in progress"}"#),
    (422, r#"{"message":"The number of jobs has exceeded the limit"}"#),
    (423, r#"{"message":"locked"}"#),
    (500, r#"{"message":"500 Internal Server Error"}"#),
    (307, ""),
    (408, ""),
];

#[tokio::test]
async fn answers_to_a_status_tell_what_to_do() {
    let mut said = Vec::new();
    for (code, body) in ANSWERS {
        said.push(status(code, body).await);
    }
    assert_snapshot!(said.join("\n"), @r#"
    CannotTransition | not possible from the present state; read it and compare: POST /projects/:id/statuses/:sha: 400: Cannot transition status via :run from :running (Reason(s): Status cannot transition via "run") (request 01TEST)
    CannotTransition | not possible from the present state; read it and compare: POST /projects/:id/statuses/:sha: 400: status cannot transition via "drop" (request 01TEST)
    TooLong | longer than allowed: POST /projects/:id/statuses/:sha: 400: description is too long (maximum is 255 characters) (request 01TEST)
    Invalid | GitLab refuses the values of this call: POST /projects/:id/statuses/:sha: 400: target_url is blocked: Only allowed schemes are http, https (request 01TEST)
    Invalid | GitLab refuses the values of this call: POST /projects/:id/statuses/:sha: 400: name has already been taken (request 01TEST)
    Invalid | GitLab refuses the values of this call: POST /projects/:id/statuses/:sha: 400: state is missing, state does not have a valid value (request 01TEST)
    TooLong | longer than allowed: POST /projects/:id/statuses/:sha: 400: 400 Bad request - Note {:note=>["is too long (maximum is 1000000 characters)"]} (request 01TEST)
    Limit | a size limit of GitLab is reached: POST /projects/:id/statuses/:sha: 400: Maximum number of comments exceeded (request 01TEST)
    Unauthorized | GitLab does not accept the token; set a new one: POST /projects/:id/statuses/:sha: 401: 401 Unauthorized (request 01TEST)
    Unauthorized | GitLab does not accept the token; set a new one: POST /projects/:id/statuses/:sha: 401: invalid_token: Token was revoked. You have to re-authorize from the user. (request 01TEST)
    Unauthorized | GitLab does not accept the token; set a new one: POST /projects/:id/statuses/:sha: 401: invalid_token: Token is expired. You can either do re-authorization or token refresh. (request 01TEST)
    Forbidden | the bot user may not do this; raise its role: POST /projects/:id/statuses/:sha: 403: 403 Forbidden (request 01TEST)
    Forbidden | the token lacks the scope `api`; set one that has it: POST /projects/:id/statuses/:sha: 403: insufficient_scope: The request requires higher privileges (request 01TEST)
    NotFound | not found, or not visible to the bot user: POST /projects/:id/statuses/:sha: 404: 404 References for commit Not Found (request 01TEST)
    Invalid | GitLab refuses the values of this call: POST /projects/:id/statuses/:sha: 405: 405 Not Allowed (request 01TEST)
    Conflict | GitLab is busy with the same thing; try again: POST /projects/:id/statuses/:sha: 409: Another update to this commit status is in progress (request 01TEST)
    Limit | a size limit of GitLab is reached: POST /projects/:id/statuses/:sha: 422: The number of jobs has exceeded the limit (request 01TEST)
    Conflict | GitLab is busy with the same thing; try again: POST /projects/:id/statuses/:sha: 423: locked (request 01TEST)
    Server | GitLab has a problem; try again: POST /projects/:id/statuses/:sha: 500: 500 Internal Server Error (request 01TEST)
    Server | GitLab has a problem; try again: POST /projects/:id/statuses/:sha: 307 (request 01TEST)
    Server | GitLab has a problem; try again: POST /projects/:id/statuses/:sha: 408 (request 01TEST)
    "#);
}

#[tokio::test]
async fn a_note_of_commands_only_is_told() {
    let body = r#"{"commands_changes":{},"summary":["Closed this merge request."]}"#;
    let server = Server::start([Reply::json(202, body)]).await;
    let error = server.client().project(5).merge_request(7).notes().create("/close").await;
    assert!(matches!(error, Err(Error::CommandsOnly(_))), "{error:?}");
}

#[tokio::test]
async fn nobody_listening_means_not_sent() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let gitlab = GitLab::builder(base).build().unwrap();
    let error = gitlab.project(5).statuses("1f").create(&POST).await.unwrap_err();
    assert!(matches!(error, Error::NotSent(_)), "{error}");
    assert!(error.is_retryable() && !error.is_in_doubt());
}

#[tokio::test]
async fn a_failed_tls_handshake_means_not_sent() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    let gitlab = GitLab::builder(base).verify_tls(false).build().unwrap();
    let statuses = gitlab.project(5).statuses("1f");
    let refuse = async { drop(listener.accept().await.unwrap()) };
    let (error, ()) = tokio::join!(statuses.create(&POST), refuse);
    let error = error.unwrap_err();
    assert!(matches!(error, Error::NotSent(_)), "{error}");
}

#[tokio::test]
async fn silence_after_a_write_is_in_doubt() {
    let server = Server::start([Reply::Silence]).await;
    let gitlab = server.builder().timeout(Duration::from_millis(100)).build().unwrap();
    let error = gitlab.project(5).statuses("1f").create(&POST).await.unwrap_err();
    assert!(matches!(error, Error::InDoubt(_)), "{error}");
    assert_snapshot!(error, @"it is unknown whether GitLab did this; read before writing again: POST /projects/:id/statuses/:sha: timed out: operation timed out");
}

#[tokio::test]
async fn an_unreadable_answer_is_lost_or_in_doubt() {
    let server = Server::start([Reply::json(200, "<html>"), Reply::json(201, "{}")]).await;
    let gitlab = server.client();
    let error = gitlab.version().await.unwrap_err();
    assert!(matches!(error, Error::Lost(_)), "{error}");
    let error = gitlab.project(5).statuses("1f").create(&POST).await.unwrap_err();
    assert!(matches!(error, Error::InDoubt(_)), "{error}");
}

#[tokio::test]
async fn reads_follow_redirects_within_the_origin_only() {
    let server = Server::start([
        Reply::Say(301, "Location: /gitlab/api/v4/projects/6\r\n", String::new()),
        Reply::json(200, r#"{"id":6,"path_with_namespace":"g/p"}"#),
        Reply::Say(302, "Location: http://localhost:1/x?private_token=y\r\n", String::new()),
    ])
    .await;
    let gitlab = server.client();
    assert_eq!(gitlab.project(5).get().await.unwrap().id, 6);
    let error = gitlab.project(5).get().await.unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error}");
    assert_snapshot!(error, @"GitLab refuses the values of this call: GET /projects/:id: 302: redirected to http://localhost:1, which is not followed; correct the base URL (request 01TEST)");
    assert_snapshot!(server.asked(), @"
    GET /gitlab/api/v4/projects/5
    GET /gitlab/api/v4/projects/6
    GET /gitlab/api/v4/projects/5
    ");
}

#[tokio::test]
async fn the_token_stands_in_its_header_and_nowhere_else() {
    let server = Server::start([Reply::json(401, r#"{"message":"401 Unauthorized"}"#)]).await;
    let error = server.client().user().await.unwrap_err();
    let request = server.requests().remove(0);
    assert_eq!(request.matches("glpat-secret").count(), 1);
    assert!(request.contains("private-token: glpat-secret\r\n"), "{request}");
    assert!(request.contains(&format!("user-agent: aldis/{}\r\n", env!("CARGO_PKG_VERSION"))));
    assert!(!format!("{error} {error:?}").contains("glpat"));
}

#[tokio::test]
async fn a_path_part_that_would_name_another_endpoint_is_not_sent() {
    let server = Server::start([]).await;
    let gitlab = server.client();
    for odd in ["", ".", ".."] {
        let error = gitlab.project(5).branch(odd).await.unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
    }
    assert!(server.requests().is_empty());
}
