//! A stack as the file writes it, nothing filled in: what `stacks.<name>` and `defaults` have in
//! common. `stack` lays one over the other and makes the checked stack of it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::environment::{self, EnvironmentDraft};
use super::model::{Executor, MergeRequestRule, Network, PushRule, Step, TagRule, When};
use super::reader::{Reader, quoted};
use super::words;
use super::yaml::{Node, Place, Value};
use crate::trigger::MergeRequestAction;

/// Actions that start a stack unless it names its own.
pub(super) const ACTIONS: [MergeRequestAction; 5] = [
    MergeRequestAction::Opened,
    MergeRequestAction::Updated,
    MergeRequestAction::Reopened,
    MergeRequestAction::Ready,
    MergeRequestAction::Retargeted,
];

const MAYBE_ACTIONS: [(&str, MergeRequestAction); 6] = [
    ("opened", MergeRequestAction::Opened),
    ("updated", MergeRequestAction::Updated),
    ("reopened", MergeRequestAction::Reopened),
    ("ready", MergeRequestAction::Ready),
    ("retargeted", MergeRequestAction::Retargeted),
    ("labeled", MergeRequestAction::Labeled),
];

/// Stacks of one file.
pub(super) const STACKS: usize = 200;
/// Characters of a step's name.
const STEP_NAME: usize = 100;

/// Every key of a stack. `None`: not written, or written so that it cannot be used, which is a
/// finding already.
#[derive(Default, Clone)]
pub(super) struct Draft {
    pub(super) dir: Option<String>,
    pub(super) steps: Option<Vec<Step>>,
    pub(super) on: Option<OnDraft>,
    pub(super) paths: Option<Vec<String>>,
    pub(super) paths_ignore: Option<Vec<String>>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) timeout: Option<Duration>,
    pub(super) needs: Option<Vec<Need>>,
    pub(super) junit: Option<Vec<String>>,
    pub(super) terraform_plan: Option<Vec<String>>,
    pub(super) environment: Option<EnvironmentDraft>,
    pub(super) cancel_superseded: Option<bool>,
    pub(super) executor: Option<Executor>,
    pub(super) network: Option<Network>,
}

#[derive(Default, Clone)]
pub(super) struct OnDraft {
    pub(super) push: Option<PushRule>,
    pub(super) tag: Option<TagRule>,
    pub(super) merge_request: Option<MergeRequestRule>,
}

/// A stack that must pass first, and where the file says so.
#[derive(Clone)]
pub(super) struct Need {
    pub(super) stack: String,
    pub(super) at: Place,
    pub(super) path: String,
}

/// Reads `defaults` or one of `stacks`.
pub(super) fn read(reader: &mut Reader, node: &Node, path: &str) -> Draft {
    let mut draft = Draft::default();
    for (key, value) in reader.map(node, path, &words::STACK).unwrap_or_default() {
        let path = format!("{path}.{}", key.text);
        match key.text.as_str() {
            // For readers of the file; checked, not kept.
            "description" => drop(reader.text(value, &path, true)),
            "dir" => draft.dir = dir(reader, value, &path),
            "steps" => draft.steps = Some(steps(reader, value, &path)),
            "on" => draft.on = Some(on(reader, value, &path)),
            "paths" => draft.paths = reader.globs(value, &path),
            "paths_ignore" => draft.paths_ignore = reader.globs(value, &path),
            "env" => draft.env = reader.variables(value, &path),
            "timeout" => draft.timeout = reader.duration(value, &path),
            "needs" => draft.needs = needs(reader, value, &path),
            "reports" => reports(reader, value, &path, &mut draft),
            "environment" => draft.environment = environment::read(reader, value, &path),
            "concurrency" => draft.cancel_superseded = concurrency(reader, value, &path),
            "executor" => draft.executor = executor(reader, value, &path),
            "network" => {
                let choices = [("default", Network::Default), ("none", Network::None)];
                draft.network = reader.choice(value, &path, &choices);
            }
            _ => {}
        }
    }
    draft
}

