//! From GitLab's payload to the trigger that the log keeps.

use crate::endpoint::Endpoint;
use crate::post::Post;

macro_rules! stored {
    ($event:literal, $name:literal) => {
        stored($event, include_bytes!(concat!("../../../gitlab/fixtures/", $name, ".json"))).await
    };
}

/// The trigger as compact JSON, with `A` and `B` for the two commits.
async fn stored(event: &str, body: &[u8]) -> String {
    let endpoint = Endpoint::start().await;
    assert_eq!(endpoint.send(&Post::of(event, body)).await.result(), "200 stored");
    let received = endpoint.received().await;
    let text = serde_json::to_string(&received[0].trigger).unwrap();
    endpoint.stop().await;
    text.replace(&"1f".repeat(20), "A").replace(&"2e".repeat(20), "B")
}

#[tokio::test]
async fn pushes_and_tags() {
    insta::assert_snapshot!(stored!("Push Hook", "push"), @r#"{"kind":"push","project":"1.15","name":"refs/heads/feature/valve","before":"A","after":"B","actor":4,"skip_ci":true}"#);
    insta::assert_snapshot!(stored!("Push Hook", "push_delete"), @r#"{"kind":"push","project":"1.15","name":"refs/heads/old","before":"A","after":null,"actor":0,"skip_ci":false}"#);
    insta::assert_snapshot!(stored!("System Hook", "system_push"), @r#"{"kind":"push","project":"1.15","name":"refs/heads/new","before":null,"after":"B","actor":4,"skip_ci":false}"#);
    insta::assert_snapshot!(stored!("Tag Push Hook", "tag_push"), @r#"{"kind":"tag","project":"1.15","name":"refs/tags/v1.0","before":null,"after":"B","actor":4,"skip_ci":false}"#);
}

#[tokio::test]
async fn merge_requests() {
    insta::assert_snapshot!(stored!("Merge Request Hook", "merge_request_new_commits"), @r#"{"kind":"merge_request","project":"1.15","iid":7,"action":"updated","head":"B","source_project":22,"source_branch":"fix","target_branch":"main","draft":false,"actor":4}"#);
    insta::assert_snapshot!(stored!("Merge Request Hook", "merge_request_empty_changes"), @r#"{"kind":"merge_request","project":"1.15","iid":7,"action":"edited","head":"B","source_project":22,"source_branch":"fix","target_branch":"main","draft":false,"actor":4}"#);
    insta::assert_snapshot!(stored!("Merge Request Hook", "merge_request_ready"), @r#"{"kind":"merge_request","project":"1.15","iid":7,"action":"ready","head":"B","source_project":22,"source_branch":"fix","target_branch":"main","draft":false,"actor":4}"#);
    insta::assert_snapshot!(stored!("Merge Request Hook", "merge_request_retarget"), @r#"{"kind":"merge_request","project":"1.15","iid":7,"action":"retargeted","head":"B","source_project":22,"source_branch":"fix","target_branch":"main","draft":false,"actor":4}"#);
    insta::assert_snapshot!(stored!("Merge Request Hook", "merge_request_fork_gone"), @r#"{"kind":"merge_request","project":"1.15","iid":7,"action":"closed","head":"B","source_project":null,"source_branch":"fix","target_branch":"main","draft":false,"actor":4}"#);
    insta::assert_snapshot!(stored!("Merge Request Hook", "merge_request_old_server"), @r#"{"kind":"merge_request","project":"1.15","iid":7,"action":"edited","head":"B","source_project":22,"source_branch":"fix","target_branch":"main","draft":true,"actor":0}"#);
}

#[tokio::test]
async fn notes() {
    insta::assert_snapshot!(stored!("Note Hook", "note"), @r#"{"kind":"note","project":"1.15","note":1244,"merge_request":7,"created":true,"system":false,"actor":4,"commands":[{"command":"retest"}]}"#);
    insta::assert_snapshot!(stored!("Confidential Note Hook", "note_confidential"), @r#"{"kind":"note","project":"1.15","note":1244,"merge_request":7,"created":false,"system":false,"actor":4,"commands":[{"command":"retest"}]}"#);
    insta::assert_snapshot!(stored!("Note Hook", "note_old_server"), @r#"{"kind":"note","project":"1.15","note":1244,"merge_request":7,"created":true,"system":false,"actor":4,"commands":[{"command":"retest"}]}"#);
    insta::assert_snapshot!(stored!("Note Hook", "note_on_commit"), @r#"{"kind":"note","project":"1.15","note":1244,"merge_request":null,"created":true,"system":false,"actor":4,"commands":[]}"#);
}

#[tokio::test]
async fn pipelines_and_the_rest() {
    insta::assert_snapshot!(stored!("Pipeline Hook", "pipeline"), @r#"{"kind":"pipeline","project":"1.15","pipeline":31,"sha":"B","name":"fix","source":"merge_request_event","merge_request":7}"#);
    insta::assert_snapshot!(stored!("Pipeline Hook", "pipeline_external"), @r#"{"kind":"pipeline","project":"1.15","pipeline":32,"sha":"B","name":"main","source":"external","merge_request":null}"#);
    insta::assert_snapshot!(stored!("Deployment Hook", "deployment"), @r#"{"kind":"other","event":"Deployment Hook"}"#);
    insta::assert_snapshot!(stored!("Member Hook", "member"), @r#"{"kind":"other","event":"Member Hook"}"#);
}

#[tokio::test]
async fn a_merge_requests_actions() {
    let table = [
        (r#""action":"open""#, "opened"),
        (r#""action":"reopen""#, "reopened"),
        (r#""action":"close""#, "closed"),
        (r#""action":"merge""#, "merged"),
        (r#""action":"approved""#, "edited"),
        (r#""action":"unapproval""#, "edited"),
        (r#""action":"something_new""#, "edited"),
        (r#""action":null"#, "edited"),
        (r#""action":"update""#, "edited"),
        (r#""action":"update","oldrev":"1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f""#, "updated"),
    ];
    for (attributes, action) in table {
        let body = format!(
            r#"{{"object_attributes":{{"iid":7,"target_project_id":15,"source_branch":"fix",
            "target_branch":"main","state":"opened",{attributes}}}}}"#
        );
        let trigger = stored("Merge Request Hook", body.as_bytes()).await;
        assert!(trigger.contains(&format!("\"action\":\"{action}\"")), "{attributes}: {trigger}");
    }
}
