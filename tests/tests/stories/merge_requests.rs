//! A merge request's life.

use aldis_gitlab_sim::Order;
use aldis_tests::{Setup, Story};

const WITH_TAGS: &str = "\
version: 1
stacks:
  ci:
    steps:
      - { name: test, run: sh ci.sh }
    on:
      merge_request: {}
      push: { branches: [main] }
      tag: { tags: [\"v*\"] }
";

const RED: &str = "\
version: 1
stacks:
  app:
    steps: [{ name: test, run: 'false' }]
  deploy:
    needs: [app]
    steps: [{ name: deploy, run: 'true' }]
";

#[tokio::test]
async fn a_failing_test_is_fixed_merged_and_released() {
    let story = Setup::USUAL.with(WITH_TAGS).start().await;
    let mr = story.propose_commit("A", &[("ci.sh", "echo 41 is not 42; exit 1\n")]);
    story.settle().await;
    insta::assert_snapshot!(story.page(mr), @r#"
    !1 Change [opened] A
    feature A: failed (external)
      aldis: failed "1 of 1 stack failed: ci"
      aldis/ci: failed "test failed with exit code 1"
    @aldis:
      <!-- aldis:note mr-1.1-1 -->
      ### ✗ 1 of 1 stack failed
      
      | | Stack | Result | Took |
      |---|---|---|---|
      | ❌ | [ci](ALDIS/runs/RUN) | test failed with exit code 1 | T |
      
      <details><summary>ci: last lines of the output</summary>
      
      ```text
      commit A
      $ test
      41 is not 42
      exit code 1
      ```
      
      </details>
      
      Commit A · [what was decided, and why](ALDIS/changes/mr-1.1-1)
    "#);

    story.push("B", "feature", &[("ci.sh", "echo 42\n")]);
    story.settle().await;
    insta::assert_snapshot!(story.page(mr), @r#"
    !1 Change [opened] B
    feature B: success (external)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
    @aldis:
      <!-- aldis:note mr-1.1-1 -->
      ### ✓ 1 stack passed
      
      | | Stack | Result | Took |
      |---|---|---|---|
      | ✅ | [ci](ALDIS/runs/RUN) | passed in T | T |
      
      <details><summary>Earlier attempts</summary>
      
      | Commit | Stack | Result |
      |---|---|---|
      | A | [ci](ALDIS/runs/RUN) | ❌ test failed with exit code 1 |
      
      </details>
      
      Commit B · [what was decided, and why](ALDIS/changes/mr-1.1-1)
    "#);

    let merge = story.alice().merge(mr).unwrap();
    story.name(&merge, "M");
    story.settle().await;
    assert!(story.shows("M", "aldis", "success"), "{}", story.statuses("M"));
    let runs = story.runs().await;
    assert_eq!(runs, "A ci: failed\nB ci: passed\nM ci: passed");
    story.finish_doubled(3).await;
}

#[tokio::test]
async fn a_merged_change_is_released_by_a_tag() {
    let story = Setup::USUAL.with(WITH_TAGS).start().await;
    let mr = story.propose_commit("A", &[("code", "1")]);
    story.settle().await;
    let merge = story.alice().merge(mr).unwrap();
    story.name(&merge, "M");
    story.settle().await;
    insta::assert_snapshot!(story.statuses("M"), @r#"
    main M: success (external)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
    "#);

    story.alice().create_tag(story.project, "v1", &merge, Some("First")).unwrap();
    story.settle().await;
    insta::assert_snapshot!(story.statuses("M"), @r#"
    main M: success (external)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
    v1 M: success (external)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
    "#);
    insta::assert_snapshot!(story.runs().await, @"
    A ci: passed
    M ci: passed
    ");
    story.finish_doubled(15).await;
}

#[tokio::test]
async fn two_merge_requests_with_one_head_get_a_comment_each_and_one_run() {
    let story = Story::start().await;
    story.alice().push(story.project, "stable", "main").unwrap();
    let to_main = story.propose_commit("A", &[("code", "1")]);
    let to_stable = story.propose_to("feature", "stable");
    story.settle().await;
    story.alice().push(story.project, "other", &story.sha("A")).unwrap();
    let from_other = story.propose("other");
    story.settle().await;
    for mr in [to_main, to_stable, from_other] {
        assert_eq!(story.notes(mr).len(), 1, "{}", story.page(mr));
        assert_eq!(story.headline(mr), "### ✓ 1 stack passed");
    }
    insta::assert_snapshot!(story.runs().await, @"A ci: passed");
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: success (external)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
    other A: success (external)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
    "#);
    story.finish_doubled(4).await;
}

#[tokio::test]
async fn a_repeated_run_is_told_whichever_merge_request_of_two_asked_for_it() {
    let story = Setup::USUAL.with(RED).start().await;
    story.alice().push(story.project, "stable", "main").unwrap();
    let to_main = story.propose_commit("A", &[("code", "1")]);
    let to_stable = story.propose_to("feature", "stable");
    story.settle().await;
    for (mr, retried) in [(to_main, "(3 retried)"), (to_stable, "(6 retried)")] {
        story.comment(mr, "/retest");
        story.settle().await;
        assert!(story.statuses("A").contains(retried), "{}", story.statuses("A"));
    }
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: failed (external)
      aldis: failed "1 of 2 stacks failed: app"
      aldis/app: failed "test failed with exit code 1"
      aldis/deploy: skipped "app did not pass"
      (6 retried)
    "#);
    story.finish_doubled(4).await;
}

#[tokio::test]
async fn what_is_red_by_another_merge_request_runs_again_where_nothing_was_planned_yet() {
    let story = Setup::USUAL.with(RED).start().await;
    story.alice().push(story.project, "stable", "main").unwrap();
    story.sim.hold_deliveries();
    let to_main = story.propose_commit("A", &[("code", "1")]);
    story.propose_to("feature", "stable");
    release_last(&story);
    story.settle().await;
    assert!(story.shows("A", "aldis", "failed"), "{}", story.statuses("A"));
    story.comment(to_main, "/retest");
    release_last(&story);
    story.settle().await;
    story.sim.release_deliveries(&Order::AsFired).unwrap();
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: failed (external)
      aldis: failed "1 of 2 stacks failed: app"
      aldis/app: failed "test failed with exit code 1"
      aldis/deploy: skipped "app did not pass"
      (3 retried)
    "#);
    story.finish_doubled(5).await;
}

/// What GitLab told last comes before what it told earlier.
fn release_last(story: &Story) {
    let last = story.sim.held_deliveries().last().map(|delivery| delivery.id).unwrap();
    story.sim.release_deliveries(&Order::Chosen(vec![last])).unwrap();
}
