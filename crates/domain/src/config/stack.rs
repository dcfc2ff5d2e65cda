//! Makes the checked stack of what the file writes: `defaults` below, fixed defaults at the bottom.

use std::collections::BTreeMap;
use std::time::Duration;

use super::draft::{Draft, Need, OnDraft, every_merge_request};
use super::glob::{escaped, rooted};
use super::model::{Concurrency, Network, On, PushRule, Reports, Stack};
use super::reader::Reader;
use super::yaml::Place;

/// Time of a stack that asks for none.
const TIMEOUT: Duration = Duration::from_hours(1);

/// Lays `over` on `below`, key by key. `env` is merged by name; `on`, `reports`, `environment` and
/// `concurrency` by their keys; everything else is replaced.
pub(super) fn merge(over: Draft, below: &Draft) -> Draft {
    let mut env = below.env.clone();
    env.extend(over.env);
    let below = below.clone();
    let on = match (over.on, below.on) {
        (Some(over), Some(below)) => Some(OnDraft {
            push: over.push.or(below.push),
            tag: over.tag.or(below.tag),
            merge_request: over.merge_request.or(below.merge_request),
        }),
        (over, below) => over.or(below),
    };
    let environment = match (over.environment, below.environment) {
        (Some(over), Some(below)) => Some(over.over(&below)),
        (over, below) => over.or(below),
    };
    Draft {
        dir: over.dir.or(below.dir),
        steps: over.steps.or(below.steps),
        on,
        paths: over.paths.or(below.paths),
        paths_ignore: over.paths_ignore.or(below.paths_ignore),
        env,
        timeout: over.timeout.or(below.timeout),
        needs: over.needs.or(below.needs),
        junit: over.junit.or(below.junit),
        terraform_plan: over.terraform_plan.or(below.terraform_plan),
        environment,
        cancel_superseded: over.cancel_superseded.or(below.cancel_superseded),
        executor: over.executor.or(below.executor),
        network: over.network.or(below.network),
    }
}

/// Fills in what is still missing. `at` and `path` are the stack's own, for what it lacks.
pub(super) fn finish(
    reader: &mut Reader,
    draft: Draft,
    variables: &BTreeMap<String, String>,
    at: Place,
    path: &str,
) -> (Stack, Vec<Need>) {
    let dir = draft.dir.unwrap_or_else(|| ".".to_owned());
    let from_dir = |globs: Vec<String>| globs.iter().map(|glob| rooted(glob, ".")).collect();
    let rooted = |globs: Vec<String>| globs.iter().map(|glob| rooted(glob, &dir)).collect();
    let paths = match draft.paths {
        Some(globs) => rooted(globs),
        None if dir == "." => Vec::new(),
        None => vec![format!("{}/**", escaped(&dir))],
    };
    let paths_ignore = draft.paths_ignore.map(rooted).unwrap_or_default();
    let mut env = variables.clone();
    env.extend(draft.env);
    let environment_path = format!("{path}.environment");
    let environment = draft.environment.and_then(|e| e.finish(reader, &environment_path));
    let needs = draft.needs.unwrap_or_default();
    if draft.steps.is_none() {
        reader.error_hint(at, path, "a stack without steps", "say under `steps` what it runs");
    }
    let stack = Stack {
        paths,
        paths_ignore,
        dir,
        steps: draft.steps.unwrap_or_default(),
        on: on(draft.on),
        env,
        timeout: draft.timeout.unwrap_or(TIMEOUT),
        needs: needs.iter().map(|need| need.stack.clone()).collect(),
        reports: Reports {
            junit: draft.junit.map(from_dir).unwrap_or_default(),
            terraform_plan: draft.terraform_plan.map(from_dir).unwrap_or_default(),
        },
        environment,
        concurrency: Concurrency { cancel_superseded: draft.cancel_superseded.unwrap_or(true) },
        executor: draft.executor,
        network: draft.network.unwrap_or(Network::Default),
    };
    (stack, needs)
}

/// How many globs a stack has to be matched against.
pub(super) fn globs(stack: &Stack) -> usize {
    let on = &stack.on;
    let push = on.push.as_ref().map_or(0, |rule| rule.branches.len() + rule.branches_ignore.len());
    let tag = on.tag.as_ref().map_or(0, |rule| rule.tags.len());
    let merge_request = on.merge_request.as_ref().map_or(0, |rule| rule.target_branches.len());
    stack.paths.len() + stack.paths_ignore.len() + push + tag + merge_request
}

/// Without `on` a stack runs for merge requests and for pushes to the default branch. An `on` that
/// is written starts it for exactly what it lists.
fn on(draft: Option<OnDraft>) -> On {
    match draft {
        Some(on) => On { push: on.push, tag: on.tag, merge_request: on.merge_request },
        None => On {
            push: Some(PushRule { default_branch: true, ..PushRule::default() }),
            tag: None,
            merge_request: Some(every_merge_request()),
        },
    }
}
