//! Access, tokens, renames, limits and merge request reads.

use aldis_gitlab_sim::{AccessLevel, Options, Scope};
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn tokens_are_refused_in_gitlabs_words() {
    let world = World::start().await;
    let past = Some(jiff::civil::date(2020, 1, 1));
    let expired = world.sim.create_token(world.bot, &[Scope::Api], past).unwrap();
    let revoked = world.sim.create_token(world.bot, &[Scope::Api], None).unwrap();
    world.sim.revoke_token(&revoked).unwrap();
    let reader = world.sim.create_token(world.bot, &[Scope::ReadApi], None).unwrap();
    let post = format!("POST projects/{}/statuses/{}", world.project, world.a);
    let mut text = Vec::new();
    for token in ["nonsense", &expired, &revoked, &reader] {
        let (status, body) = world.try_api(token, &post, json!({})).await.unwrap();
        text.push(format!("{status} {body}"));
    }
    insta::assert_snapshot!(text.join("\n"), @r#"
    401 {"message":"401 Unauthorized"}
    401 {"error":"invalid_token","error_description":"Token is expired. You can either do re-authorization or token refresh."}
    401 {"error":"invalid_token","error_description":"Token was revoked. You have to re-authorize from the user."}
    403 {"error":"insufficient_scope","error_description":"The request requires higher privileges than provided by the access token.","scope":"api"}
    "#);
    let own = world.try_api(&reader, "GET personal_access_tokens/self", json!(null)).await;
    assert_eq!(own.unwrap().1["scopes"], json!(["read_api"]));
}

#[tokio::test]
async fn bearer_works_and_unknown_things_are_404() {
    let world = World::start().await;
    let url = format!("{}/api/v4/user", world.sim.url());
    let response = world.http.get(&url).bearer_auth(&world.token).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.headers().contains_key("x-request-id"));
    assert_eq!(world.http.get(&url).send().await.unwrap().status(), 401);
    assert_eq!(world.get("nowhere").await, (404, json!({ "error": "404 Not Found" })));
    assert_eq!(world.api("PUT version", json!({})).await.0, 405);
    world.sim.remove_member(world.project, world.bot).unwrap();
    let hidden = world.get("projects/group%2Fdemo").await;
    assert_eq!(hidden, (404, json!({ "message": "404 Project Not Found" })));
}

#[tokio::test]
async fn a_rotated_token_replaces_the_old_one() {
    let world = World::start().await;
    let rotate = "POST personal_access_tokens/self/rotate";
    let (status, body) = world.api(rotate, json!({ "expires_at": "2099-01-01" })).await;
    assert_eq!((status, &body["expires_at"]), (200, &json!("2099-01-01")));
    assert_eq!(world.get("user").await.1["error"], "invalid_token");
    let new = body["token"].as_str().unwrap();
    let user = world.try_api(new, "GET user", json!(null)).await.unwrap();
    assert_eq!(user.1["id"], world.bot.0);
}

#[tokio::test]
async fn a_renamed_project_moves_reads_and_refuses_writes() {
    let options = Options { base_path: "/gitlab".to_owned(), ..Options::default() };
    let world = World::start_with(options).await;
    world.sim.rename_project(world.project, "group/new").unwrap();
    let call = "GET projects/group%2Fdemo/environments?name=x";
    let response = world.request(&world.token, call, &json!(null)).send().await.unwrap();
    assert_eq!(response.status(), 301);
    let location = response.headers()["location"].to_str().unwrap();
    let expected = format!("{}/api/v4/projects/{}/environments", world.sim.url(), world.project);
    assert!(location.starts_with(&expected) && location.contains("/gitlab/"), "{location}");
    let write = world.api("POST projects/group%2Fdemo/environments", json!({ "name": "x" })).await;
    assert_eq!(write.0, 404);
    assert_eq!(world.get("projects/group%2Fnew").await.1["id"], world.project.0);
}

#[tokio::test]
async fn the_request_limit_tells_how_long_to_wait() {
    let options = Options { requests_per_minute: Some(2), ..Options::default() };
    let world = World::start_with(options).await;
    let send = || world.request(&world.token, "GET user", &json!(null)).send();
    let first = send().await.unwrap();
    assert_eq!(first.headers()["ratelimit-remaining"], "1");
    send().await.unwrap();
    let refused = send().await.unwrap();
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(refused.text().await.unwrap(), "Retry later\n");
}

#[tokio::test]
async fn merge_requests_are_found_by_branch_and_by_commit() {
    let world = World::start().await;
    let (mr, b) = world.feature();
    let list = format!("projects/{}/merge_requests", world.project);
    let open = world.get(&format!("{list}?source_branch=feature&state=opened")).await.1;
    assert_eq!((open.as_array().unwrap().len(), &open[0]["sha"]), (1, &json!(b)));
    assert!(open[0].get("head_pipeline").is_none(), "only the single view has it");
    let one = world.get(&format!("{list}/1")).await.1;
    assert_eq!(one["diff_refs"]["base_sha"], json!(world.a));
    let by_commit = format!("projects/{}/repository/commits/{b}/merge_requests", world.project);
    assert_eq!(world.get(&by_commit).await.1[0]["iid"], 1);
    world.sim.set_prepared(mr, false).unwrap();
    assert_eq!(world.get(&format!("{list}/1")).await.1["sha"], json!(null));
    world.sim.set_prepared(mr, true).unwrap();

    let merged = world.alice().merge(mr).unwrap();
    let one = world.get(&format!("{list}/1")).await.1;
    assert_eq!((&one["state"], &one["merge_commit_sha"]), (&json!("merged"), &json!(merged)));
    assert_eq!(world.sim.branch_head(world.project, "main").unwrap(), merged);
}

