//! What is decided for a head, stack by stack.

use super::*;
use crate::config::matching::{Changed, Facts, Occasion, judge};
use crate::config::read;
use crate::trigger::MergeRequestAction;

const FILE: &str = "
version: 1
stacks:
  api:
    dir: api
    needs: [schema]
    steps: [{ run: make test }]
  docs:
    dir: docs
    on: { merge_request: { actions: [opened] } }
    steps: [{ run: make docs }]
  schema:
    dir: schema
    steps: [{ run: make schema }]
  web:
    dir: web
    on: { merge_request: { draft: false } }
    steps: [{ run: make web }]
";

fn config() -> ConfigFound {
    ConfigFound::Valid(Box::new(read(FILE.as_bytes()).unwrap().0))
}

fn decide(
    trust: Trust,
    action: MergeRequestAction,
    draft_mr: bool,
    paths: &[&str],
    previous: Option<&ChangePlanned>,
) -> Draft {
    let paths: Vec<String> = paths.iter().map(|p| (*p).to_owned()).collect();
    let facts = Facts {
        occasion: Occasion::MergeRequest { action, target_branch: "main", draft: draft_mr },
        default_branch: "main",
        changed: Changed::Paths(&paths),
    };
    draft(PlanBasis { trust, config: &config(), skip: false }, previous, |_, stack| {
        judge(stack, &facts)
    })
}

fn told(draft: &Draft) -> String {
    let mut lines = vec![format!("{:?}", draft.verdict)];
    lines.extend(draft.chosen.iter().map(|c| format!("{} runs: {}", c.stack, c.rule.explain())));
    lines.extend(draft.refused.iter().map(|(stack, rule)| format!("{stack}: {}", rule.explain())));
    lines.join("\n")
}

#[test]
fn a_stack_runs_with_what_it_needs_and_every_no_has_its_rule() {
    let draft = decide(Trust::Member, MergeRequestAction::Updated, false, &["api/main.rs"], None);
    insta::assert_snapshot!(told(&draft), @r"
    Runs
    api runs: api/main.rs changed, which matches api/**
    schema runs: api needs it
    docs: it does not run when a merge request is updated
    web: the changed file does not match web/**
    ");
    let order: Vec<&str> = by_need(&draft.chosen).iter().map(|c| c.stack.as_str()).collect();
    assert_eq!(order, ["schema", "api"]);
}

fn planned(stack: &str, rule: Rule) -> ChangePlanned {
    let decision = StackDecision {
        stack: stack.into(),
        rule,
        run: Some(RunId::from_digest(&[1; 32])),
        tracked: false,
    };
    ChangePlanned {
        sha: "a".repeat(40).parse().unwrap(),
        trust: Trust::Member,
        access_level: 30,
        config: crate::event::change::ConfigBasis { at: None, digest: None },
        verdict: PlanVerdict::Runs,
        stacks: vec![decision],
        changed_paths: Some(1),
        posting_project: ProjectKey::new(1, 42),
        lane: "topic".into(),
    }
}

fn chosen(draft: &Draft) -> Vec<&str> {
    draft.chosen.iter().map(|c| c.stack.as_str()).collect()
}

#[test]
fn an_action_a_stack_does_not_listen_to_takes_nothing_away() {
    let plan = planned("docs", Rule::EveryPath);
    let draft =
        decide(Trust::Member, MergeRequestAction::Reopened, false, &["docs/a.md"], Some(&plan));
    assert_eq!(chosen(&draft), ["docs"]);
    let draft = decide(Trust::Member, MergeRequestAction::Reopened, false, &["docs/a.md"], None);
    assert_eq!(draft.verdict, PlanVerdict::Nothing { stacks: 4 });
}

#[test]
fn what_was_asked_for_stays_when_the_same_news_come_again() {
    let opened = |draft, path, plan| {
        let paths = [path];
        decide(Trust::Member, MergeRequestAction::Opened, draft, &paths, plan)
    };
    let asked = planned("web", Rule::Asked);
    assert_eq!(chosen(&opened(false, "docs/a.md", Some(&asked))), ["docs", "web"]);
    assert_eq!(chosen(&opened(true, "web/a.ts", Some(&asked))), ["web"]);
    let matched = planned("web", Rule::EveryPath);
    assert_eq!(chosen(&opened(false, "docs/a.md", Some(&matched))), ["docs"]);
}

#[test]
fn the_plan_as_a_whole_follows_from_trust_drafts_and_the_file() {
    let fork = decide(Trust::Fork, MergeRequestAction::Opened, false, &["web/a.ts"], None);
    assert_eq!(fork.verdict, PlanVerdict::AwaitingApproval);
    let held = decide(Trust::Member, MergeRequestAction::Opened, true, &["web/a.ts"], None);
    assert_eq!(held.verdict, PlanVerdict::DraftsHeldBack);
    let none = draft(
        PlanBasis { trust: Trust::Member, config: &ConfigFound::Missing, skip: false },
        None,
        |_, _| unreachable!(),
    );
    assert_eq!(none.verdict, PlanVerdict::NoConfig);
    let skipped = draft(
        PlanBasis { trust: Trust::Member, config: &config(), skip: true },
        None,
        |_, _| unreachable!(),
    );
    assert_eq!(skipped.verdict, PlanVerdict::SkippedByAuthor);
}

#[test]
fn who_may_push_is_trusted() {
    let facts = |source| MergeRequestFacts {
        source_project: source,
        source_branch: "t".into(),
        target_branch: "main".into(),
        draft: false,
        author: 3,
    };
    let target = ProjectKey::new(1, 42);
    assert_eq!(trust(target, &facts(Some(42)), 30), Trust::Member);
    assert_eq!(trust(target, &facts(Some(42)), 20), Trust::Unknown);
    assert_eq!(trust(target, &facts(Some(43)), 50), Trust::Fork);
    assert_eq!(trust(target, &facts(None), 50), Trust::Fork);
}

#[test]
fn skip_ci_is_read_as_gitlab_reads_it() {
    assert!(asks_to_skip("Tidy up [Skip CI]"));
    assert!(!asks_to_skip("Explain skip ci"));
}