fn dir(reader: &mut Reader, node: &Node, path: &str) -> Option<String> {
    let text = reader.text(node, path, false)?;
    let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if text.starts_with('/') {
        let hint = "write it from the repository's root, without a leading /";
        reader.error_hint(node.at, path, "an absolute path", hint);
        None
    } else if parts.contains(&"..") {
        reader.error(node.at, path, "`..` leads out of the repository");
        None
    } else if parts.is_empty() {
        Some(".".to_owned())
    } else {
        Some(parts.join("/"))
    }
}

fn steps(reader: &mut Reader, node: &Node, path: &str) -> Vec<Step> {
    let items = reader.list(node, path, "steps").unwrap_or_default();
    if items.is_empty() && matches!(node.value, Value::List(_)) {
        reader.error(node.at, path, "needs at least one step");
    }
    let mut steps = Vec::new();
    for (n, (path, item)) in items.into_iter().enumerate() {
        steps.extend(step(reader, item, &path, n + 1));
    }
    steps
}

/// A step without `name` is called `step N`, counted from 1.
fn step(reader: &mut Reader, node: &Node, path: &str, number: usize) -> Option<Step> {
    let entries = reader.map(node, path, &words::STEP)?;
    let mut step = Step {
        name: format!("step {number}"),
        run: Vec::new(),
        env: BTreeMap::new(),
        timeout: None,
        allow_failure: false,
        when: When::OnSuccess,
    };
    if !entries.iter().any(|(key, _)| key.text == "run") {
        reader.error_hint(node.at, path, "a step without `run`", "say what it runs");
    }
    for (key, value) in entries {
        let path = format!("{path}.{}", key.text);
        match key.text.as_str() {
            "name" => {
                if let Some(name) = reader.text(value, &path, false) {
                    if name.chars().count() > STEP_NAME {
                        let message = format!("longer than {STEP_NAME} characters");
                        reader.error(value.at, &path, message);
                    }
                    step.name = name;
                }
            }
            "run" => step.run = commands(reader, value, &path),
            "env" => step.env = reader.variables(value, &path),
            "timeout" => step.timeout = reader.duration(value, &path),
            "allow_failure" => step.allow_failure = reader.truth(value, &path).unwrap_or(false),
            "when" => {
                let choices = [
                    ("on_success", When::OnSuccess),
                    ("on_failure", When::OnFailure),
                    ("always", When::Always),
                ];
                step.when = reader.choice(value, &path, &choices).unwrap_or(When::OnSuccess);
            }
            _ => {}
        }
    }
    Some(step)
}

fn commands(reader: &mut Reader, node: &Node, path: &str) -> Vec<String> {
    match &node.value {
        Value::Text(_) => reader.text(node, path, true).into_iter().collect(),
        Value::List(items) => {
            if items.is_empty() {
                reader.error(node.at, path, "needs at least one command");
            }
            let items = items.iter().enumerate();
            items.filter_map(|(n, item)| command(reader, item, &format!("{path}[{n}]"))).collect()
        }
        Value::Map(_) => command(reader, node, path).into_iter().collect(),
        _ => {
            reader.mismatch(node, path, "a command or a list of commands");
            Vec::new()
        }
    }
}

fn command(reader: &mut Reader, node: &Node, path: &str) -> Option<String> {
    if matches!(node.value, Value::Map(_)) {
        let message = "expected a command, found a map";
        let hint = "a colon followed by a space makes a map; put the command in quotes";
        reader.error_hint(node.at, path, message, hint);
        return None;
    }
    reader.text(node, path, true)
}

/// Any rule may be written without anything below it: `push:` is `push: {}`.
fn rule<'n>(
    reader: &mut Reader,
    node: &'n Node,
    path: &str,
    words: &words::Words,
) -> Vec<(String, &'n str, &'n Node)> {
    if matches!(node.value, Value::Null) {
        return Vec::new();
    }
    let entries = reader.map(node, path, words).unwrap_or_default();
    let entries = entries.into_iter();
    entries.map(|(key, value)| (format!("{path}.{}", key.text), key.text.as_str(), value)).collect()
}

