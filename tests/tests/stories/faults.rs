//! GitLab answers wrongly, late or not at all: in the end everything stands where it should, once.

use aldis_domain::event::Event;
use aldis_gitlab_sim::{Fault, FaultKind, Route};
use aldis_tests::{Setup, Story};

/// A refusal that has nothing to do with what is asked, as by somebody else's change meanwhile.
pub(crate) fn cannot_transition() -> FaultKind {
    let text = "{\"message\":\"Cannot transition status via :run from :running\"}";
    FaultKind::Answer {
        status: 400,
        headers: Vec::new(),
        body: ("application/json", text.to_owned()),
    }
}

/// What passes by itself.
fn passing() -> Vec<(&'static str, FaultKind)> {
    vec![
        ("408", FaultKind::status(408)),
        ("409", FaultKind::status(409)),
        ("429 with Retry-After", FaultKind::rate_limited(1)),
        ("429 without", FaultKind::action_limited()),
        ("500", FaultKind::status(500)),
        ("502", FaultKind::status(502)),
        ("lost", FaultKind::LoseAnswer),
        ("closed", FaultKind::CloseBefore),
    ]
}

#[tokio::test]
async fn statuses_come_right_whatever_befalls_a_post() {
    let story = Story::start().await;
    let mut faults = passing();
    faults.push(("400", cannot_transition()));
    for state in ["pending", "success"] {
        for (name, kind) in &faults {
            let name = format!("{name} on {state}");
            let fault = Fault::on(Route::StatusPost, kind.clone());
            story.sim.fault(fault.when("name", "aldis").when("state", state));
            story.push(&name, "main", &[("code", &name)]);
            story.settle().await;
            assert!(!story.sim.faults_left(), "{name}: the fault was never met");
            let expected = format!(
                "main {name}: success (external)\n  aldis: success \"1 stack passed\"\n  aldis/ci: success \"passed in T\""
            );
            assert_eq!(story.statuses(&name), expected);
        }
    }
    story.finish_doubled(60).await;
}

#[tokio::test]
async fn a_pipeline_that_is_gone_is_looked_for_again() {
    let story = Story::start().await;
    let gone = Fault::on(Route::StatusPost, FaultKind::status(404));
    story.sim.fault(gone.when("name", "aldis").when("state", "success"));
    story.push("A", "main", &[("code", "1")]);
    story.settle().await;
    assert!(!story.sim.faults_left());
    let shown = story.pipelines("A").pop().unwrap();
    assert_eq!(shown.status.to_string(), "success", "{shown}");
    assert_eq!(shown.jobs.len(), 2, "{shown}");
    story.finish_doubled(61).await;
}

#[tokio::test]
async fn what_is_refused_for_good_is_told_and_the_rest_goes_on() {
    for (status, words) in [(422, "exceeded the limit"), (404, "404 Not Found")] {
        let story = Story::start().await;
        let fault = Fault::on(Route::StatusPost, FaultKind::status(status));
        story.sim.fault(fault.when("name", "aldis"));
        let mr = story.propose_commit("A", &[("code", "1")]);
        story.settle().await;
        assert!(!story.sim.faults_left());
        assert_eq!(story.runs().await, "A ci: passed");
        assert!(story.shows("A", "aldis/ci", "success"), "{}", story.statuses("A"));
        let note = &story.notes(mr)[0].body;
        let shown = story.shows("A", "aldis", "success");
        assert!(shown || note.contains(words), "neither shown nor told:\n{note}");
        story.finish_doubled(62).await;
    }
}

