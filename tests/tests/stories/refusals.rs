//! GitLab refuses a write: what was asked for is not asked again, what comes next is, and nothing
//! else suffers.

use std::collections::BTreeSet;
use std::time::Instant;

use aldis_domain::report::Outcome;
use aldis_gitlab_sim::{Fault, FaultKind, Route, Scope};
use aldis_tests::{Setup, Story};

use crate::faults::cannot_transition;

/// Answers that say no, whatever the reason.
const NO: [u16; 4] = [400, 403, 404, 422];

/// Nothing that was refused was sent twice.
fn assert_each_was_sent_once(story: &Story, route: Route) {
    let calls = story.sim.calls().into_iter().filter(|call| call.route == route && !call.applied);
    let sent: Vec<String> = calls.map(|call| format!("{} {}", call.path, call.params)).collect();
    let distinct: BTreeSet<&String> = sent.iter().collect();
    assert!(!sent.is_empty(), "nothing was refused");
    assert_eq!(sent.len(), distinct.len(), "sent again: {sent:#?}");
}

#[tokio::test]
async fn a_comment_that_is_refused_is_made_with_the_next_text() {
    let story = Story::start().await;
    for (made, status) in NO.into_iter().enumerate() {
        let branch = format!("feature-{status}");
        story.sim.fault(Fault::on(Route::NoteCreate, FaultKind::status(status)));
        story.push(&format!("A{status}"), &branch, &[("code", &branch)]);
        let mr = story.propose(&branch);
        story.settle().await;
        assert!(!story.sim.faults_left(), "{status}: the fault was never met");
        assert_eq!(story.notes(mr).len(), 0, "{status}");
        assert_each_was_sent_once(&story, Route::NoteCreate);
        story.push(&format!("B{status}"), &branch, &[("ci.sh", "exit 1\n")]);
        story.settle().await;
        assert_eq!(story.headline(mr), "### ✗ 1 of 1 stack failed", "{status}");
        assert_eq!(story.notes(mr).len(), 1, "{status}");
        assert_eq!(story.runs().await.lines().count(), 2 * (made + 1));
    }
    story.finish_doubled(80).await;
}

#[tokio::test]
async fn an_edit_that_is_refused_mutes_no_later_one() {
    let story = Story::start().await;
    let mr = story.propose_commit("A", &[("code", "1")]);
    story.settle().await;
    for status in NO.into_iter().filter(|status| *status != 404) {
        story.sim.fault(Fault::on(Route::NoteUpdate, FaultKind::status(status)).always());
        let before = story.notes(mr);
        let refused = format!("refused {status}");
        story.push(&refused, "feature", &[("ci.sh", "exit 1\n"), ("code", &refused)]);
        story.settle().await;
        assert_each_was_sent_once(&story, Route::NoteUpdate);
        assert_eq!(story.notes(mr)[0].body, before[0].body, "{status}");
        story.sim.clear_faults();
        let next = format!("next {status}");
        story.push(&next, "feature", &[("ci.sh", "true\n"), ("code", &next)]);
        story.settle().await;
        let body = &story.notes(mr)[0].body;
        assert!(body.contains(&format!("Commit {}", &story.sha(&next)[..8])), "{status}: {body}");
        assert_eq!(story.headline(mr), "### ✓ 1 stack passed", "{status}");
        assert_eq!(story.notes(mr).len(), 1, "{status}");
    }
    story.finish_doubled(81).await;
}

#[tokio::test]
async fn an_edit_that_is_answered_404_makes_no_second_comment() {
    let story = Story::start().await;
    let mr = story.propose_commit("A", &[("code", "1")]);
    story.settle().await;
    let comment = story.notes(mr)[0].id;
    story.sim.fault(Fault::on(Route::NoteUpdate, FaultKind::status(404)));
    story.push("B", "feature", &[("ci.sh", "exit 1\n")]);
    story.settle().await;
    assert!(!story.sim.faults_left());
    assert_eq!(story.headline(mr), "### ✗ 1 of 1 stack failed");
    // The whole merge request is hidden for a while.
    for route in [Route::NoteUpdate, Route::NoteList] {
        story.sim.fault(Fault::on(route, FaultKind::status(404)).always());
    }
    story.push("C", "feature", &[("ci.sh", "true\n")]);
    story.settle().await;
    assert_each_was_sent_once(&story, Route::NoteUpdate);
    assert_eq!(story.headline(mr), "### ✗ 1 of 1 stack failed");
    story.sim.clear_faults();
    story.push("D", "feature", &[("code", "2")]);
    story.settle().await;
    assert_eq!(story.headline(mr), "### ✓ 1 stack passed");
    assert_eq!(story.notes(mr)[0].id, comment, "it is the same comment all the time");
    assert_eq!(story.sim.count(Route::NoteCreate), 1);
    story.finish_doubled(82).await;
}