#[tokio::test]
async fn a_push_to_the_target_merges_and_an_empty_one_stays_open() {
    let world = World::start().await;
    let (mr, b) = world.feature();
    world.alice().push(world.project, "empty", "main").unwrap();
    let empty = world.alice().propose(world.project, "empty", "Nothing yet").unwrap();
    world.alice().push(world.project, "main", &b).unwrap();
    assert_eq!(world.sim.merge_request_page(mr).unwrap().state, "merged");
    assert_eq!(world.sim.merge_request_page(empty).unwrap().state, "opened");
}

#[tokio::test]
async fn a_merge_request_outlives_its_fork() {
    let world = World::start().await;
    let fork = world.sim.fork(world.project, world.bot).unwrap();
    let files = [("x", Some("x"))];
    world.sim.by(world.bot).commit_and_push(fork, "feature", &files, "Add x").unwrap();
    let new = aldis_gitlab_sim::NewMergeRequest {
        source_project: fork,
        source_branch: "feature".to_owned(),
        project: world.project,
        target_branch: "main".to_owned(),
        title: "Add x".to_owned(),
    };
    let mr = world.sim.by(world.bot).open_merge_request(new).unwrap();
    world.sim.delete_project(fork).unwrap();
    world.sim.hold_deliveries();
    let all = aldis_gitlab_sim::Trigger::ALL;
    let none = aldis_gitlab_sim::Secret::None;
    world.sim.add_hook(world.project, "http://127.0.0.1:9/", none, all).unwrap();
    world.alice().close(mr).unwrap();
    let held = world.sim.held_deliveries();
    let body: serde_json::Value = serde_json::from_slice(&held[0].body).unwrap();
    assert_eq!(body["object_attributes"]["source"], json!(null));
    assert!(body["object_attributes"]["last_commit"]["id"].is_string());
    let path = format!("projects/{}/merge_requests/1", world.project);
    assert_eq!(world.get(&format!("{path}/diffs")).await.1[0]["new_path"], "x");
}

#[tokio::test]
async fn stopping_or_dropping_closes_the_door() {
    for drop_it in [false, true] {
        let world = World::start().await;
        let url = world.sim.url().to_owned();
        assert!(world.http.get(&url).send().await.is_ok());
        if drop_it {
            drop(world.sim);
        } else {
            world.sim.stop().await;
        }
        let gone = async {
            while world.http.get(&url).send().await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), gone).await.unwrap();
    }
}

#[tokio::test]
async fn roles_are_told_with_gitlabs_numbers() {
    let world = World::start().await;
    let member = |id| format!("projects/{}/members/all/{id}", world.project);
    assert_eq!(world.get(&member(world.alice)).await.1["access_level"], 50);
    assert_eq!(world.get(&member(world.bot)).await.1["access_level"], 30);
    let stranger = world.sim.create_user("stranger");
    assert_eq!(world.get(&member(stranger)).await.0, 404);
}

#[tokio::test]
async fn hooks_are_managed_by_maintainers_and_keep_their_secrets() {
    let world = World::start().await;
    let path = format!("projects/{}/hooks", world.project);
    assert_eq!(world.get(&path).await.0, 403);
    world.sim.set_member(world.project, world.bot, AccessLevel::Maintainer).unwrap();
    let bad = world.api(&format!("POST {path}"), json!({ "url": "nonsense" })).await;
    assert_eq!(bad, (422, json!({ "error": "Invalid url given" })));
    let new = json!({ "url": "http://a.test/", "token": "t", "note_events": true });
    let (status, hook) = world.api(&format!("POST {path}"), new).await;
    assert_eq!(
        (status, &hook["push_events"], &hook["note_events"]),
        (201, &json!(true), &json!(true))
    );
    assert_eq!((&hook["token_present"], hook.get("token")), (&json!(true), None));
    let put = format!("PUT {path}/{}", hook["id"]);
    assert_eq!(world.api(&put, json!({})).await.1["error"], "No parameters provided");
    let kept = world.api(&put, json!({ "push_events": false })).await.1;
    assert_eq!((&kept["token_present"], &kept["push_events"]), (&json!(true), &json!(false)));
    let moved = world.api(&put, json!({ "url": "http://b.test/" })).await.1;
    assert_eq!(moved["token_present"], false, "a new URL forgets the token");
    assert_eq!(moved["id"], hook["id"]);
    assert_eq!(world.api(&format!("DELETE {path}/{}", hook["id"]), json!(null)).await.0, 204);
}
