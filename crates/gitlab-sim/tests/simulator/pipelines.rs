//! Which pipeline takes a status, and which one a merge request shows.

use aldis_gitlab_sim::{AccessLevel, JobState, NewMergeRequest, PipelineFor};
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn a_branch_pipeline_is_the_head_pipeline_while_it_is_alone() {
    let world = World::start().await;
    let (mr, b) = world.feature();
    world.status(&b, json!({ "state": "running", "name": "aldis", "ref": "feature" })).await;
    insta::assert_snapshot!(world.sim.merge_request_page(mr).unwrap(), @"
    !1 Add new [opened] B
    feature B: running (external)
      aldis: running
    ");
}

#[tokio::test]
async fn merge_request_pipelines_come_first() {
    let world = World::start().await;
    let (mr, b) = world.feature();
    let jobs = [("unit", JobState::Success)];
    let what = PipelineFor::MergeRequest(mr);
    let id = world.alice().create_ci_pipeline(world.project, &what, &jobs).unwrap();
    let on_branch = json!({ "state": "failed", "name": "aldis", "ref": "feature" });
    assert_eq!(world.status(&b, on_branch.clone()).await, "201 aldis failed on feature");
    let page = world.sim.merge_request_page(mr).unwrap();
    assert_eq!(page.pipeline.unwrap().status, JobState::Success, "the branch's does not count");

    let mut pinned_with_ref = on_branch;
    pinned_with_ref["pipeline_id"] = json!(id.0);
    let refused = world.status(&b, pinned_with_ref).await;
    let text = "404 Pipeline for pipeline_id, sha and ref Not Found";
    assert_eq!(refused, format!(r#"404 {{"message":"{text}"}}"#));

    let pinned = json!({ "state": "failed", "name": "aldis", "pipeline_id": id.0 });
    let answer = world.status(&b, pinned).await;
    assert_eq!(answer, "201 aldis failed on refs/merge-requests/1/head");
    insta::assert_snapshot!(world.sim.merge_request_page(mr).unwrap(), @"
    !1 Add new [opened] B
    refs/merge-requests/1/head B: failed (merge_request_event)
      aldis: failed
      unit: success
    ");
}

#[tokio::test]
async fn a_forks_commit_is_reachable_only_where_it_lives() {
    let world = World::start().await;
    let eve = world.sim.create_user("eve");
    let fork = world.sim.fork(world.project, eve).unwrap();
    let files = [("src/new.txt", Some("new\n"))];
    let b = world.sim.by(eve).commit_and_push(fork, "feature", &files, "Add new").unwrap();
    world.sim.name_sha(&b, "B");
    let new = NewMergeRequest {
        source_project: fork,
        source_branch: "feature".to_owned(),
        project: world.project,
        target_branch: "main".to_owned(),
        title: "From a fork".to_owned(),
    };
    let mr = world.sim.by(eve).open_merge_request(new).unwrap();
    let post = json!({ "state": "success", "name": "aldis" });

    let target = world.status(&b, post.clone()).await;
    assert_eq!(target, r#"404 {"message":"404 References for commit Not Found"}"#);
    let stranger = world.status_as(&world.token, fork, &b, post.clone()).await;
    assert_eq!(stranger, r#"404 {"message":"404 Project Not Found"}"#);
    world.sim.set_member(fork, world.bot, AccessLevel::Reporter).unwrap();
    let reporter = world.status_as(&world.token, fork, &b, post.clone()).await;
    assert_eq!(reporter, r#"403 {"message":"403 Forbidden"}"#);

    let with_ref = json!({ "state": "success", "name": "aldis", "ref": "feature" });
    world.status(&b, with_ref).await;
    assert_eq!(world.sim.merge_request_page(mr).unwrap().pipeline, None, "invisible in the target");

    world.sim.set_member(fork, world.bot, AccessLevel::Developer).unwrap();
    world.status_as(&world.token, fork, &b, post).await;
    insta::assert_snapshot!(world.sim.merge_request_page(mr).unwrap(), @"
    !1 From a fork [opened] B
    feature B: success (external)
      aldis: success
    ");
    let path = format!("projects/{}/merge_requests/1", world.project);
    let body = world.get(&path).await.1;
    assert_eq!(body["source_project_id"], fork.0);
    assert_eq!(body["head_pipeline"]["project_id"], fork.0);
}

#[tokio::test]
async fn one_forgotten_pending_keeps_the_pipeline_open() {
    let world = World::start().await;
    let mut seen = Vec::new();
    for (name, state) in [
        ("one", "pending"),
        ("two", "pending"),
        ("one", "success"),
        ("two", "running"),
        ("two", "canceled"),
        ("two", "failed"),
        ("two", "skipped"),
    ] {
        world.status(&world.a, json!({ "state": state, "name": name })).await;
        let status = world.sim.pipeline_views(world.project, &world.a)[0].status;
        seen.push(format!("{name} {state}: {status}"));
    }
    insta::assert_snapshot!(seen.join("\n"), @"
    one pending: pending
    two pending: pending
    one success: running
    two running: running
    two canceled: canceled
    two failed: failed
    two skipped: success
    ");
}

#[tokio::test]
async fn jobs_list_only_real_ci_jobs() {
    let world = World::start().await;
    let branch = PipelineFor::Branch("main".to_owned());
    let jobs = [("unit", JobState::Pending)];
    let id = world.alice().create_ci_pipeline(world.project, &branch, &jobs).unwrap();
    world.status(&world.a, json!({ "state": "success", "name": "aldis" })).await;
    world.alice().finish_ci_pipeline(id, JobState::Failed).unwrap();
    let path = format!("projects/{}/pipelines/{id}", world.project);
    let jobs = world.get(&format!("{path}/jobs")).await.1;
    assert_eq!(jobs.as_array().unwrap().len(), 1);
    assert_eq!(jobs[0]["name"], "unit");
    assert_eq!(world.get(&path).await.1["status"], "failed");
}

#[tokio::test]
async fn a_test_waits_for_what_a_person_would_see() {
    let world = World::start().await;
    let (mr, b) = world.feature();
    let is_green = |sim: &aldis_gitlab_sim::Simulator| {
        let page = sim.merge_request_page(mr).unwrap();
        page.pipeline.is_some_and(|pipeline| pipeline.status == JobState::Success)
    };
    let post = async {
        world.status(&b, json!({ "state": "running", "ref": "feature" })).await;
        world.status(&b, json!({ "state": "success", "ref": "feature" })).await;
    };
    tokio::join!(world.sim.wait_until(is_green), post);
}
