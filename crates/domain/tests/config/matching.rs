//! What happened in, verdicts and their rules out.

use aldis_domain::config::matching::{Changed, Facts, Matcher, Occasion, Rule, Verdict, judge};
use aldis_domain::config::{Stack, read};
use aldis_domain::trigger::MergeRequestAction;

fn stack(keys: &str) -> Stack {
    let text = format!("version: 1\nstacks: {{it: {{steps: [{{run: make}}], {keys}}}}}");
    let (mut config, _) = read(text.as_bytes()).expect("the stack is right");
    config.stacks.remove("it").expect("it has this name")
}

fn told(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Run { rule, tracked: true } => format!("tracked run: {}", rule.explain()),
        Verdict::Run { rule, .. } => format!("run: {}", rule.explain()),
        Verdict::No { rule } => format!("no: {}", rule.explain()),
    }
}

fn owned(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}

fn judged(keys: &str, occasion: Occasion<'_>, paths: &[&str]) -> String {
    let paths = owned(paths);
    let facts = Facts { occasion, default_branch: "main", changed: Changed::Paths(&paths) };
    told(&judge(&stack(keys), &facts))
}

const UPDATED: Occasion<'_> = Occasion::MergeRequest {
    action: MergeRequestAction::Updated,
    target_branch: "main",
    draft: false,
};

fn push(branch: &str) -> Occasion<'_> {
    Occasion::Push { branch }
}

