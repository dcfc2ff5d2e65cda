//! People who may not push: nothing of theirs runs before somebody approves it.

use aldis_gitlab_sim::{
    AccessLevel, JobState, MergeRequestRef, NewMergeRequest, PipelineFor, ProjectId, UserId,
};
use aldis_tests::Story;

/// A fork by mallory, whose branch `feature` has the commit A, and its merge request.
async fn a_fork(bot_role: Option<AccessLevel>) -> (Story, ProjectId, UserId, MergeRequestRef) {
    let story = Story::start().await;
    let mallory = story.sim.create_user("mallory");
    story.sim.set_member(story.project, mallory, AccessLevel::Guest).unwrap();
    let fork = story.sim.fork(story.project, mallory).unwrap();
    if let Some(role) = bot_role {
        story.sim.set_member(fork, story.bot_user, role).unwrap();
    }
    push(&story, fork, mallory, "A", "evil 1\n");
    let mr = propose(&story, fork, mallory);
    (story, fork, mallory, mr)
}

fn push(story: &Story, fork: ProjectId, mallory: UserId, name: &str, script: &str) {
    let files = [("ci.sh", Some(script)), (".aldis.yml", Some("version: 2\n"))];
    let sha = story.sim.by(mallory).commit_and_push(fork, "feature", &files, name).unwrap();
    story.name(&sha, name);
}

fn propose(story: &Story, fork: ProjectId, mallory: UserId) -> MergeRequestRef {
    let new = NewMergeRequest {
        source_project: fork,
        source_branch: "feature".to_owned(),
        project: story.project,
        target_branch: "main".to_owned(),
        title: "From a fork".to_owned(),
    };
    story.sim.by(mallory).open_merge_request(new).unwrap()
}

#[tokio::test]
async fn a_fork_where_the_bot_has_no_role_is_told_of_in_the_comment_only() {
    let (story, fork, mallory, mr) = a_fork(None).await;
    story.settle().await;
    insta::assert_snapshot!(story.page(mr), @"
    !1 From a fork [opened] A
    no pipeline
    @aldis:
      <!-- aldis:note mr-1.1-1 -->
      ### ⏸ Waits for approval
      
      This comes from a fork, or from somebody who may not push here. Nothing of it is run before a person with push rights approves it, and approving is not available in this version. To have it tested, push the same commits to a branch of this project.
      
      Commit A · [what was decided, and why](ALDIS/changes/mr-1.1-1)
    ");
    push(&story, fork, mallory, "B", "evil 2\n");
    story.settle().await;
    assert_eq!(story.runs().await, "");
    assert_eq!(story.statuses("A") + &story.statuses("B"), "", "no status anywhere in the target");
    assert_eq!(story.statuses_in(fork, "A") + &story.statuses_in(fork, "B"), "");
    assert_eq!(story.notes(mr).len(), 1);
    story.finish_doubled(20).await;
}

#[tokio::test]
async fn a_fork_where_the_bot_may_write_shows_that_it_waits() {
    let (story, fork, mallory, mr) = a_fork(Some(AccessLevel::Developer)).await;
    story.settle().await;
    insta::assert_snapshot!(story.statuses_in(fork, "A"), @r#"
    feature A: pending (external)
      aldis: pending "waits for approval: it comes from outside"
    "#);
    insta::assert_snapshot!(story.headline(mr), @"### ⏸ Waits for approval");
    push(&story, fork, mallory, "B", "evil 2\n");
    story.settle().await;
    insta::assert_snapshot!(story.statuses_in(fork, "A"), @r#"
    feature A: canceled (external)
      aldis: canceled "superseded by B"
    "#);
    insta::assert_snapshot!(story.statuses_in(fork, "B"), @r#"
    feature B: pending (external)
      aldis: pending "waits for approval: it comes from outside"
    "#);
    story.alice().close(mr).unwrap();
    story.settle().await;
    insta::assert_snapshot!(story.statuses_in(fork, "B"), @r#"
    feature B: canceled (external)
      aldis: canceled "the merge request was closed"
    "#);
    assert_eq!(story.runs().await, "");
    assert_eq!(story.statuses("A") + &story.statuses("B"), "", "no status in the target");
    story.finish_doubled(21).await;
}

#[tokio::test]
async fn a_forks_own_pipeline_in_the_target_gets_the_statuses() {
    let (story, _, _, mr) = a_fork(None).await;
    let jobs = [("build", JobState::Running)];
    let what = PipelineFor::MergeRequest(mr);
    story.alice().create_ci_pipeline(story.project, &what, &jobs).unwrap();
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    refs/merge-requests/1/head A: running (merge_request_event)
      aldis: pending "waits for approval: it comes from outside"
      build: running
    "#);
    story.alice().close(mr).unwrap();
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    refs/merge-requests/1/head A: running (merge_request_event)
      aldis: canceled "the merge request was closed"
      build: running
    "#);
    assert_eq!(story.runs().await, "");
    story.finish().await;
}

#[tokio::test]
async fn an_author_who_may_not_push_waits_too() {
    let story = Story::start().await;
    let rita = story.add_person("rita", AccessLevel::Reporter);
    story.push("A", "feature", &[("code", "1")]);
    let mr = story.sim.by(rita).propose(story.project, "feature", "Change").unwrap();
    story.settle().await;
    insta::assert_snapshot!(story.page(mr), @r#"
    !1 Change [opened] A
    feature A: pending (external)
      aldis: pending "finding out what to run"
    @aldis:
      <!-- aldis:note mr-1.1-1 -->
      ### ⏸ Waits for approval
      
      This comes from a fork, or from somebody who may not push here. Nothing of it is run before a person with push rights approves it, and approving is not available in this version. To have it tested, push the same commits to a branch of this project.
      
      Commit A · [what was decided, and why](ALDIS/changes/mr-1.1-1)
    "#);
    assert_eq!(story.runs().await, "");
    story.sim.by(rita).comment(mr, "/test").unwrap();
    story.settle().await;
    assert_eq!(story.runs().await, "", "who may not push may not start tests either");
    story.alice().close(mr).unwrap();
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: success (external)
      aldis: success "0 of 1 stack affected"
    "#);
    story.finish_doubled(22).await;
}

#[tokio::test]
async fn a_forks_merge_request_whose_fork_was_deleted_leaves_nothing_open() {
    let (story, fork, _, mr) = a_fork(Some(AccessLevel::Developer)).await;
    story.settle().await;
    story.sim.delete_project(fork).unwrap();
    story.alice().set_title(mr, "Still open").unwrap();
    story.alice().close(mr).unwrap();
    story.settle().await;
    assert_eq!(story.runs().await, "");
    story.finish().await;
}