fn on(reader: &mut Reader, node: &Node, path: &str) -> OnDraft {
    let mut on = OnDraft::default();
    for (path, key, value) in rule(reader, node, path, &words::ON) {
        match key {
            "push" => {
                let mut push = PushRule::default();
                for (path, key, value) in rule(reader, value, &path, &words::PUSH) {
                    let globs = reader.globs(value, &path).unwrap_or_default();
                    if key == "branches" {
                        push.branches = globs;
                    } else {
                        push.branches_ignore = globs;
                    }
                }
                on.push = Some(push);
            }
            "tag" => {
                let mut tag = TagRule::default();
                for (path, _, value) in rule(reader, value, &path, &words::TAG) {
                    tag.tags = reader.globs(value, &path).unwrap_or_default();
                }
                on.tag = Some(tag);
            }
            _ => on.merge_request = Some(merge_request(reader, value, &path)),
        }
    }
    on
}

fn merge_request(reader: &mut Reader, node: &Node, path: &str) -> MergeRequestRule {
    let mut found = every_merge_request();
    for (path, key, value) in rule(reader, node, path, &words::MERGE_REQUEST) {
        match key {
            "target_branches" => {
                found.target_branches = reader.globs(value, &path).unwrap_or_default();
            }
            "actions" => {
                let items = reader.list(value, &path, "actions").unwrap_or_default();
                if items.is_empty() && matches!(value.value, Value::List(_)) {
                    let hint = "leave `merge_request` out of `on`";
                    reader.error_hint(value.at, &path, "without actions nothing starts", hint);
                }
                let items = items.into_iter();
                found.actions = items
                    .filter_map(|(path, item)| reader.choice(item, &path, &MAYBE_ACTIONS))
                    .collect();
            }
            _ => found.draft = reader.truth(value, &path).unwrap_or(true),
        }
    }
    found
}

/// What `merge_request` means without anything below it.
pub(super) fn every_merge_request() -> MergeRequestRule {
    MergeRequestRule { target_branches: Vec::new(), actions: ACTIONS.to_vec(), draft: true }
}

fn needs(reader: &mut Reader, node: &Node, path: &str) -> Option<Vec<Need>> {
    let items = reader.list(node, path, "stack names")?;
    if items.len() > STACKS {
        reader.error(node.at, path, format!("more than {STACKS} stacks"));
        return None;
    }
    let mut needs: Vec<Need> = Vec::new();
    for (path, item) in items {
        let (name, path) = if matches!(item.value, Value::Map(_)) {
            let entries = reader.map(item, &path, &words::NEED).unwrap_or_default();
            let Some((_, value)) = entries.first() else {
                reader.error(item.at, &path, "names no `stack`");
                continue;
            };
            let path = format!("{path}.stack");
            (*value, path)
        } else {
            (item, path)
        };
        let Some(stack) = reader.text(name, &path, false) else { continue };
        if needs.iter().any(|need| need.stack == stack) {
            let message = format!("{} is listed twice", quoted(&stack));
            reader.warning(name.at, &path, message, "once is enough");
        } else {
            needs.push(Need { stack, at: name.at, path });
        }
    }
    Some(needs)
}

fn reports(reader: &mut Reader, node: &Node, path: &str, draft: &mut Draft) {
    for (key, value) in reader.map(node, path, &words::REPORTS).unwrap_or_default() {
        let globs = reader.globs(value, &format!("{path}.{}", key.text));
        if key.text == "junit" {
            draft.junit = globs;
        } else {
            draft.terraform_plan = globs;
        }
    }
}

fn concurrency(reader: &mut Reader, node: &Node, path: &str) -> Option<bool> {
    let entries = reader.map(node, path, &words::CONCURRENCY)?;
    let (key, value) = entries.first()?;
    reader.truth(value, &format!("{path}.{}", key.text))
}

fn executor(reader: &mut Reader, node: &Node, path: &str) -> Option<Executor> {
    let choices = [
        ("bubblewrap", Some(Executor::Bubblewrap)),
        ("shell", Some(Executor::Shell)),
        ("container", None),
    ];
    let executor = reader.choice(node, path, &choices)?;
    if executor.is_none() {
        let message = "the executor \"container\" is not available yet";
        reader.error_hint(node.at, path, message, "leave it out, or write bubblewrap or shell");
    }
    executor
}
