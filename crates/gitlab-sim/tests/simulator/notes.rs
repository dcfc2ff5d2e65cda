//! Comments: limits, rights, quick actions.

use aldis_gitlab_sim::{Commented, Options};
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn the_author_edits_and_deletes() {
    let world = World::start().await;
    let (mr, _) = world.feature();
    let notes = format!("projects/{}/merge_requests/1/notes", world.project);
    let (status, note) = world.api(&format!("POST {notes}"), json!({ "body": "one" })).await;
    assert_eq!((status, &note["author"]["username"]), (201, &json!("project_1_bot")));
    let one = format!("{notes}/{}", note["id"]);
    assert_eq!(world.api(&format!("PUT {one}"), json!({ "body": "two" })).await.0, 200);
    assert_eq!(world.sim.merge_request_page(mr).unwrap().notes[0].edits, 1);
    assert_eq!(world.api(&format!("DELETE {one}"), json!(null)).await.0, 204);
    assert_eq!(world.get(&one).await.0, 404);
    insta::assert_snapshot!(world.sim.timeline().join("\n"), @"
    group/demo !1 note by project_1_bot: created
    group/demo !1 note by project_1_bot: edited
    group/demo !1 note by project_1_bot: deleted
    ");
}

#[tokio::test]
async fn nobody_below_maintainer_edits_for_others() {
    let world = World::start().await;
    let (mr, _) = world.feature();
    let Commented::Note(id) = world.alice().comment(mr, "mine").unwrap() else {
        panic!("a plain comment stays");
    };
    let path = format!("projects/{}/merge_requests/1/notes/{id}", world.project);
    let answer = world.api(&format!("PUT {path}"), json!({ "body": "yours" })).await;
    assert_eq!(answer, (403, json!({ "message": "403 Forbidden" })));
}

#[tokio::test]
async fn newest_first_and_paged() {
    let world = World::start().await;
    let (mr, _) = world.feature();
    for text in ["1", "2", "3"] {
        world.alice().comment(mr, text).unwrap();
    }
    let path = format!("GET projects/{}/merge_requests/1/notes?per_page=2&page=2", world.project);
    let response = world.request(&world.token, &path, &json!(null)).send().await.unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(
        (header("x-total"), header("x-next-page"), header("x-prev-page")),
        ("3".to_owned(), String::new(), "1".to_owned())
    );
    assert!(header("link").contains("rel=\"prev\"") && !header("link").contains("rel=\"next\""));
    let body: serde_json::Value = response.json().await.unwrap();
    assert_eq!(body[0]["body"], "1");
}

#[tokio::test]
async fn quick_actions_run_outside_code_and_are_cut_out() {
    let world = World::start().await;
    let (mr, _) = world.feature();
    let post = format!("POST projects/{}/merge_requests/1/notes", world.project);
    let fenced = json!({ "body": "log:\n```\n/close\n```\n/retest" });
    assert_eq!(world.api(&post, fenced).await.1["body"], "log:\n```\n/close\n```\n/retest");
    assert_eq!(world.sim.merge_request_page(mr).unwrap().state, "opened");

    // A longer fence ends, for GitLab, at the first line of exactly three backticks.
    let longer = json!({ "body": "log:\n````\na\n```\n/close\n````" });
    assert_eq!(world.api(&post, longer).await.0, 201);
    assert_eq!(world.sim.merge_request_page(mr).unwrap().state, "closed");

    let again = world.api(&post, json!({ "body": "/close" })).await;
    assert_eq!(again.0, 400, "a closed one cannot be closed: {again:?}");
    let (status, body) = world.api(&post, json!({ "body": "/reopen" })).await;
    assert_eq!((status, body.get("id")), (202, None));
    assert_eq!(body["commands_changes"]["state_event"], "reopen");
}

#[tokio::test]
async fn an_edit_to_only_commands_deletes_the_note() {
    let world = World::start().await;
    let (mr, _) = world.feature();
    let notes = format!("projects/{}/merge_requests/1/notes", world.project);
    let id = world.api(&format!("POST {notes}"), json!({ "body": "x" })).await.1["id"].clone();
    let put = format!("PUT {notes}/{id}");
    assert_eq!(world.api(&put, json!({ "body": "/label ~bug" })).await.0, 200);
    assert_eq!(world.sim.merge_request_page(mr).unwrap().notes, []);
}

#[tokio::test]
async fn too_long_and_too_many_are_refused() {
    let options = Options { notes_per_minute: Some(2), ..Options::default() };
    let world = World::start_with(options).await;
    world.feature();
    let post = format!("POST projects/{}/merge_requests/1/notes", world.project);
    let long = world.api(&post, json!({ "body": "x".repeat(1_000_001) })).await;
    assert_eq!(long.0, 400);
    assert!(long.1["message"].as_str().unwrap().contains("is too long"));
    assert_eq!(world.api(&post, json!({ "body": "ok" })).await.0, 201);
    let response = world.request(&world.token, &post, &json!({ "body": "no" })).send().await;
    let response = response.unwrap();
    assert_eq!(response.status(), 429);
    assert!(!response.headers().contains_key("retry-after"));
}
