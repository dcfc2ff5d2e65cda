//! The config file: wrong, fixed, missing, removed, and what it holds back.

use aldis_tests::{Setup, Story};

const WRONG: &str = "version: 1\nstacks:\n  ci:\n    stepps:\n      - { run: 'true' }\n";
const RIGHT: &str = "version: 1\nstacks:\n  ci:\n    steps:\n      - { name: test, run: 'true' }\n";

#[tokio::test]
async fn a_wrong_file_fails_with_line_and_column_until_it_is_fixed() {
    let story = Story::start().await;
    let mr = story.propose_commit("A", &[(".aldis.yml", WRONG)]);
    story.settle().await;
    insta::assert_snapshot!(story.page(mr), @r#"
    !1 Change [opened] A
    feature A: failed (external)
      aldis: failed ".aldis.yml:3:3: stacks.ci: a stack without steps; say under `steps` what it runs (and 1 more)"
    @aldis:
      <!-- aldis:note mr-1.1-1 -->
      ### ✗ `.aldis.yml` cannot be used
      
      ```text
      .aldis.yml:3:3: stacks.ci: a stack without steps; say under `steps` what it runs
      .aldis.yml:4:5: stacks.ci: unknown key "stepps"; did you mean "steps"?
      ```
      
      Commit A · [what was decided, and why](ALDIS/changes/mr-1.1-1)
    "#);
    assert_eq!(story.runs().await, "");
    story.push("B", "feature", &[(".aldis.yml", RIGHT)]);
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
      
      Commit B · [what was decided, and why](ALDIS/changes/mr-1.1-1)
    "#);
    story.finish_doubled(30).await;
}

#[tokio::test]
async fn a_wrong_file_on_the_default_branch_fails_its_commit() {
    let story = Story::start().await;
    story.push("A", "main", &[(".aldis.yml", WRONG)]);
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    main A: failed (external)
      aldis: failed ".aldis.yml:3:3: stacks.ci: a stack without steps; say under `steps` what it runs (and 1 more)"
    "#);
    story.push("B", "main", &[(".aldis.yml", RIGHT)]);
    story.settle().await;
    insta::assert_snapshot!(story.statuses("B"), @r#"
    main B: success (external)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
    "#);
    story.finish_doubled(31).await;
}

#[tokio::test]
async fn a_project_without_a_file_never_hears_of_the_bot() {
    let story = Setup { config: None, ..Setup::USUAL }.start().await;
    let mr = story.propose_commit("A", &[("code", "1")]);
    story.settle().await;
    story.push("B", "main", &[("other", "2")]);
    story.comment(mr, "/test");
    story.settle().await;
    let merge = story.alice().merge(mr).unwrap();
    story.name(&merge, "M");
    story.alice().create_tag(story.project, "v1", &merge, None).unwrap();
    story.settle().await;
    assert!(story.sim.writes().is_empty(), "{:#?}", story.sim.writes());
    assert_eq!(story.notes(mr).len(), 0);
    story.finish_doubled(32).await;
}

#[tokio::test]
async fn a_removed_file_ends_what_was_promised() {
    let story = Story::start().await;
    story.push("A", "main", &[("code", "1")]);
    story.settle().await;
    let removed = [(".aldis.yml", None)];
    let b = story.alice().commit_and_push(story.project, "main", &removed, "Remove").unwrap();
    story.name(&b, "B");
    story.settle().await;
    insta::assert_snapshot!(story.statuses("B"), @r#"
    main B: success (external)
      aldis: success "no .aldis.yml"
    "#);
    story.push("C", "main", &[("code", "2")]);
    story.settle().await;
    assert_eq!(story.statuses("C"), "", "now the project is known to have no file");
    story.push("D", "main", &[(".aldis.yml", RIGHT)]);
    story.settle().await;
    insta::assert_snapshot!(story.statuses("D"), @r#"
    main D: success (external)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
    "#);
    // News of C that come again would only end a line that was never shown.
    story.finish().await;
}

#[tokio::test]
async fn no_stack_that_matches_is_green_on_a_merge_request_and_silent_on_a_push() {
    let story = Setup::USUAL.with(
        "version: 1\nstacks:\n  api:\n    dir: api\n    steps: [{ name: test, run: 'true' }]\n  web:\n    dir: web\n    steps: [{ name: test, run: 'true' }]\n",
    )
    .start()
    .await;
    let mr = story.propose_commit("A", &[("docs/a.md", "1")]);
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: success (external)
      aldis: success "0 of 2 stacks affected"
    "#);
    assert_eq!(story.notes(mr).len(), 0, "nothing ran, so there is nothing to tell");
    story.push("B", "feature", &[("web/index.html", "1")]);
    story.settle().await;
    insta::assert_snapshot!(story.page(mr), @r#"
    !1 Change [opened] B
    feature B: success (external)
      aldis: success "1 stack passed"
      aldis/web: success "passed in T"
    @aldis:
      <!-- aldis:note mr-1.1-1 -->
      ### ✓ 1 stack passed
      
      | | Stack | Result | Took |
      |---|---|---|---|
      | ✅ | [web](ALDIS/runs/RUN) | passed in T | T |
      
      Commit B · [what was decided, and why](ALDIS/changes/mr-1.1-1)
    "#);
    story.finish_doubled(34).await;
}

#[tokio::test]
async fn the_author_may_ask_not_to_be_tested() {
    let story = Story::start().await;
    let files = [("code", Some("1"))];
    let a = story.alice();
    let sha = a.commit_and_push(story.project, "feature", &files, "Typo [skip ci]").unwrap();
    story.name(&sha, "A");
    let mr = story.propose("feature");
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: skipped (external)
      aldis: skipped "skipped on the author's request"
    "#);
    assert_eq!(story.runs().await, "");
    assert_eq!(story.notes(mr).len(), 0);
    story.push("B", "feature", &[("code", "2")]);
    story.settle().await;
    insta::assert_snapshot!(story.statuses("B"), @r#"
    feature B: success (external)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
    "#);
    story.finish_doubled(35).await;
}

#[tokio::test]
async fn a_file_may_refuse_to_be_skipped() {
    let story = Setup::USUAL.with(
        "version: 1\nskip_ci: false\nstacks:\n  ci:\n    steps: [{ name: test, run: 'true' }]\n",
    )
    .start()
    .await;
    let files = [("code", Some("1"))];
    let a = story.alice();
    let sha = a.commit_and_push(story.project, "main", &files, "Typo [ci skip]").unwrap();
    story.name(&sha, "A");
    story.settle().await;
    assert_eq!(story.runs().await, "A ci: passed");
    story.finish_doubled(36).await;
}

const NO_DRAFTS: &str = "\
version: 1
stacks:
  ci:
    steps: [{ name: test, run: sh ci.sh }]
    on: { merge_request: { draft: false } }
";

#[tokio::test]
async fn a_draft_is_held_back_until_it_is_ready() {
    let story = Setup::USUAL.with(NO_DRAFTS).start().await;
    story.push("A", "feature", &[("code", "1")]);
    let a = story.alice();
    let mr = a.propose(story.project, "feature", "Draft: change").unwrap();
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: skipped (external)
      aldis: skipped "held back while the merge request is a draft"
    "#);
    assert_eq!(story.runs().await, "");
    story.push("B", "feature", &[("code", "2")]);
    story.settle().await;
    insta::assert_snapshot!(story.statuses("B"), @r#"
    feature B: skipped (external)
      aldis: skipped "held back while the merge request is a draft"
    "#);
    assert_eq!(story.runs().await, "");
    story.alice().set_draft(mr, false).unwrap();
    story.settle().await;
    insta::assert_snapshot!(story.statuses("B"), @r#"
    feature B: success (external)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
      (1 retried)
    "#);
    insta::assert_snapshot!(story.headline(mr), @"### ✓ 1 stack passed");
    assert_eq!(story.runs().await, "B ci: passed");
    story.finish_doubled(37).await;
}

#[tokio::test]
async fn a_new_target_branch_is_judged_anew() {
    let story = Setup::USUAL.with(
        "version: 1\nstacks:\n  ci:\n    steps: [{ name: test, run: sh ci.sh }]\n    on: { merge_request: { target_branches: [main] } }\n",
    )
    .start()
    .await;
    story.alice().push(story.project, "stable", "main").unwrap();
    story.push("A", "feature", &[("code", "1")]);
    let mr = story.propose_to("feature", "stable");
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: success (external)
      aldis: success "0 of 1 stack affected"
    "#);
    story.alice().set_target_branch(mr, "main").unwrap();
    story.settle().await;
    insta::assert_snapshot!(story.statuses("A"), @r#"
    feature A: success (external)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
      (1 retried)
    "#);
    insta::assert_snapshot!(story.headline(mr), @"### ✓ 1 stack passed");
    story.finish_doubled(38).await;
}