#[tokio::test]
async fn where_the_bot_may_not_post_the_comment_tells_the_results() {
    let story = Story::start().await;
    story.sim.fault(Fault::on(Route::StatusPost, FaultKind::status(403)).always());
    let mr = story.propose_commit("A", &[("code", "1")]);
    story.settle().await;
    insta::assert_snapshot!(story.page(mr), @"
    !1 Change [opened] A
    no pipeline
    @aldis:
      <!-- aldis:note mr-1.1-1 -->
      ### ✓ 1 stack passed
      
      | | Stack | Result | Took |
      |---|---|---|---|
      | ✅ | [ci](ALDIS/runs/RUN) | passed in T | T |
      
      GitLab does not show these statuses, so look here for their results:
      
      - aldis: 403 Forbidden
      - aldis/ci: 403 Forbidden
      
      Commit A · [what was decided, and why](ALDIS/changes/mr-1.1-1)
    ");
    assert_eq!(story.runs().await, "A ci: passed");
    story.finish_doubled(63).await;
}

#[tokio::test]
async fn comments_come_right_when_their_making_fails_for_a_while() {
    let story = Story::start().await;
    let kinds = [
        ("429-header", FaultKind::rate_limited(1)),
        ("429", FaultKind::action_limited()),
        ("408", FaultKind::status(408)),
        ("409", FaultKind::status(409)),
        ("lost", FaultKind::LoseAnswer),
    ];
    for (name, kind) in kinds {
        story.sim.fault(Fault::on(Route::NoteCreate, kind));
        story.push(name, name, &[(name, "1")]);
        let mr = story.propose(name);
        story.settle().await;
        assert!(!story.sim.faults_left(), "{name}: the fault was never met");
        assert_eq!(story.headline(mr), "### ✓ 1 stack passed", "{name}");
        assert_eq!(story.notes(mr).len(), 1, "{name}");
    }
    story.finish_doubled(64).await;
}

#[tokio::test]
async fn comments_come_right_when_their_edit_fails_for_a_while() {
    let story = Story::start().await;
    let mr = story.propose_commit("A", &[("ci.sh", "exit 1\n")]);
    story.settle().await;
    let mut kinds = passing();
    kinds.push(("400", cannot_transition()));
    for (number, (name, kind)) in kinds.into_iter().enumerate() {
        let red = number % 2 == 1;
        story.sim.fault(Fault::on(Route::NoteUpdate, kind));
        let script = if red { "exit 1\n" } else { "exit 0\n" };
        story.push(name, "feature", &[("ci.sh", script), ("code", name)]);
        story.settle().await;
        assert!(!story.sim.faults_left(), "{name}: the fault was never met");
        let wanted = if red { "### ✗ 1 of 1 stack failed" } else { "### ✓ 1 stack passed" };
        assert_eq!(story.headline(mr), wanted, "{name}");
        let body = &story.notes(mr)[0].body;
        assert!(body.contains(&format!("Commit {}", &story.sha(name)[..8])), "{name}: {body}");
    }
    story.finish_doubled(65).await;
}

#[tokio::test]
async fn a_comment_that_somebody_deleted_is_made_again_once() {
    let story = Story::start().await;
    let mr = story.propose_commit("A", &[("code", "1")]);
    story.settle().await;
    for (name, there) in [("B", 1), ("C", 0), ("D", 0)] {
        if let Some(note) = story.notes(mr).first() {
            story.alice().delete_comment(mr, note.id).unwrap();
        }
        story.push(name, "feature", &[("code", name)]);
        story.settle().await;
        assert_eq!(story.notes(mr).len(), there, "after {name}");
    }
    story.finish_doubled(66).await;
}

#[tokio::test]
async fn a_comment_that_is_refused_stops_nothing_else() {
    for status in [403, 404, 422] {
        let story = Story::start().await;
        story.sim.fault(Fault::on(Route::NoteCreate, FaultKind::status(status)).always());
        let mr = story.propose_commit("A", &[("code", "1")]);
        story.settle().await;
        assert!(story.shows("A", "aldis", "success"), "{}", story.statuses("A"));
        assert_eq!(story.notes(mr).len(), 0);
        let tried = story.sim.count(Route::NoteCreate);
        assert!(tried <= 2, "{status}: tried {tried} times");
        story.finish().await;
    }
}

const DEPLOYING: &str = "\
version: 1
stacks:
  web:
    steps: [{ name: deploy, run: sh ci.sh }]
    environment: { name: production, tier: production, url: https://demo.example.org }
";

#[tokio::test]
async fn deployments_come_right_when_writes_fail_for_a_while() {
    let story = Setup::USUAL.with(DEPLOYING).start().await;
    story.push("first", "main", &[("code", "1")]);
    story.settle().await;
    let create = [
        ("429-header", FaultKind::rate_limited(1)),
        ("408", FaultKind::status(408)),
        ("409", FaultKind::status(409)),
        ("lost", FaultKind::LoseAnswer),
    ];
    let update = passing().into_iter().map(|fault| (Route::DeploymentUpdate, fault));
    let create = create.into_iter().map(|fault| (Route::DeploymentCreate, fault));
    let mut made = 1;
    for (route, (name, kind)) in create.chain(update) {
        let name = format!("{name} {route:?}");
        story.sim.fault(Fault::on(route, kind));
        story.push(&name, "main", &[("code", &name)]);
        story.settle().await;
        made += 1;
        // A very quick deployment may be created as ended, and then never be updated.
        story.sim.clear_faults();
        let page = story.sim.environment_page(story.project).unwrap();
        assert_eq!(page.environments.len(), 1, "{page}");
        let deployments = &page.environments[0].deployments;
        assert_eq!(deployments.len(), made, "after {name}:\n{page}");
        let ended = deployments.iter().all(|deployment| deployment.status == "success");
        assert!(ended, "after {name}:\n{page}");
    }
    story.finish_doubled(67).await;
}

#[tokio::test]
async fn an_environment_that_exists_is_taken_as_it_is() {
    let story = Setup::USUAL.with(DEPLOYING).start().await;
    story.sim.fault(Fault::on(Route::EnvironmentCreate, FaultKind::LoseAnswer));
    story.push("A", "main", &[("code", "1")]);
    story.settle().await;
    assert!(!story.sim.faults_left());
    insta::assert_snapshot!(story.environments(), @"
    production (production) https://demo.example.org
      success A main
    ");
    story.finish_doubled(68).await;
}

#[tokio::test]
async fn environments_come_right_when_their_making_fails_for_a_while() {
    for (name, kind) in passing() {
        let story = Setup::USUAL.with(DEPLOYING).start().await;
        story.sim.fault(Fault::on(Route::EnvironmentCreate, kind));
        story.push("A", "main", &[("code", "1")]);
        story.settle().await;
        assert!(!story.sim.faults_left(), "{name}: the fault was never met");
        insta::allow_duplicates! {
            insta::assert_snapshot!(story.environments(), @"
            production (production) https://demo.example.org
              success A main
            ");
        }
        story.finish().await;
    }
}

/// Creations of unknown outcome are repeated only when they cannot land any more; all waits of
/// this story overlap.
#[tokio::test]
async fn creations_that_never_landed_are_made_again_after_a_quiet_time() {
    let story = Setup::USUAL
        .with(
            "\
version: 1
stacks:
  web:
    steps: [{ name: deploy, run: 'true' }]
    on: { merge_request: {}, push: { branches: [main] } }
    environment: { name: production }
",
        )
        .start()
        .await;
    let kinds = [
        ("500", FaultKind::status(500)),
        ("502", FaultKind::status(502)),
        ("closed", FaultKind::CloseBefore),
    ];
    let mut requests = Vec::new();
    for (name, kind) in kinds {
        story.sim.fault(Fault::on(Route::NoteCreate, kind.clone()));
        story.sim.fault(Fault::on(Route::DeploymentCreate, kind));
        story.push(name, name, &[(name, "1")]);
        let mr = story.propose(name);
        story.push(&format!("main {name}"), "main", &[("code", name)]);
        story.until_seen("both faults were met", |s| !s.sim.faults_left()).await;
        assert_eq!(story.notes(mr).len(), 0, "too early: the first one might still land");
        requests.push(mr);
    }
    story.settle().await;
    for mr in requests {
        assert_eq!(story.notes(mr).len(), 1);
        assert_eq!(story.headline(mr), "### ✓ 1 stack passed");
    }
    let page = story.sim.environment_page(story.project).unwrap();
    let states = page.environments[0].deployments.iter().map(|d| d.status.as_str());
    assert_eq!(states.collect::<Vec<_>>(), ["success"; 3], "{page}");
    story.finish().await;
}

#[tokio::test]
async fn nothing_is_lost_while_gitlab_cannot_be_reached() {
    let story = Story::start().await;
    let mr = story.propose_commit("A", &[("code", "1")]);
    story.settle().await;
    let heard = |s: &Story| s.sim.calls().iter().filter(|call| !call.applied).count();
    story.sim.fault(Fault::on(Route::Any, FaultKind::CloseBefore).always());
    story.push("B", "feature", &[("code", "2")]);
    story.push("C", "main", &[("other", "2")]);
    story.until_seen("the bot has tried", |s| heard(s) >= 4).await;
    story.sim.clear_faults();
    story.settle().await;
    insta::assert_snapshot!(story.statuses("B"), @r#"
    feature B: success (external)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
    "#);
    insta::assert_snapshot!(story.statuses("C"), @r#"
    main C: success (external)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
    "#);
    assert_eq!(story.headline(mr), "### ✓ 1 stack passed");
    assert_eq!(story.runs().await.lines().count(), 3, "{}", story.runs().await);
    story.finish_doubled(69).await;
}

#[tokio::test]
async fn a_run_that_ends_while_gitlab_is_away_is_told_when_it_is_back() {
    let story = Setup::SLOW.start().await;
    let mr = story.propose_commit("A", &[("code", "1")]);
    story.settle_but_runs().await;
    story.sim.fault(Fault::on(Route::StatusPost, FaultKind::status(503)).always());
    story.comment(mr, "/cancel");
    let posts = story.sim.count(Route::StatusPost);
    story.until_seen("the bot has tried", |s| s.sim.count(Route::StatusPost) > posts).await;
    story.sim.clear_faults();
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: canceled (external)
      aldis: canceled "canceled on request"
      aldis/ci: canceled "canceled on request"
    "#);
    assert_eq!(story.notes(mr).len(), 1);
    story.finish().await;
}

/// GitLab carries out what it was sent long after the bot has given up waiting, and has gone on.
#[tokio::test]
async fn what_lands_late_is_made_good_when_nothing_can_land_any_more() {
    let story = Story::start().await;
    let mr = story.propose_commit("A", &[("ci.sh", "exit 1\n")]);
    story.settle().await;
    let late = |route| Fault::on(route, FaultKind::LandLate);
    story.sim.fault(late(Route::NoteUpdate));
    story.push("B", "feature", &[("ci.sh", "echo fine\n")]);
    let passed = |s: &Story| !s.sim.faults_left() && s.headline(mr).contains('✓');
    story.until_seen("the first end is told", passed).await;
    story.sim.fault(late(Route::StatusPost).when("state", "running").when("name", "aldis/ci"));
    story.push("C", "feature", &[("ci.sh", "sleep 600\n")]);
    story.until_seen("the run has begun", |s| !s.sim.faults_left()).await;
    story.comment(mr, "/cancel");
    let told = |s: &Story| s.shows("C", "aldis", "canceled") && s.headline(mr).contains('⊘');
    story.until_seen("the second end is told", told).await;
    story.sim.land();
    assert!(story.shows("C", "aldis/ci", "running"), "{}", story.statuses("C"));
    assert!(!told(&story), "{}", story.headline(mr));
    story
        .until("both were looked at once more", async || {
            let log = story.log().await;
            let has = |found: fn(&Event) -> bool| log.iter().any(|(_, event)| found(event));
            has(|event| matches!(event, Event::StatusesCompared(_)))
                && has(|event| matches!(event, Event::NoteCompared(_)))
        })
        .await;
    story.settle().await;
    insta::assert_snapshot!(story.statuses("C"), @r#"
    feature C: canceled (external)
      aldis: canceled "canceled on request"
      aldis/ci: canceled "canceled on request"
      (1 retried)
    "#);
    insta::assert_snapshot!(story.headline(mr), @"### ⊘ 0 of 1 stack passed, the others did not finish");
    story.finish().await;
}
