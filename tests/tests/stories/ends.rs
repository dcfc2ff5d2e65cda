//! What becomes of work that nobody wants any more.

use aldis_tests::{Setup, Story};

#[tokio::test]
async fn a_new_head_ends_the_old_ones_run_and_lines() {
    let story = Setup::SLOW.start().await;
    let mr = story.propose_commit("A", &[("code", "1")]);
    story.settle_but_runs().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: running (external)
      aldis: running "1 stack"
      aldis/ci: running "running"
    "#);
    story.push("B", "feature", &[("ci.sh", "true\n")]);
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: canceled (external)
      aldis: canceled "superseded by B"
      aldis/ci: canceled "superseded by B"
    "#);
    insta::assert_snapshot!(story.statuses("B"), @r#"
    feature B: success (external)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
    "#);
    insta::assert_snapshot!(story.runs().await, @"
    A ci: canceled
    B ci: passed
    ");
    assert_eq!(story.headline(mr), "### ✓ 1 stack passed");
    story.finish_doubled(8).await;
}

#[tokio::test]
async fn a_head_that_comes_back_is_tested_again_if_it_was_canceled() {
    let story = Setup::SLOW.start().await;
    let mr = story.propose_commit("A", &[("code", "1")]);
    let a = story.sha("A");
    story.settle_but_runs().await;
    story.push("B", "feature", &[("ci.sh", "true\n")]);
    story.settle().await;
    story.alice().push(story.project, "feature", &a).unwrap();
    story.settle_but_runs().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: running (external)
      aldis: running "1 stack"
      aldis/ci: running "running"
      (2 retried)
    "#);
    insta::assert_snapshot!(story.statuses("B"), @r#"
    feature B: success (external)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
    "#);
    assert_eq!(story.headline(mr), "### ⏳ 0 of 1 stack passed, 1 not done yet");
    story.alice().close(mr).unwrap();
    story.settle().await;
    insta::assert_snapshot!(story.runs().await, @"
    A ci: canceled
    B ci: passed
    A ci: canceled
    ");
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: canceled (external)
      aldis: canceled "the merge request was closed"
      aldis/ci: canceled "the merge request was closed"
      (2 retried)
    "#);
    story.finish().await;
}

#[tokio::test]
async fn a_head_that_comes_back_keeps_its_result() {
    let story = Story::start().await;
    let mr = story.propose_commit("A", &[("code", "1")]);
    let a = story.sha("A");
    story.settle().await;
    story.push("B", "feature", &[("ci.sh", "false\n")]);
    story.settle().await;
    assert_eq!(story.headline(mr), "### ✗ 1 of 1 stack failed");
    story.alice().push(story.project, "feature", &a).unwrap();
    story.settle().await;
    assert_eq!(story.headline(mr), "### ✓ 1 stack passed");
    insta::assert_snapshot!(story.runs().await, @"
    A ci: passed
    B ci: failed
    ");
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: success (external)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
    "#);
    story.finish_doubled(9).await;
}

#[tokio::test]
async fn closing_ends_and_reopening_begins_again() {
    let story = Setup::SLOW.start().await;
    let mr = story.propose_commit("A", &[("code", "1")]);
    story.settle_but_runs().await;
    story.alice().close(mr).unwrap();
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: canceled (external)
      aldis: canceled "the merge request was closed"
      aldis/ci: canceled "the merge request was closed"
    "#);
    story.alice().reopen(mr).unwrap();
    story.settle_but_runs().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: running (external)
      aldis: running "1 stack"
      aldis/ci: running "running"
      (2 retried)
    "#);
    story.alice().close(mr).unwrap();
    story.settle().await;
    story.alice().reopen(mr).unwrap();
    story.settle_but_runs().await;
    assert!(story.shows("A", "aldis/ci", "running"));
    story.alice().close(mr).unwrap();
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: canceled (external)
      aldis: canceled "the merge request was closed"
      aldis/ci: canceled "the merge request was closed"
      (4 retried)
    "#);
    insta::assert_snapshot!(story.runs().await, @"
    A ci: canceled
    A ci: canceled
    A ci: canceled
    ");
    story.finish_doubled(10).await;
}

#[tokio::test]
async fn closing_and_reopening_a_tested_merge_request_tests_nothing_again() {
    let story = Story::start().await;
    let mr = story.propose_commit("A", &[("code", "1")]);
    story.settle().await;
    for _ in 0..2 {
        story.alice().close(mr).unwrap();
        story.settle().await;
        story.alice().reopen(mr).unwrap();
        story.settle().await;
    }
    assert_eq!(story.runs().await, "A ci: passed");
    insta::assert_snapshot!(story.page(mr), @r#"
    !1 Change [opened] A
    feature A: success (external)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
    @aldis:
      <!-- aldis:note mr-1.1-1 -->
      ### ✓ 1 stack passed
      
      | | Stack | Result | Took |
      |---|---|---|---|
      | ✅ | [ci](ALDIS/runs/RUN) | passed in T | T |
      
      Commit A · [what was decided, and why](ALDIS/changes/mr-1.1-1)
    "#);
    story.finish_doubled(11).await;
}

#[tokio::test]
async fn merging_while_a_test_runs_cancels_it() {
    let story = Setup::SLOW.start().await;
    let mr = story.propose_commit("A", &[("code", "1")]);
    story.settle_but_runs().await;
    story.push("X", "main", &[("ci.sh", "true\n")]);
    story.settle_but_runs().await;
    let merge = story.alice().merge(mr).unwrap();
    story.name(&merge, "M");
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: canceled (external)
      aldis: canceled "the merge request was merged"
      aldis/ci: canceled "the merge request was merged"
    "#);
    insta::assert_snapshot!(story.statuses("M"), @r#"
    main M: success (external)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
    "#);
    insta::assert_snapshot!(story.runs().await, @"
    A ci: canceled
    X ci: passed
    M ci: passed
    ");
    story.finish().await;
}

#[tokio::test]
async fn a_branch_deleted_while_it_is_tested_leaves_nothing_open() {
    let story = Setup::SLOW.with(
            "version: 1\nstacks:\n  ci:\n    steps:\n      - { name: test, run: sh ci.sh }\n    on: { push: { branches: ['**'] } }\n",
    )
    .start()
    .await;
    story.push("A", "feature", &[("code", "1")]);
    story.settle_but_runs().await;
    assert!(story.shows("A", "aldis/ci", "running"));
    story.alice().delete_branch(story.project, "feature").unwrap();
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: canceled (external)
      aldis: canceled "the branch or tag was deleted"
      aldis/ci: canceled "the branch or tag was deleted"
    "#);
    insta::assert_snapshot!(story.runs().await, @"A ci: canceled");
    story.finish().await;
}

#[tokio::test]
async fn a_tag_deleted_while_it_is_tested_leaves_nothing_open() {
    let story = Setup::SLOW.with(
            "version: 1\nstacks:\n  ci:\n    steps:\n      - { name: test, run: sh ci.sh }\n    on: { tag: {} }\n",
    )
    .start()
    .await;
    let main = story.sim.branch_head(story.project, "main").unwrap();
    story.name(&main, "A");
    story.alice().create_tag(story.project, "v1", &main, Some("First")).unwrap();
    story.settle_but_runs().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    v1 A: running (external)
      aldis: running "1 stack"
      aldis/ci: running "running"
    "#);
    story.alice().delete_tag(story.project, "v1").unwrap();
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    v1 A: canceled (external)
      aldis: canceled "the branch or tag was deleted"
      aldis/ci: canceled "the branch or tag was deleted"
    "#);
    story.finish().await;
}

#[tokio::test]
async fn a_commit_that_is_gone_before_it_is_planned_leaves_nothing_open() {
    let story = Story::start().await;
    let mr = story.propose_commit("A", &[("code", "1")]);
    story.settle().await;
    story.sim.hold_deliveries();
    story.push("B", "feature", &[("code", "2")]);
    let main = story.sim.branch_head(story.project, "main").unwrap();
    let c = story.alice().commit(story.project, &main, &[("code", Some("3"))], "Other").unwrap();
    story.name(&c, "C");
    story.alice().push(story.project, "feature", &c).unwrap();
    story.sim.release_deliveries(&aldis_gitlab_sim::Order::AsFired).unwrap();
    story.settle().await;
    insta::assert_snapshot!(story.statuses("B"), @r#"
    feature B: canceled (external)
      aldis: canceled "superseded by C"
    "#);
    insta::assert_snapshot!(story.statuses("C"), @r#"
    feature C: success (external)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
    "#);
    assert_eq!(story.headline(mr), "### ✓ 1 stack passed");
    story.finish_doubled(12).await;
}

#[tokio::test]
async fn a_deployment_under_way_is_not_superseded() {
    let story = Setup::SLOW.with(
            "version: 1\nstacks:\n  web:\n    steps:\n      - { name: deploy, run: sh ci.sh }\n    environment: { name: production }\n",
    )
    .start()
    .await;
    story.push("A", "main", &[("ci.sh", "sleep 1\n")]);
    story.settle_but_runs().await;
    story.push("B", "main", &[("ci.sh", "true\n")]);
    story.settle().await;
    let mut runs: Vec<String> = story.runs().await.lines().map(str::to_owned).collect();
    runs.sort_unstable();
    assert_eq!(runs, ["A web (tracked): passed", "B web (tracked): passed"]);
    assert!(story.shows("A", "aldis", "success"), "{}", story.statuses("A"));
    let page = story.environments();
    assert!(page.contains("success A main") && page.contains("success B main"), "{page}");
    story.finish_doubled(13).await;
}

#[tokio::test]
async fn every_commit_of_the_default_branch_keeps_its_result() {
    let story = Setup::SLOW.start().await;
    story.push("A", "main", &[("ci.sh", "sleep 1; exit 1\n")]);
    story.settle_but_runs().await;
    story.push("B", "main", &[("ci.sh", "true\n")]);
    story.settle().await;
    assert!(story.shows("A", "aldis", "failed"), "{}", story.statuses("A"));
    assert!(story.shows("B", "aldis", "success"), "{}", story.statuses("B"));
    story.finish_doubled(14).await;
}
