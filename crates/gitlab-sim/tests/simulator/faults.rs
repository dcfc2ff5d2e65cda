//! Faults strike once, where they are aimed, and say truly whether something was applied.

use std::time::Duration;

use aldis_gitlab_sim::{Fault, FaultKind, Route};
use serde_json::json;

use crate::world::World;

impl World {
    /// Posts one status and tells the answer's code and the number of rows then.
    async fn post_and_count(&self) -> (Option<u16>, usize) {
        let call = format!("POST projects/{}/statuses/{}", self.project, self.a);
        let body = json!({ "state": "success", "name": "t" });
        let answer = self.try_api(&self.token, &call, body).await;
        (answer.map(|(status, _)| status), self.rows())
    }

    fn rows(&self) -> usize {
        let views = self.sim.pipeline_views(self.project, &self.a);
        views.first().map_or(0, |view| view.jobs.len() + view.retried)
    }
}

#[tokio::test]
async fn answers_come_with_their_headers_and_nothing_is_applied() {
    let world = World::start().await;
    for status in [403, 404, 409, 422, 429, 500, 502] {
        world.sim.fault(Fault::on(Route::StatusPost, FaultKind::status(status)));
        assert_eq!(world.post_and_count().await, (Some(status), 0));
    }
    assert!(!world.sim.faults_left());
    assert_eq!(world.post_and_count().await, (Some(201), 1));
    let applied: Vec<bool> = world.sim.writes().iter().map(|call| call.applied).collect();
    assert_eq!(applied, [false, false, false, false, false, false, false, true]);

    world.sim.fault(Fault::on(Route::AnyRead, FaultKind::rate_limited(7)));
    let response = world.request(&world.token, "GET user", &json!(null)).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (429, &"7".parse().unwrap())
    );
    assert_eq!(response.text().await.unwrap(), "Retry later\n");
}

#[tokio::test]
async fn a_lost_answer_leaves_its_effect() {
    let world = World::start().await;
    world.sim.fault(Fault::on(Route::StatusPost, FaultKind::LoseAnswer).skip(1).times(2));
    assert_eq!(world.post_and_count().await, (Some(201), 1));
    assert_eq!(world.post_and_count().await, (None, 2));
    assert_eq!(world.post_and_count().await, (None, 3));
    assert_eq!(world.post_and_count().await, (Some(201), 4));
}

#[tokio::test]
async fn a_connection_closed_before_applies_nothing() {
    let world = World::start().await;
    world.sim.fault(Fault::on(Route::AnyWrite, FaultKind::CloseBefore));
    assert_eq!(world.post_and_count().await, (None, 0));
    assert!(!world.sim.writes()[0].applied);
}

#[tokio::test]
async fn a_late_request_lands_after_the_connection_closed() {
    let world = World::start().await;
    world.sim.fault(Fault::on(Route::StatusPost, FaultKind::LandLate));
    assert_eq!(world.post_and_count().await, (None, 0));
    world.sim.land();
    assert_eq!(world.rows(), 1);
}

#[tokio::test]
async fn a_held_request_takes_effect_and_is_answered_when_it_is_let_go() {
    let world = World::start().await;
    world.sim.fault(Fault::on(Route::StatusPost, FaultKind::Hold));
    let rows_before = async {
        world.sim.wait_until(|sim| !sim.faults_left()).await;
        let rows = world.rows();
        world.sim.land();
        rows
    };
    let (answer, before) = tokio::join!(world.post_and_count(), rows_before);
    assert_eq!((answer, before), ((Some(201), 1), 0));
}

#[tokio::test]
async fn a_fault_can_wait_for_a_parameter() {
    let world = World::start().await;
    let fault = |state| Fault::on(Route::StatusPost, FaultKind::CloseBefore).when("state", state);
    world.sim.fault(fault("pending"));
    assert_eq!(world.post_and_count().await, (Some(201), 1));
    world.sim.fault(fault("success"));
    assert_eq!(world.post_and_count().await, (None, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn git_meets_faults_too() {
    let world = World::start().await;
    let url = format!("{}.git", world.sim.project_url(world.project));
    let url = url.replace("http://", &format!("http://x:{}@", world.token));
    let dir = tempfile::tempdir().unwrap();
    let list = || crate::world::git(dir.path(), &["ls-remote", &url]);
    world.sim.fault(Fault::on(Route::Git, FaultKind::status(502)));
    assert!(list().unwrap_err().contains("502"));
    world.sim.fault(Fault::on(Route::Git, FaultKind::CloseBefore));
    assert!(list().is_err());
    assert!(list().unwrap().contains("refs/heads/main"));
}

#[tokio::test]
async fn slow_answers_arrive_whole() {
    let world = World::start().await;
    let time = Duration::from_millis(80);
    for kind in [FaultKind::SlowBody(time), FaultKind::DelayAnswer(time)] {
        world.sim.fault(Fault::on(Route::StatusPost, kind));
        let began = std::time::Instant::now();
        assert_eq!(world.post_and_count().await.0, Some(201));
        assert!(began.elapsed() >= time);
    }
}

#[tokio::test]
async fn every_call_is_recorded() {
    let world = World::start().await;
    let (_, b) = world.feature();
    world.status(&b, json!({ "state": "pending", "name": "t" })).await;
    world.get("version").await;
    world.get("nowhere").await;
    world.sim.wait_for_calls(Route::Unknown, 1).await;
    let calls: Vec<String> = world
        .sim
        .calls()
        .iter()
        .map(|call| format!("{:?} {} {}", call.route, call.status, call.params))
        .collect();
    insta::assert_snapshot!(calls.join("\n"), @r#"
    StatusPost 201 {"name":"t","state":"pending"}
    Version 200 {}
    Unknown 404 {}
    "#);
    assert_eq!(world.sim.writes()[0].user, Some(world.bot));
}
