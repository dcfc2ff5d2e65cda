//! Branches and tags.

use aldis_tests::Setup;

const DEPLOYING: &str = "\
version: 1
stacks:
  web:
    steps:
      - { name: deploy, run: sh ci.sh }
    environment:
      name: production
      url: https://demo.example.org
      tier: production
";

#[tokio::test]
async fn a_push_to_the_default_branch_is_announced_run_and_told() {
    let story = Setup { files: &[("ci.sh", "sleep 2\n")], ..Setup::USUAL }.start().await;
    story.push("A", "main", &[("code", "1")]);
    story.settle().await;
    let timeline = story.timeline();
    assert!(timeline.starts_with("group/demo A aldis: pending "), "{timeline}");
    assert_eq!(story.states("A", "aldis").last().map(String::as_str), Some("success"));
    let stack = story.states("A", "aldis/ci");
    assert_ne!(stack.first().map(String::as_str), Some("success"), "announced before it ends");
    insta::assert_snapshot!(story.statuses("A"), @r#"
    main A: success (external)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
    "#);
    insta::assert_snapshot!(story.runs().await, @"A ci: passed");
    story.finish_doubled(1).await;
}

#[tokio::test]
async fn a_tracked_run_makes_the_environment_and_one_deployment() {
    let story = Setup::USUAL.with(DEPLOYING).start().await;
    story.push("A", "main", &[("ci.sh", "sleep 2\n")]);
    story.settle().await;
    insta::assert_snapshot!(story.environments(), @"
    production (production) https://demo.example.org
      success A main
    ");
    insta::assert_snapshot!(story.timeline_of("deployment"), @"
    group/demo deployment production A main: running
    group/demo deployment production A main: success
    ");
    insta::assert_snapshot!(story.statuses("A"), @r#"
    main A: success (external)
      aldis: success "1 stack passed"
      aldis/web: success "passed in T"
    "#);
    story.push("B", "main", &[("ci.sh", "exit 3\n")]);
    story.settle().await;
    insta::assert_snapshot!(story.environments(), @"
    production (production) https://demo.example.org
      success A main
      failed B main
    ");
    insta::assert_snapshot!(story.statuses("B"), @r#"
    main B: failed (external)
      aldis: failed "1 of 1 stack failed: web"
      aldis/web: failed "deploy failed with exit code 3"
    "#);
    insta::assert_snapshot!(story.runs().await, @"
    A web (tracked): passed
    B web (tracked): failed
    ");
    story.finish_doubled(2).await;
}
