//! Commands in comments.

use aldis_gitlab_sim::{AccessLevel, MergeRequestRef};
use aldis_tests::{Setup, Story};

const THREE: Setup = Setup {
    // Long enough for the aggregate to be told in between, whatever is late.
    files: &[("api.sh", "sleep 1\n"), ("web.sh", "sleep 1\n")],
    ..Setup::USUAL.with(
        "\
version: 1
stacks:
  api:
    steps: [{ name: test, run: sh api.sh }]
  web:
    steps: [{ name: test, run: sh web.sh }]
  doc:
    paths: [doc/**]
    steps: [{ name: test, run: 'true' }]
",
    )
};

/// A merge request whose web stack fails.
async fn half_red() -> (Story, MergeRequestRef) {
    let story = THREE.start().await;
    let mr = story.propose_commit("A", &[("web.sh", "sleep 1\nexit 1\n")]);
    story.settle().await;
    (story, mr)
}

/// The runs in name order: those of one plan are asked for at the same moment.
async fn runs(story: &Story) -> String {
    let runs = story.runs().await;
    let mut lines: Vec<&str> = runs.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

#[tokio::test]
async fn test_runs_everything_again_and_a_name_only_that_stack() {
    let (story, mr) = half_red().await;
    insta::assert_snapshot!(runs(&story).await, @"
    A api: passed
    A web: failed
    ");
    story.comment(mr, "Once more please:\n/test");
    story.settle().await;
    insta::assert_snapshot!(runs(&story).await, @"
    A api: passed
    A api: passed
    A web: failed
    A web: failed
    ");
    story.comment(mr, "/test api");
    story.settle().await;
    insta::assert_snapshot!(runs(&story).await, @"
    A api: passed
    A api: passed
    A api: passed
    A web: failed
    A web: failed
    ");
    story.comment(mr, "/test doc");
    story.settle().await;
    insta::assert_snapshot!(runs(&story).await, @"
    A api: passed
    A api: passed
    A api: passed
    A doc: passed
    A web: failed
    A web: failed
    ");
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: failed (external)
      aldis: failed "1 of 3 stacks failed: web"
      aldis/api: success "passed in T"
      aldis/doc: success "passed in T"
      aldis/web: failed "test failed with exit code 1"
      (6 retried)
    "#);
    story.finish_doubled(40).await;
}

#[tokio::test]
async fn retest_runs_only_what_did_not_pass() {
    let (story, mr) = half_red().await;
    story.comment(mr, "/retest");
    story.settle().await;
    insta::assert_snapshot!(runs(&story).await, @"
    A api: passed
    A web: failed
    A web: failed
    ");
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: failed (external)
      aldis: failed "1 of 2 stacks failed: web"
      aldis/api: success "passed in T"
      aldis/web: failed "test failed with exit code 1"
      (2 retried)
    "#);
    insta::assert_snapshot!(story.page(mr), @r#"
    !1 Change [opened] A
    feature A: failed (external)
      aldis: failed "1 of 2 stacks failed: web"
      aldis/api: success "passed in T"
      aldis/web: failed "test failed with exit code 1"
      (2 retried)
    @aldis:
      <!-- aldis:note mr-1.1-1 -->
      ### ✗ 1 of 2 stacks failed
      
      | | Stack | Result | Took |
      |---|---|---|---|
      | ✅ | [api](ALDIS/runs/RUN) | passed in T | T |
      | ❌ | [web](ALDIS/runs/RUN) | test failed with exit code 1 | T |
      
      <details><summary>web: last lines of the output</summary>
      
      ```text
      commit A
      $ test
      exit code 1
      ```
      
      </details>
      
      <details><summary>Earlier attempts</summary>
      
      | Commit | Stack | Result |
      |---|---|---|
      | A | [web](ALDIS/runs/RUN) | ❌ test failed with exit code 1 |
      
      </details>
      
      Commit A · [what was decided, and why](ALDIS/changes/mr-1.1-1)
    @alice:
      /retest
    "#);
    story.finish_doubled(41).await;
}

#[tokio::test]
async fn retest_of_a_green_head_does_nothing() {
    let story = THREE.start().await;
    let mr = story.propose_commit("A", &[("code", "1")]);
    story.settle().await;
    let before = story.timeline_of("A aldis");
    story.comment(mr, "/retest");
    story.settle().await;
    assert_eq!(story.timeline_of("A aldis"), before);
    insta::assert_snapshot!(runs(&story).await, @"
    A api: passed
    A web: passed
    ");
    story.finish_doubled(42).await;
}

#[tokio::test]
async fn cancel_ends_what_runs_and_retest_begins_it_again() {
    let story = THREE.start().await;
    let mr = story.propose_commit("A", &[("web.sh", "sleep 600\n")]);
    story.settle_but_runs().await;
    story.until_seen("api has passed", |s| s.shows("A", "aldis/api", "success")).await;
    story.comment(mr, "/cancel");
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: canceled (external)
      aldis: canceled "1 of 2 stacks canceled: web"
      aldis/api: success "passed in T"
      aldis/web: canceled "canceled on request"
    "#);
    insta::assert_snapshot!(story.headline(mr), @"### ⊘ 1 of 2 stacks passed, the others did not finish");
    story.comment(mr, "/retest");
    story.settle_but_runs().await;
    assert!(story.shows("A", "aldis/web", "running"), "{}", story.statuses("A"));
    assert!(story.shows("A", "aldis/api", "success"), "{}", story.statuses("A"));
    story.comment(mr, "/cancel");
    story.settle().await;
    insta::assert_snapshot!(runs(&story).await, @"
    A api: passed
    A web: canceled
    A web: canceled
    ");
    story.finish_doubled(84).await;
}

#[tokio::test]
async fn help_and_unknown_stacks_are_answered_in_the_comment() {
    let story = THREE.start().await;
    let mr = story.propose_commit("A", &[("code", "1")]);
    story.settle().await;
    story.comment(mr, "/help");
    story.settle().await;
    let note = &story.notes(mr)[0].body;
    for word in ["/test", "/retest", "/cancel", "/help"] {
        assert!(note.contains(word), "{note}");
    }
    story.comment(mr, "/test appi");
    story.settle().await;
    let note = &story.notes(mr)[0].body;
    assert!(note.contains("appi") && note.contains("api, doc, web"), "{note}");
    assert_eq!(story.notes(mr).len(), 1);
    insta::assert_snapshot!(runs(&story).await, @"
    A api: passed
    A web: passed
    ");
    story.finish_doubled(43).await;
}

#[tokio::test]
async fn who_may_not_push_is_refused_and_told_so() {
    let (story, mr) = half_red().await;
    let gus = story.add_person("gus", AccessLevel::Guest);
    let stranger = story.sim.create_user("stranger");
    story.sim.by(gus).comment(mr, "/test").unwrap();
    story.sim.by(stranger).comment(mr, "/cancel").unwrap();
    story.settle().await;
    insta::assert_snapshot!(runs(&story).await, @"
    A api: passed
    A web: failed
    ");
    let note = &story.notes(mr)[0].body;
    assert!(note.contains("`/test` was refused: it takes the Developer role"), "{note}");
    assert!(note.contains("`/cancel` was refused: it takes the Developer role"), "{note}");
    story.finish_doubled(44).await;
}

#[tokio::test]
async fn only_new_comments_of_people_are_commands() {
    let (story, mr) = half_red().await;
    let before = runs(&story).await;
    let note = story.comment(mr, "I wonder about the web stack.");
    story.alice().edit_comment(mr, note, "/test").unwrap();
    story.comment(mr, "> /test\n\n```\n/test\n```\nand /test in a line");
    story.comment_as_bot(mr, "/test");
    story.settle().await;
    assert_eq!(runs(&story).await, before);
    story.finish_doubled(45).await;
}

#[tokio::test]
async fn one_comment_may_hold_several_commands_and_each_is_done_once() {
    let (story, mr) = half_red().await;
    story.comment(mr, "/test api\n/test web");
    story.settle().await;
    insta::assert_snapshot!(runs(&story).await, @"
    A api: passed
    A api: passed
    A web: failed
    A web: failed
    ");
    story.finish_doubled(46).await;
}

#[tokio::test]
async fn a_command_on_a_merge_request_that_is_over_is_refused() {
    let (story, mr) = half_red().await;
    story.alice().close(mr).unwrap();
    story.settle().await;
    let before = runs(&story).await;
    story.comment(mr, "/test");
    story.settle().await;
    assert_eq!(runs(&story).await, before);
    let verdicts = story.verdicts().await;
    let refused = "command: /test : refused, the merge request is not open".to_owned();
    assert!(verdicts.contains(&refused), "{verdicts:?}");
    story.finish_doubled(47).await;
}
