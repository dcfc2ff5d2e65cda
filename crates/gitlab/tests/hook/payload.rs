//! What is read of payloads old and new.

use aldis_gitlab::hook::{Payload, parse};
use insta::assert_snapshot;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../fixtures/", $name, ".json"))
    };
}

/// The payload in one paragraph, with shas shortened.
fn read(event: &str, body: &[u8]) -> String {
    let text = match parse(event, body) {
        Ok(payload) => format!("{payload:?}"),
        Err(error) => error.to_string(),
    };
    let short = [("1f", "A"), ("2e", "B"), ("00", "ZERO")];
    short.iter().fold(text, |text, (byte, name)| text.replace(&byte.repeat(20), name))
}

#[test]
fn pushes() {
    assert_snapshot!(read("Push Hook", fixture!("push")), @r#"Push(Push { project_id: 15, user_id: Some(4), ref_: "refs/heads/feature/valve", before: "A", after: "B", checkout_sha: Some("B"), push_options: Object {"ci": Object {"skip": Bool(true)}} })"#);
    assert_snapshot!(read("Push Hook", fixture!("push_delete")), @r#"Push(Push { project_id: 15, user_id: None, ref_: "refs/heads/old", before: "A", after: "ZERO", checkout_sha: None, push_options: Null })"#);
    assert_snapshot!(read("System Hook", fixture!("system_push")), @r#"Push(Push { project_id: 15, user_id: Some(4), ref_: "refs/heads/new", before: "ZERO", after: "B", checkout_sha: Some("B"), push_options: Object {} })"#);
    assert_snapshot!(read("Tag Push Hook", fixture!("tag_push")), @r#"TagPush(Push { project_id: 15, user_id: Some(4), ref_: "refs/tags/v1.0", before: "ZERO", after: "A", checkout_sha: Some("B"), push_options: Null })"#);
}

#[test]
fn merge_requests() {
    let read = |body| read("Merge Request Hook", body);
    assert_snapshot!(read(fixture!("merge_request_new_commits")), @r#"MergeRequest(MergeRequest { target_project_id: 15, source_project_id: Some(22), iid: 7, action: Some("update"), oldrev: Some("A"), last_commit: Some("B"), source_branch: "fix", target_branch: "main", draft: false, state: "opened", user_id: Some(4), changes: Changes { draft: None, target_branch: false, labels: false } })"#);
    assert_snapshot!(read(fixture!("merge_request_empty_changes")), @r#"MergeRequest(MergeRequest { target_project_id: 15, source_project_id: Some(22), iid: 7, action: Some("update"), oldrev: None, last_commit: Some("B"), source_branch: "fix", target_branch: "main", draft: false, state: "opened", user_id: Some(4), changes: Changes { draft: None, target_branch: false, labels: false } })"#);
    assert_snapshot!(read(fixture!("merge_request_ready")), @r#"MergeRequest(MergeRequest { target_project_id: 15, source_project_id: Some(22), iid: 7, action: Some("update"), oldrev: None, last_commit: Some("B"), source_branch: "fix", target_branch: "main", draft: false, state: "opened", user_id: Some(4), changes: Changes { draft: Some((true, false)), target_branch: false, labels: false } })"#);
    assert_snapshot!(read(fixture!("merge_request_retarget")), @r#"MergeRequest(MergeRequest { target_project_id: 15, source_project_id: Some(22), iid: 7, action: Some("update"), oldrev: None, last_commit: Some("B"), source_branch: "fix", target_branch: "main", draft: false, state: "opened", user_id: Some(4), changes: Changes { draft: None, target_branch: true, labels: true } })"#);
    assert_snapshot!(read(fixture!("merge_request_fork_gone")), @r#"MergeRequest(MergeRequest { target_project_id: 15, source_project_id: None, iid: 7, action: Some("close"), oldrev: None, last_commit: Some("B"), source_branch: "fix", target_branch: "main", draft: false, state: "closed", user_id: Some(4), changes: Changes { draft: None, target_branch: false, labels: false } })"#);
    assert_snapshot!(read(fixture!("merge_request_old_server")), @r#"MergeRequest(MergeRequest { target_project_id: 15, source_project_id: Some(22), iid: 7, action: None, oldrev: None, last_commit: Some("B"), source_branch: "fix", target_branch: "main", draft: true, state: "opened", user_id: None, changes: Changes { draft: None, target_branch: false, labels: false } })"#);
}

#[test]
fn notes() {
    assert_snapshot!(read("Note Hook", fixture!("note")), @r#"Note(Note { project_id: 15, id: 1244, text: "/retest\nplease", noteable_type: "MergeRequest", action: Some("create"), system: false, user_id: Some(4), merge_request_iid: Some(7) })"#);
    assert_snapshot!(read("Confidential Note Hook", fixture!("note_confidential")), @r#"Note(Note { project_id: 15, id: 1244, text: "/retest\nplease", noteable_type: "MergeRequest", action: Some("update"), system: false, user_id: Some(4), merge_request_iid: Some(7) })"#);
    assert_snapshot!(read("Note Hook", fixture!("note_old_server")), @r#"Note(Note { project_id: 15, id: 1244, text: "/retest\nplease", noteable_type: "MergeRequest", action: None, system: false, user_id: Some(4), merge_request_iid: Some(7) })"#);
    assert_snapshot!(read("Note Hook", fixture!("note_on_commit")), @r#"Note(Note { project_id: 15, id: 1244, text: "", noteable_type: "Commit", action: Some("create"), system: false, user_id: Some(4), merge_request_iid: None })"#);
}

#[test]
fn pipelines() {
    assert_snapshot!(read("Pipeline Hook", fixture!("pipeline")), @r#"Pipeline(Pipeline { project_id: 15, id: 31, sha: "B", ref_: "fix", status: "running", source: "merge_request_event", merge_request_iid: Some(7) })"#);
    assert_snapshot!(read("Pipeline Hook", fixture!("pipeline_external")), @r#"Pipeline(Pipeline { project_id: 15, id: 32, sha: "B", ref_: "main", status: "pending", source: "external", merge_request_iid: None })"#);
}

#[test]
fn events_that_are_not_read_are_never_an_error() {
    assert_snapshot!(read("Deployment Hook", fixture!("deployment")), @r#"Other { event: "Deployment Hook", object_kind: Some("deployment"), project_id: Some(15) }"#);
    assert_snapshot!(read("Member Hook", fixture!("member")), @r#"Other { event: "Member Hook", object_kind: Some("user_access_request_to_group"), project_id: None }"#);
    assert_snapshot!(read("System Hook", br#"{"event_name":"project_create","project_id":7}"#), @r#"Other { event: "System Hook", object_kind: Some("project_create"), project_id: Some(7) }"#);
    for odd in ["[]", "[1,2,3,4]", "null", "\"text\"", "1.5", r#"{"object_kind":7,"project":[]}"#] {
        for event in ["Some New Hook", "System Hook"] {
            let other =
                Payload::Other { event: event.to_owned(), object_kind: None, project_id: None };
            assert_eq!(parse(event, odd.as_bytes()).unwrap(), other, "{odd}");
        }
    }
}

#[test]
fn what_cannot_be_read_says_where() {
    assert_snapshot!(read("Push Hook", b""), @"line 1, column 0 of the payload: EOF while parsing a value");
    assert_snapshot!(read("Push Hook", b"{\n  \"ref\": }"), @"line 2, column 10 of the payload: expected value");
    assert_snapshot!(read("Push Hook", b"{\"project_id\": \"5\"}"), @r#"line 1, column 18 of the payload: invalid type: string "5", expected u64"#);
    assert_snapshot!(read("Push Hook", b"{}"), @"line 1, column 2 of the payload: missing field `project_id`");
    assert_snapshot!(read("Push Hook", b"[1,2,3,4,5,6,7]"), @"line 1, column 1 of the payload: a payload is a JSON object");
    assert_snapshot!(read("Some New Hook", b"{} {}"), @"line 1, column 4 of the payload: trailing characters");
    assert_snapshot!(read("Some New Hook", b"\"\xff\""), @"line 1, column 2 of the payload: this byte is not UTF-8");
}

#[test]
fn deep_json_is_refused_wherever_it_stands() {
    let deep = "[".repeat(100_000);
    assert_snapshot!(read("Push Hook", deep.as_bytes()), @"line 1, column 128 of the payload: recursion limit exceeded");
    let unread = format!("{{\"unread\":{deep}");
    assert_snapshot!(read("Job Hook", unread.as_bytes()), @"line 1, column 137 of the payload: recursion limit exceeded");
}

#[test]
fn skipping_ci_is_told_by_the_push_options() {
    let skips = |options: &str| {
        let body = format!(
            r#"{{"project_id":1,"ref":"r","before":"a","after":"b","push_options":{options}}}"#
        );
        match parse("Push Hook", body.as_bytes()).unwrap() {
            Payload::Push(push) => push.skips_ci(),
            other => panic!("{other:?}"),
        }
    };
    assert!(skips(r#"{"ci":{"skip":true}}"#));
    assert!(skips(r#"{"ci":{"skip":"true"}}"#));
    assert!(!skips(r#"{"ci":{"skip":false}}"#));
    assert!(!skips(r#"{"ci":{"variable":{"A=b":1}}}"#));
    assert!(!skips("{}") && !skips("null") && !skips("[]"));
}