fn all(rows: &[(&str, Occasion<'_>, &[&str])]) -> String {
    let told = rows.iter().map(|(keys, occasion, paths)| judged(keys, *occasion, paths));
    told.collect::<Vec<_>>().join("\n")
}

#[test]
fn paths_decide_for_merge_requests_and_pushes() {
    let told = all(&[
        ("", UPDATED, &["README.md"]),
        ("", UPDATED, &[]),
        ("", push("main"), &[]),
        ("dir: app", UPDATED, &["lib/x", "app/x"]),
        ("dir: app", UPDATED, &["lib/x", "application/x"]),
        ("dir: app", UPDATED, &["lib/x"]),
        ("dir: 'a[b]'", UPDATED, &["a[b]/x"]),
        ("dir: app, paths: [./src/, '!**/*.md', lib]", UPDATED, &["app/src/x.md", "lib/a"]),
        ("paths: [src], paths_ignore: ['**/*.md']", UPDATED, &["src/a.md", "src/b.md", "x"]),
        ("paths: [src], paths_ignore: ['**/*.md']", UPDATED, &["src/a.md", "src/b.rs"]),
        ("paths_ignore: [docs]", UPDATED, &["docs/a"]),
        ("paths_ignore: [docs]", UPDATED, &["docs/a", "src/a"]),
        ("paths: [a, b, c, d, e, f]", push("main"), &["x", "y"]),
    ]);
    insta::assert_snapshot!(told, @r#"
    run: it runs for changes to any file
    no: no file changed
    no: no file changed
    run: app/x changed, which matches app/**
    no: none of the 2 changed files matches app/**
    no: the changed file does not match app/**
    run: a[b]/x changed, which matches a\[b\]/**
    run: lib/a changed, which matches lib
    no: src/a.md changed, but `paths_ignore` takes it away with **/*.md
    run: src/b.rs changed, which matches src
    no: docs/a changed, but `paths_ignore` takes it away with docs
    run: it runs for changes to any file
    no: none of the 2 changed files matches a, b, c, d, e or the others
    "#);
}

#[test]
fn branches_and_tags_decide() {
    let none = "on: {}";
    let listed = "on: {push: {branches: [main, 'release/*'], branches_ignore: ['release/0*']}}";
    let tags = "paths: [nothing], on: {tag: {tags: ['v*', '!v0*']}}";
    let told = all(&[
        ("", push("main"), &["a"]),
        ("", push("topic"), &["a"]),
        ("on: {push: }", push("topic"), &["a"]),
        (none, push("main"), &["a"]),
        (listed, push("release/1"), &["a"]),
        (listed, push("release/01"), &["a"]),
        (listed, push("release/1/2"), &["a"]),
        (tags, Occasion::Tag { tag: "v1.0" }, &[]),
        (tags, Occasion::Tag { tag: "v0.1" }, &[]),
        ("on: {tag: }", Occasion::Tag { tag: "x" }, &[]),
        (none, Occasion::Tag { tag: "v1" }, &[]),
    ]);
    insta::assert_snapshot!(told, @r#"
    run: it runs for changes to any file
    no: for pushes it runs on the default branch main only, not on topic
    run: it runs for changes to any file
    no: it does not run for pushes
    run: it runs for changes to any file
    no: `branches_ignore` takes the branch release/01 away with release/0*
    no: the branch release/1/2 does not match main, release/*
    run: the tag v1.0 matches v*
    no: the tag v0.1 does not match v*, !v0*
    run: it runs for every tag
    no: it does not run for tags
    "#);
}

#[test]
fn merge_requests_are_chosen_by_action_target_and_draft() {
    let on = "on: {merge_request: {target_branches: [main], draft: false}}";
    let occasion =
        |action, target_branch, draft| Occasion::MergeRequest { action, target_branch, draft };
    let told = all(&[
        (on, occasion(MergeRequestAction::Opened, "main", false), &["a"]),
        (on, occasion(MergeRequestAction::Opened, "main", true), &["a"]),
        (on, occasion(MergeRequestAction::Ready, "next", false), &["a"]),
        (on, occasion(MergeRequestAction::Merged, "main", false), &["a"]),
        ("", occasion(MergeRequestAction::Labeled, "main", false), &["a"]),
        ("", occasion(MergeRequestAction::Reopened, "any", true), &["a"]),
        ("on: {push: }", UPDATED, &["a"]),
    ]);
    insta::assert_snapshot!(told, @r#"
    run: it runs for changes to any file
    no: it does not run for drafts
    no: the target branch next does not match main
    no: it does not run when a merge request is merged
    no: it does not run when a merge request is labeled
    run: it runs for changes to any file
    no: it does not run for merge requests
    "#);
}

#[test]
fn commands_by_name_ask_nothing_else() {
    let told = all(&[
        ("on: {}, paths: [x]", Occasion::Command { named: true }, &["a"]),
        ("on: {}, paths: [x]", Occasion::Command { named: false }, &["x"]),
        ("paths: [x]", Occasion::Command { named: false }, &["a"]),
        ("paths: [x]", Occasion::Command { named: false }, &["x"]),
    ]);
    insta::assert_snapshot!(told, @r#"
    run: a command asked for it by name
    no: it does not run for merge requests
    no: the changed file does not match x
    run: x changed, which matches x
    "#);
}

#[test]
fn tracked_runs_need_the_environments_branch() {
    let default = "environment: {name: prod}, on: {}";
    let own = "environment: {name: prod, tracked_branch: live}, paths: [app], \
               on: {push: {branches: [main], branches_ignore: [live]}}";
    let told = all(&[
        (default, push("main"), &["a"]),
        (default, push("topic"), &["a"]),
        (default, UPDATED, &["a"]),
        (default, push("main"), &[]),
        (own, push("live"), &["app/x"]),
        (own, push("live"), &["lib/x"]),
        (own, push("main"), &["app/x"]),
        (own, Occasion::Command { named: true }, &["app/x"]),
        ("environment: {name: prod}, on: {tag: }", Occasion::Tag { tag: "main" }, &[]),
    ]);
    insta::assert_snapshot!(told, @r#"
    tracked run: main is its environment's branch
    no: it does not run for pushes
    no: it does not run for merge requests
    no: no file changed
    tracked run: app/x changed, which matches app
    no: the changed file does not match app
    run: app/x changed, which matches app
    run: a command asked for it by name
    run: it runs for every tag
    "#);
}

#[test]
fn an_unknown_list_of_changes_counts_as_everything() {
    let facts = Facts { occasion: UPDATED, default_branch: "main", changed: Changed::Unknown };
    let told =
        ["paths: [x]", "paths_ignore: [x]", ""].map(|keys| told(&judge(&stack(keys), &facts)));
    insta::assert_snapshot!(told.join("\n"), @r#"
    run: the list of changed files is not known, so every file counts as changed
    run: the list of changed files is not known, so every file counts as changed
    run: it runs for changes to any file
    "#);
}

#[test]
fn globs_that_this_version_cannot_compile_say_so() {
    let mut odd = stack("");
    odd.paths = owned(&["[broken"]);
    let facts = Facts { occasion: UPDATED, default_branch: "main", changed: Changed::Unknown };
    insta::assert_snapshot!(told(&judge(&odd, &facts)), @"no: its globs cannot be used: unclosed character class; missing ']'");
}

#[test]
fn rules_keep_their_names_in_the_log() {
    let rules = [
        Rule::PathMatched { glob: "a/**".to_owned(), path: "a/b".to_owned() },
        Rule::EmptyDiff,
        Rule::ActionNotListed { action: MergeRequestAction::Labeled },
        Rule::NeededBy { stack: "api".to_owned() },
    ];
    let lines = rules.map(|rule| {
        let json = serde_json::to_string(&rule).unwrap();
        assert_eq!(serde_json::from_str::<Rule>(&json).unwrap(), rule);
        json
    });
    insta::assert_snapshot!(lines.join("\n"), @r#"
    {"rule":"path_matched","glob":"a/**","path":"a/b"}
    {"rule":"empty_diff"}
    {"rule":"action_not_listed","action":"labeled"}
    {"rule":"needed_by","stack":"api"}
    "#);
}

#[test]
fn a_large_repository_gets_one_verdict_per_stack() {
    let stacks =
        (0..200).map(|n| format!("  s{n}: {{dir: services/s{n}, steps: [{{run: make}}]}}\n"));
    let text = format!("version: 1\nstacks:\n{}", stacks.collect::<String>());
    let (config, _) = read(text.as_bytes()).unwrap();
    let paths: Vec<String> = (0..3_000).map(|n| format!("services/s{}/f{n}", n % 100)).collect();
    let facts =
        Facts { occasion: UPDATED, default_branch: "main", changed: Changed::Paths(&paths) };
    let runs = config
        .stacks
        .values()
        .map(Matcher::new)
        .filter(|matcher| matches!(matcher.judge(&facts), Verdict::Run { .. }));
    assert_eq!(runs.count(), 100);
}
