//! Stacks that wait for others.

use aldis_tests::Setup;

const CHAIN: &str = "\
version: 1
stacks:
  build:
    steps: [{ name: build, run: sh build.sh }]
  test:
    needs: [build]
    steps: [{ name: test, run: 'true' }]
  ship:
    needs: [test]
    steps: [{ name: ship, run: 'true' }]
";

const SETUP: Setup = Setup { files: &[("build.sh", "true\n")], ..Setup::USUAL.with(CHAIN) };

#[tokio::test]
async fn each_waits_for_what_it_needs() {
    let story = SETUP.start().await;
    let mr = story.propose_commit("A", &[("code", "1")]);
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: success (external)
      aldis: success "3 stacks passed"
      aldis/build: success "passed in T"
      aldis/ship: success "passed in T"
      aldis/test: success "passed in T"
    "#);
    assert_eq!(story.headline(mr), "### ✓ 3 stacks passed");
    story.finish_doubled(50).await;
}

#[tokio::test]
async fn what_waits_says_for_what_and_is_canceled_with_it() {
    let story = SETUP.start().await;
    let mr = story.propose_commit("A", &[("build.sh", "sleep 600\n")]);
    story.settle_but_runs().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: running (external)
      aldis: running "3 stacks"
      aldis/build: running "running"
      aldis/ship: pending "waits for test"
      aldis/test: pending "waits for build"
    "#);
    story.comment(mr, "/cancel");
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: canceled (external)
      aldis: canceled "canceled on request"
      aldis/build: canceled "canceled on request"
      aldis/ship: canceled "canceled on request"
      aldis/test: canceled "canceled on request"
    "#);
    story.finish().await;
}

#[tokio::test]
async fn a_failure_skips_what_needs_it() {
    let story = SETUP.start().await;
    let mr = story.propose_commit("A", &[("build.sh", "exit 1\n")]);
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: failed (external)
      aldis: failed "1 of 3 stacks failed: build"
      aldis/build: failed "build failed with exit code 1"
      aldis/ship: skipped "test did not pass"
      aldis/test: skipped "build did not pass"
    "#);
    assert_eq!(story.headline(mr), "### ✗ 1 of 3 stacks failed");
    story.push("B", "feature", &[("build.sh", "true\n"), ("code", "1")]);
    story.settle().await;
    assert_eq!(story.headline(mr), "### ✓ 3 stacks passed");
    story.finish_doubled(51).await;
}

#[tokio::test]
async fn retest_of_a_failure_takes_what_was_skipped_along() {
    let story = SETUP.start().await;
    let mr = story.propose_commit("A", &[("build.sh", "sleep 1\nexit 1\n")]);
    story.settle().await;
    story.comment(mr, "/retest");
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: failed (external)
      aldis: failed "1 of 3 stacks failed: build"
      aldis/build: failed "build failed with exit code 1"
      aldis/ship: skipped "test did not pass"
      aldis/test: skipped "build did not pass"
      (4 retried)
    "#);
    assert_eq!(story.runs().await.lines().count(), 6, "{}", story.runs().await);
    story.finish_doubled(52).await;
}

#[tokio::test]
async fn allowed_failures_are_green() {
    let story = Setup::USUAL.with(
        "version: 1\nstacks:\n  ci:\n    steps:\n      - { name: lint, run: exit 1, allow_failure: true }\n      - { name: test, run: 'true' }\n",
    )
    .start()
    .await;
    story.push("A", "main", &[("code", "1")]);
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    main A: success (external)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
    "#);
    story.finish_doubled(53).await;
}

#[tokio::test]
async fn the_aggregate_can_be_switched_off_and_names_can_be_chosen() {
    let story = Setup::USUAL.with(
        "version: 1\nstatus: { prefix: lamp, aggregate: false }\nstacks:\n  ci:\n    steps: [{ name: test, run: 'true' }]\n",
    )
    .start()
    .await;
    story.push("A", "main", &[("code", "1")]);
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    main A: success (external)
      lamp/ci: success "passed in T"
    "#);
    story.push("B", "main", &[("code", "2")]);
    story.settle().await;
    insta::assert_snapshot!(story.statuses("B"), @r#"
    main B: success (external)
      lamp/ci: success "passed in T"
    "#);
    story.finish_doubled(54).await;
}