const DEPLOYING: &str = "\
version: 1
stacks:
  web:
    steps: [{ name: deploy, run: 'true' }]
    environment: { name: production, tier: production, url: https://demo.example.org }
";

/// A project that deploys, where the story plays the only runner: it decides when a run ends.
async fn deploying() -> Story {
    let story = Setup::USUAL.with(DEPLOYING).start().await;
    story.own_runner_stops().await;
    story
}

/// Whether the Environments page shows each of the commits in this state.
fn all_are(story: &Story, state: &str, names: &[String]) -> bool {
    let page = story.environments();
    names.iter().all(|name| page.contains(&format!("  {state} {name} main")))
}

#[tokio::test]
async fn a_deployment_that_is_refused_appears_when_gitlab_takes_it() {
    let story = deploying().await;
    let mut runs = Vec::new();
    for status in NO {
        story.sim.fault(Fault::on(Route::DeploymentCreate, FaultKind::status(status)));
        story.push(&format!("A{status}"), "main", &[("code", &status.to_string())]);
        runs.push(story.take_run().await.ticket);
        story.settle_but_runs().await;
        assert!(!story.sim.faults_left(), "{status}: the fault was never met");
    }
    // Nothing new comes: that it was refused is reason enough to try again.
    let names = NO.map(|status| format!("A{status}"));
    story.until_seen("all are shown", |s| all_are(s, "running", &names)).await;
    for run in runs {
        story.end_run(&run, Outcome::Passed).await.unwrap();
    }
    story.settle().await;
    assert!(all_are(&story, "success", &names), "{}", story.environments());
    assert_eq!(story.sim.count(Route::DeploymentCreate), 2 * NO.len());
    story.finish_doubled(83).await;
}

#[tokio::test]
async fn the_end_of_a_deployment_that_is_refused_is_told_later() {
    let story = deploying().await;
    let mut kinds = NO.map(|status| (status.to_string(), FaultKind::status(status))).to_vec();
    kinds.push(("stuck".to_owned(), cannot_transition()));
    let names: Vec<String> = kinds.iter().map(|(name, _)| name.clone()).collect();
    for (name, kind) in kinds {
        story.push(&name, "main", &[("code", &name)]);
        let run = story.take_run().await.ticket;
        story.settle_but_runs().await;
        story.sim.fault(Fault::on(Route::DeploymentUpdate, kind));
        story.end_run(&run, Outcome::Failed).await.unwrap();
        story.settle().await;
        assert!(!story.sim.faults_left(), "{name}: the fault was never met");
    }
    story.until_seen("all have ended", |s| all_are(s, "failed", &names)).await;
    assert_eq!(story.sim.count(Route::DeploymentUpdate), 2 * names.len());
    story.finish_doubled(84).await;
}

#[tokio::test]
async fn an_end_that_somebody_else_gave_a_deployment_is_taken_as_it_is() {
    let story = deploying().await;
    story.push("A", "main", &[("code", "1")]);
    let run = story.take_run().await.ticket;
    story.settle_but_runs().await;
    let token = story.sim.create_token(story.alice, &[Scope::Api], None).unwrap();
    let deployments =
        format!("{}/api/v4/projects/{}/deployments", story.sim.url(), story.project.0);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let listed = client.get(&deployments).header("private-token", &token).send().await.unwrap();
    let listed: serde_json::Value = serde_json::from_slice(&listed.bytes().await.unwrap()).unwrap();
    let ended = client
        .put(format!("{deployments}/{}", listed[0]["id"]))
        .header("private-token", &token)
        .header("content-type", "application/json")
        .body(r#"{"status":"success"}"#);
    assert_eq!(ended.send().await.unwrap().status().as_u16(), 200);
    story.end_run(&run, Outcome::Passed).await.unwrap();
    story.settle().await;
    // GitLab does not go from success to success, so the list was read.
    let refused = story.sim.writes().into_iter().filter(|call| !(200..300).contains(&call.status));
    assert_eq!(refused.map(|call| call.route).collect::<Vec<_>>(), [Route::DeploymentUpdate]);
    assert!(all_are(&story, "success", &["A".to_owned()]), "{}", story.environments());
    story.finish_doubled(88).await;
}

#[tokio::test]
async fn news_of_a_deployment_does_not_wait_for_what_was_refused() {
    let story = deploying().await;
    story.push("A", "main", &[("code", "1")]);
    let run = story.take_run().await.ticket;
    story.settle_but_runs().await;
    story.runner_vanishes(&run).await;
    story.sim.fault(Fault::on(Route::DeploymentUpdate, FaultKind::status(403)));
    story.no_run_is_left().await;
    story.until_seen("the end is refused", |s| !s.sim.faults_left()).await;
    insta::assert_snapshot!(story.environments(), @"
    production (production) https://demo.example.org
      running A main
    ");
    story.end_run(&run, Outcome::Passed).await.unwrap();
    story.settle().await;
    insta::assert_snapshot!(story.timeline_of("deployment production"), @"
    group/demo deployment production A main: running
    group/demo deployment production A main: success
    ");
    story.finish_doubled(85).await;
}

#[tokio::test]
async fn an_environment_that_is_refused_is_made_before_its_deployment() {
    for status in NO {
        let story = deploying().await;
        story.sim.fault(Fault::on(Route::EnvironmentCreate, FaultKind::status(status)));
        story.push("A", "main", &[("code", "1")]);
        let run = story.take_run().await.ticket;
        story.settle_but_runs().await;
        assert!(!story.sim.faults_left(), "{status}: the fault was never met");
        // On a slow machine it may have been tried again by now.
        let shown = story.environments();
        let whole = "production (production) https://demo.example.org\n  running A main";
        assert!(["", whole].contains(&shown.trim_end()), "{status}: made otherwise: {shown}");
        story.end_run(&run, Outcome::Passed).await.unwrap();
        story.settle().await;
        insta::allow_duplicates! {
            insta::assert_snapshot!(story.environments(), @"
            production (production) https://demo.example.org
              success A main
            ");
        }
        story.finish_doubled(86).await;
    }
}

/// A deployment while one of its writes is forbidden, and then no longer.
async fn goes_on_without(route: Route) {
    let story = deploying().await;
    story.sim.fault(Fault::on(route, FaultKind::status(403)).always());
    let begun = Instant::now();
    story.push("A", "main", &[("code", "1")]);
    let run = story.take_run().await.ticket;
    story.settle_but_runs().await;
    story.end_run(&run, Outcome::Passed).await.unwrap();
    story.settle().await;
    let statuses = story.statuses("A");
    assert!(story.shows("A", "aldis", "success"), "{route:?}: {statuses}");
    assert!(story.shows("A", "aldis/web", "success"), "{route:?}: {statuses}");
    // Once while it ran, if that was refused, once for its end, and again 20 s after a refusal.
    let most = 2 + begun.elapsed().as_secs() / 20;
    let tried = story.sim.count(route) as u64;
    assert!((1..=most).contains(&tried), "{route:?}: tried {tried} times");
    story.sim.clear_faults();
    let names = ["A".to_owned()];
    story.until_seen("the deployment has ended", |s| all_are(s, "success", &names)).await;
    story.finish_doubled(87).await;
}

#[tokio::test]
async fn what_is_refused_around_a_deployment_stops_nothing_else() {
    tokio::join!(
        goes_on_without(Route::EnvironmentCreate),
        goes_on_without(Route::DeploymentCreate),
        goes_on_without(Route::DeploymentUpdate),
    );
}
