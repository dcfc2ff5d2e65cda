//! Runners that are not heard of any more.

use aldis_domain::report::Outcome;
use aldis_protocol::DispatchError;
use aldis_tests::{Setup, Story};

#[tokio::test]
async fn a_run_whose_runner_vanished_is_taken_up_by_another() {
    let story = Setup { slots: 1, ..Setup::SLOW }.start().await;
    story.push("busy", "busy", &[("code", "1")]);
    let busy = story.propose("busy");
    story.settle_but_runs().await;
    // The bot's only slot is taken, so the next run is the other runner's.
    let mr = story.propose_commit("A", &[("ci.sh", "true\n")]);
    story.until_seen("the run waits", |s| s.shows("A", "aldis/ci", "pending")).await;
    let lost = story.take_run().await;
    story.settle_but_runs().await;
    story.runner_vanishes(&lost.ticket).await;
    story.comment(busy, "/cancel");
    story.settle().await;
    assert_eq!(story.states("A", "aldis/ci"), ["pending", "running", "success"]);
    assert_eq!(story.headline(mr), "### ✓ 1 stack passed");
    insta::assert_snapshot!(story.runs().await, @"
    busy ci: canceled
    A ci: passed
    ");
    story.finish().await;
}

#[tokio::test]
async fn a_run_that_lost_every_runner_ends_and_can_be_asked_for_again() {
    let story = Story::start().await;
    story.own_runner_stops().await;
    let mr = story.propose_commit("A", &[("code", "1")]);
    for attempt in [1, 2] {
        let run = story.take_run().await;
        assert_eq!(run.attempt, attempt);
        story.settle_but_runs().await;
        insta::allow_duplicates! {
            insta::assert_snapshot!(story.statuses("A"), @r#"
            feature A: running (external)
              aldis: running "1 stack"
              aldis/ci: running "running"
            "#);
        }
        story.runner_vanishes(&run.ticket).await;
    }
    story.no_run_is_left().await;
    story.settle().await;
    insta::assert_snapshot!(story.page(mr), @r#"
    !1 Change [opened] A
    feature A: canceled (external)
      aldis: canceled "every attempt lost its runner"
      aldis/ci: canceled "every attempt lost its runner"
    @aldis:
      <!-- aldis:note mr-1.1-1 -->
      ### ⊘ 0 of 1 stack passed, the others did not finish
      
      | | Stack | Result | Took |
      |---|---|---|---|
      | 🚫 | [ci](ALDIS/runs/RUN) | every attempt lost its runner |  |
      
      Commit A · [what was decided, and why](ALDIS/changes/mr-1.1-1)
    "#);
    story.comment(mr, "/retest");
    let again = story.take_run().await;
    assert_eq!(again.attempt, 1);
    story.settle_but_runs().await;
    story.end_run(&again.ticket, Outcome::Passed).await.unwrap();
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: success (external)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
      (2 retried)
    "#);
    assert_eq!(story.headline(mr), "### ✓ 1 stack passed");
    insta::assert_snapshot!(story.runs().await, @"
    A ci: lost
    A ci: passed
    ");
    story.finish_doubled(90).await;
}

#[tokio::test]
async fn a_runner_that_comes_back_too_late_changes_nothing() {
    let story = Story::start().await;
    story.own_runner_stops().await;
    let mr = story.propose_commit("A", &[("code", "1")]);
    story.until_seen("the run waits", |s| s.shows("A", "aldis/ci", "pending")).await;
    let first = story.take_run().await.ticket;
    story.runner_vanishes(&first).await;
    let second = story.take_run().await.ticket;
    let late = story.end_run(&first, Outcome::Failed).await;
    assert_eq!(late, Err(DispatchError::Stale));
    story.until_seen("the run is on", |s| s.shows("A", "aldis/ci", "running")).await;
    story.end_run(&second, Outcome::Passed).await.unwrap();
    let late = story.end_run(&first, Outcome::Failed).await;
    assert_eq!(late, Err(DispatchError::Stale));
    story.settle().await;
    assert_eq!(story.headline(mr), "### ✓ 1 stack passed");
    assert_eq!(story.states("A", "aldis/ci"), ["pending", "running", "success"]);
    story.finish_doubled(91).await;
}

#[tokio::test]
async fn what_waits_for_a_lost_run_is_skipped() {
    let story = Setup::USUAL
        .with(
            "\
version: 1
stacks:
  build:
    steps: [{ name: build, run: 'true' }]
  test:
    needs: [build]
    steps: [{ name: test, run: 'true' }]
",
        )
        .start()
        .await;
    story.own_runner_stops().await;
    story.propose_commit("A", &[("code", "1")]);
    for _ in 0..2 {
        let run = story.take_run().await;
        assert_eq!(run.stack_name, "build");
        // A merge request that is planned only after the run was lost would begin another.
        story.settle_but_runs().await;
        story.runner_vanishes(&run.ticket).await;
    }
    story.no_run_is_left().await;
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: canceled (external)
      aldis: canceled "1 of 2 stacks canceled: build"
      aldis/build: canceled "every attempt lost its runner"
      aldis/test: skipped "build did not pass"
    "#);
    story.finish().await;
}

/// A project that deploys, where the story plays the only runner.
async fn deploying() -> Story {
    let story = Setup::USUAL
        .with(
            "\
version: 1
stacks:
  web:
    steps: [{ name: deploy, run: 'true' }]
    environment: { name: production }
",
        )
        .start()
        .await;
    story.own_runner_stops().await;
    story
}

#[tokio::test]
async fn a_deployment_whose_runner_vanished_is_unknown_and_not_started_again() {
    let story = deploying().await;
    story.push("A", "main", &[("code", "1")]);
    let run = story.take_run().await;
    assert!(run.tracked);
    story.settle_but_runs().await;
    insta::assert_snapshot!(story.environments(), @"
    production (production)
      running A main
    ");
    story.runner_vanishes(&run.ticket).await;
    story.no_run_is_left().await;
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    main A: failed (external)
      aldis: failed "1 of 1 stack failed: web (outcome unknown)"
      aldis/web: failed "outcome unknown: the runner vanished"
    "#);
    insta::assert_snapshot!(story.environments(), @"
    production (production)
      failed A main
    ");
    story.no_run_is_left().await;
    assert_eq!(story.runs().await, "A web (tracked): unknown");
    story.finish_doubled(92).await;
}

#[tokio::test]
async fn a_late_result_corrects_what_was_unknown() {
    let story = deploying().await;
    story.push("A", "main", &[("code", "1")]);
    story.until_seen("the run waits", |s| s.shows("A", "aldis/web", "pending")).await;
    let ticket = story.take_run().await.ticket;
    story.settle_but_runs().await;
    story.runner_vanishes(&ticket).await;
    story.no_run_is_left().await;
    story.settle().await;
    story.end_run(&ticket, Outcome::Passed).await.unwrap();
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    main A: success (external)
      aldis: success "1 stack passed"
      aldis/web: success "passed in T"
      (2 retried)
    "#);
    insta::assert_snapshot!(story.environments(), @"
    production (production)
      success A main
    ");
    // Only the first correction counts.
    story.end_run(&ticket, Outcome::Failed).await.unwrap();
    story.settle().await;
    let states = story.states("A", "aldis/web");
    assert_eq!(states, ["pending", "running", "failed", "success"]);
    insta::assert_snapshot!(story.timeline_of("deployment production"), @"
    group/demo deployment production A main: running
    group/demo deployment production A main: failed
    group/demo deployment production A main: success
    ");
    story.finish_doubled(93).await;
}
