//! Commit statuses: the state machine, the rows, the refusals.

use aldis_gitlab_sim::{AccessLevel, JobState, PipelineFor, Scope};
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn transitions_follow_the_state_machine() {
    let world = World::start().await;
    let states = ["pending", "running", "success", "failed", "canceled", "skipped"];
    let mut table = String::new();
    for from in ["(new)", "pending", "running", "success"] {
        table.push_str(&format!("{from:8}"));
        for to in states {
            let name = format!("{from} {to}");
            if from != "(new)" {
                world.status(&world.a, json!({ "state": from, "name": name })).await;
            }
            let answer = world.status(&world.a, json!({ "state": to, "name": name })).await;
            let event = answer.split(':').find_map(|part| part.split_once(" from"));
            let event = event.map_or("-", |(event, _)| event);
            table.push_str(&format!(" {} {event:7}", &answer[..3]));
        }
        table = table.trim_end().to_owned() + "\n";
    }
    insta::assert_snapshot!(table, @"
    (new)    201 -       201 -       201 -       201 -       201 -       201 -
    pending  400 enqueue 201 -       201 -       201 -       201 -       201 -
    running  400 enqueue 400 run     201 -       201 -       201 -       400 skip
    success  201 -       201 -       201 -       201 -       201 -       201 -
    ");
}

#[tokio::test]
async fn a_refused_transition_changes_nothing() {
    let world = World::start().await;
    let running = json!({ "state": "running", "name": "t", "description": "first" });
    world.status(&world.a, running).await;
    let again = json!({ "state": "running", "name": "t", "description": "second" });
    let refused = world.status(&world.a, again).await;
    assert!(refused.contains("Cannot transition status via :run from :running"), "{refused}");
    let views = world.sim.pipeline_views(world.project, &world.a);
    insta::assert_snapshot!(views[0], @r#"
    main A: running (external)
      t: running "first"
    "#);
}

#[tokio::test]
async fn a_final_row_is_hidden_behind_the_next_one() {
    let world = World::start().await;
    for state in ["running", "failed", "success", "success"] {
        let answer = world.status(&world.a, json!({ "state": state, "name": "t" })).await;
        assert!(answer.starts_with("201"), "{answer}");
    }
    let views = world.sim.pipeline_views(world.project, &world.a);
    insta::assert_snapshot!(views[0], @"
    main A: success (external)
      t: success
      (2 retried)
    ");
    let path = format!("projects/{}/repository/commits/{}/statuses", world.project, world.a);
    let latest = world.get(&path).await.1;
    let all = world.get(&format!("{path}?all=true")).await.1;
    assert_eq!((latest.as_array().unwrap().len(), all.as_array().unwrap().len()), (1, 3));
    let short = world.get(&path.replace(&world.a, &world.a[..8])).await;
    assert_eq!(short, (200, json!([])), "a short sha passes but lists nothing");
}

#[tokio::test]
async fn another_user_gets_a_row_of_its_own() {
    let world = World::start().await;
    let other = world.sim.create_bot("other_bot");
    world.sim.set_member(world.project, other, AccessLevel::Developer).unwrap();
    let token = world.sim.create_token(other, &[Scope::Api], None).unwrap();
    world.status(&world.a, json!({ "state": "running", "name": "t" })).await;
    let done = json!({ "state": "success", "name": "t" });
    world.status_as(&token, world.project, &world.a, done).await;
    let views = world.sim.pipeline_views(world.project, &world.a);
    insta::assert_snapshot!(views[0], @"
    main A: success (external)
      t: success
      (1 retried)
    ");
}

#[tokio::test]
async fn bad_parameters_are_refused_as_gitlab_words_it() {
    let world = World::start().await;
    let long = "x".repeat(256);
    let cases = [
        json!({}),
        json!({ "state": "green" }),
        json!({ "state": "pending", "description": long }),
        json!({ "state": "pending", "target_url": "ftp://x" }),
        json!({ "state": "pending", "pipeline_id": 999 }),
    ];
    let mut text = Vec::new();
    for case in cases {
        text.push(world.status(&world.a, case).await);
    }
    let unknown = "0123456789012345678901234567890123456789";
    text.push(world.status(unknown, json!({ "state": "pending" })).await);
    insta::assert_snapshot!(text.join("\n"), @r#"
    400 {"error":"state is missing, state does not have a valid value"}
    400 {"error":"state does not have a valid value"}
    400 {"message":{"description":["is too long (maximum is 255 characters)"]}}
    400 {"message":{"target_url":["is blocked: Only allowed schemes are http, https"]}}
    404 {"message":"404 Pipeline for pipeline_id, sha and ref Not Found"}
    404 {"message":"404 Commit Not Found"}
    "#);
}

#[tokio::test]
async fn a_ci_job_keeps_its_name() {
    let world = World::start().await;
    let branch = PipelineFor::Branch("main".to_owned());
    let jobs = [("unit", JobState::Running)];
    world.alice().create_ci_pipeline(world.project, &branch, &jobs).unwrap();
    let answer = world.status(&world.a, json!({ "state": "pending", "name": "unit" })).await;
    assert_eq!(answer, r#"400 {"message":{"name":["has already been taken"]}}"#);
}

#[tokio::test]
async fn a_protected_branch_needs_a_maintainer() {
    let world = World::start().await;
    world.sim.protect_branch(world.project, "main").unwrap();
    let post = json!({ "state": "pending", "name": "t" });
    let answer = world.status(&world.a, post.clone()).await;
    assert_eq!(answer, r#"403 {"message":"403 Forbidden"}"#);
    let views = world.sim.pipeline_views(world.project, &world.a);
    assert_eq!(views.len(), 1, "the pipeline exists all the same");
    world.sim.set_member(world.project, world.bot, AccessLevel::Maintainer).unwrap();
    assert_eq!(world.status(&world.a, post).await, "201 t pending on main");
}

#[tokio::test]
async fn a_full_pipeline_refuses_by_id_and_is_replaced_otherwise() {
    let world = World::start().await;
    world.status(&world.a, json!({ "state": "pending", "name": "one" })).await;
    world.sim.set_pipeline_limit(world.project, 1).unwrap();
    let id = world.sim.pipeline_views(world.project, &world.a)[0].id.0;
    let pinned = json!({ "state": "pending", "name": "two", "pipeline_id": id });
    assert!(world.status(&world.a, pinned).await.starts_with("422 "));
    world.status(&world.a, json!({ "state": "pending", "name": "two" })).await;
    assert_eq!(world.sim.pipeline_views(world.project, &world.a).len(), 2);
}
