//! GitLab's own pipelines and jobs beside our lines.

use aldis_gitlab_sim::{AccessLevel, JobState, Order, PipelineFor};
use aldis_tests::{Setup, Story};

#[tokio::test]
async fn a_branch_pipeline_that_appears_later_takes_the_lines_over() {
    let story = Setup::SLOW.start().await;
    let mr = story.propose_commit("A", &[("code", "1")]);
    story.settle_but_runs().await;
    let jobs = [("build", JobState::Running)];
    let branch = PipelineFor::Branch("feature".to_owned());
    let own = story.alice().create_ci_pipeline(story.project, &branch, &jobs).unwrap();
    story.settle_but_runs().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: running (external)
      aldis: running "1 stack"
      aldis/ci: running "running"
    feature A: running (push)
      aldis: running "1 stack"
      aldis/ci: running "running"
      build: running
    "#);
    story.comment(mr, "/cancel");
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: canceled (external)
      aldis: canceled "canceled on request"
      aldis/ci: canceled "canceled on request"
    feature A: running (push)
      aldis: canceled "canceled on request"
      aldis/ci: canceled "canceled on request"
      build: running
    "#);
    story.alice().finish_ci_pipeline(own, JobState::Success).unwrap();
    story.finish().await;
}

#[tokio::test]
async fn a_merge_request_pipeline_that_appears_later_shows_the_lines_too() {
    let story = Story::start().await;
    let mr = story.propose_commit("A", &[("code", "1")]);
    story.settle().await;
    let jobs = [("build", JobState::Running)];
    let own = PipelineFor::MergeRequest(mr);
    let own = story.alice().create_ci_pipeline(story.project, &own, &jobs).unwrap();
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: success (external)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
    refs/merge-requests/1/head A: running (merge_request_event)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
      build: running
    "#);
    let shown = story.sim.merge_request_page(mr).unwrap().pipeline.unwrap();
    assert_eq!(shown.jobs.len(), 3, "the page shows GitLab's pipeline with our lines:\n{shown}");
    story.alice().finish_ci_pipeline(own, JobState::Success).unwrap();
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: success (external)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
    refs/merge-requests/1/head A: success (merge_request_event)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
      build: success
    "#);
    story.finish_doubled(70).await;
}

#[tokio::test]
async fn a_merge_request_pipeline_that_appears_while_a_test_runs_leaves_nothing_open() {
    let story = Setup::SLOW.start().await;
    let mr = story.propose_commit("A", &[("code", "1")]);
    story.settle_but_runs().await;
    let jobs = [("build", JobState::Success)];
    let own = PipelineFor::MergeRequest(mr);
    story.alice().create_ci_pipeline(story.project, &own, &jobs).unwrap();
    story.settle_but_runs().await;
    story.push("B", "feature", &[("ci.sh", "true\n")]);
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: canceled (external)
      aldis: canceled "superseded by B"
      aldis/ci: canceled "superseded by B"
    refs/merge-requests/1/head A: canceled (merge_request_event)
      aldis: canceled "superseded by B"
      aldis/ci: canceled "superseded by B"
      build: success
    "#);
    insta::assert_snapshot!(story.statuses("B"), @r#"
    feature B: success (external)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
    "#);
    story.finish_doubled(71).await;
}

#[tokio::test]
async fn a_name_that_a_ci_job_bears_is_left_to_it_and_told() {
    let story = Story::start().await;
    story.sim.hold_deliveries();
    let mr = story.propose_commit("A", &[("code", "1")]);
    let jobs = [("aldis/ci", JobState::Success), ("build", JobState::Success)];
    let branch = PipelineFor::Branch("feature".to_owned());
    story.alice().create_ci_pipeline(story.project, &branch, &jobs).unwrap();
    story.sim.release_deliveries(&Order::AsFired).unwrap();
    story.settle().await;
    insta::assert_snapshot!(story.page(mr), @r#"
    !1 Change [opened] A
    feature A: success (push)
      aldis: success "1 stack passed"
      aldis/ci: success
      build: success
    @aldis:
      <!-- aldis:note mr-1.1-1 -->
      ### ✓ 1 stack passed
      
      | | Stack | Result | Took |
      |---|---|---|---|
      | ✅ | [ci](ALDIS/runs/RUN) | passed in T | T |
      
      GitLab does not show these statuses, so look here for their results:
      
      - aldis/ci: name has already been taken
      
      Commit A · [what was decided, and why](ALDIS/changes/mr-1.1-1)
    "#);
    story.finish_doubled(72).await;
}

#[tokio::test]
async fn a_developer_bot_on_a_protected_branch_is_told_of() {
    let story = Setup { bot_role: AccessLevel::Developer, ..Setup::USUAL }.start().await;
    story.sim.protect_branch(story.project, "main").unwrap();
    story.sim.protect_branch(story.project, "release").unwrap();
    story.push("A", "main", &[("code", "1")]);
    story.settle().await;
    assert_eq!(story.runs().await, "A ci: passed");
    story.push("B", "release", &[("code", "2")]);
    let mr = story.propose("release");
    story.settle().await;
    insta::assert_snapshot!(story.page(mr), @"
    !1 Change [opened] B
    release B: created (external)
    @aldis:
      <!-- aldis:note mr-1.1-1 -->
      ### ✓ 1 stack passed
      
      | | Stack | Result | Took |
      |---|---|---|---|
      | ✅ | [ci](ALDIS/runs/RUN) | passed in T | T |
      
      GitLab does not show these statuses, so look here for their results:
      
      - aldis: 403 Forbidden
      - aldis/ci: 403 Forbidden
      
      Commit B · [what was decided, and why](ALDIS/changes/mr-1.1-1)
    ");
    let refused = story.sim.calls().iter().filter(|call| call.status == 403).count();
    story.push("C", "release", &[("code", "3")]);
    story.settle().await;
    let again = story.sim.calls().iter().filter(|call| call.status == 403).count();
    assert_eq!(again, refused, "what is forbidden is remembered, not asked for again");
    let other = story.propose_commit("D", &[("code", "4")]);
    story.settle().await;
    assert!(story.shows("D", "aldis", "success"), "other branches are not affected");
    assert_eq!(story.headline(other), "### ✓ 1 stack passed");
    story.finish_doubled(73).await;
}

#[tokio::test]
async fn a_full_pipeline_is_told_of() {
    let story = Story::start().await;
    story.sim.set_pipeline_limit(story.project, 1).unwrap();
    let mr = story.propose_commit("A", &[("code", "1")]);
    story.settle().await;
    assert_eq!(story.runs().await, "A ci: passed");
    let note = &story.notes(mr)[0].body;
    assert!(note.contains("exceeded the limit"), "{note}");
    // GitLab takes no change of a full pipeline, not even an end.
    story.finish_leaving(&["feature aldis: pending"]).await;
}
