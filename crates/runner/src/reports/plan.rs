//! A Terraform plan as `terraform show -json` prints it (the "JSON Output Format" page of its
//! documentation, `resource_changes`). What it marks as sensitive never leaves this file.

use std::collections::BTreeSet;

use aldis_domain::report::{PlanAction, PlanReport, ResourceChange};
use serde::Deserialize;
use serde_json::{Map, Value};

const RESOURCES: usize = 200;
const ATTRIBUTES: usize = 20;
/// Characters of one value.
const VALUE: usize = 80;

#[derive(Deserialize)]
struct PlanFile {
    format_version: String,
    #[serde(default)]
    resource_changes: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    address: String,
    change: Change,
}

#[derive(Deserialize)]
struct Change {
    actions: Vec<String>,
    #[serde(default)]
    before: Value,
    #[serde(default)]
    after: Value,
    #[serde(default)]
    after_unknown: Value,
    #[serde(default)]
    before_sensitive: Value,
    #[serde(default)]
    after_sensitive: Value,
}

/// Reads one plan file.
pub(super) fn read(file: &str, bytes: &[u8]) -> Result<PlanReport, String> {
    let plan: PlanFile = serde_json::from_slice(bytes).map_err(|error| place_of(&error))?;
    if plan.format_version.is_empty() {
        return Err("it has no format_version".to_owned());
    }
    let mut report = PlanReport { file: file.to_owned(), ..PlanReport::default() };
    for resource in plan.resource_changes {
        let Some(action) = action(&resource.change.actions) else { continue };
        let (add, change, destroy) = match action {
            PlanAction::Create => (1, 0, 0),
            PlanAction::Update => (0, 1, 0),
            PlanAction::Delete => (0, 0, 1),
            PlanAction::Replace => (1, 0, 1),
            PlanAction::Read => (0, 0, 0),
        };
        report.add += add;
        report.change += change;
        report.destroy += destroy;
        if report.resources.len() < RESOURCES {
            let attributes = attributes(&resource.change, action);
            let address = clean(&resource.address, 300);
            report.resources.push(ResourceChange { address, action, attributes });
        }
    }
    Ok(report)
}

/// Where reading stopped. serde's own words may quote a value, and a value may be a secret.
fn place_of(error: &serde_json::Error) -> String {
    let what = if error.is_data() { "not the fields of a plan" } else { "no JSON" };
    format!("{what} (line {}, column {})", error.line(), error.column())
}

fn action(actions: &[String]) -> Option<PlanAction> {
    let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
    match actions[..] {
        ["create"] => Some(PlanAction::Create),
        ["update"] => Some(PlanAction::Update),
        ["delete"] => Some(PlanAction::Delete),
        ["delete", "create"] | ["create", "delete"] => Some(PlanAction::Replace),
        ["read"] => Some(PlanAction::Read),
        _ => None,
    }
}

fn attributes(change: &Change, action: PlanAction) -> Vec<String> {
    if action == PlanAction::Delete {
        return Vec::new();
    }
    let none = Map::new();
    let object = |value: &'_ Value| value.as_object().cloned();
    let before = object(&change.before).unwrap_or_else(|| none.clone());
    let after = object(&change.after).unwrap_or_else(|| none.clone());
    let unknown = object(&change.after_unknown).unwrap_or(none);
    let names: BTreeSet<&String> =
        before.keys().chain(after.keys()).chain(unknown.keys()).collect();
    let mut lines = Vec::new();
    for name in names {
        let is_unknown = marks(&change.after_unknown, name);
        let (old, new) = (before.get(name), after.get(name));
        let is_same = old.unwrap_or(&Value::Null) == new.unwrap_or(&Value::Null);
        if is_same && !is_unknown {
            continue;
        }
        let hidden = marks(&change.before_sensitive, name) || marks(&change.after_sensitive, name);
        let shown = |value: Option<&Value>| match value {
            None | Some(Value::Null) => "(none)".to_owned(),
            Some(_) if hidden => "(sensitive)".to_owned(),
            Some(value) => clean(&value.to_string(), VALUE),
        };
        let new = if is_unknown { "(known after apply)".to_owned() } else { shown(new) };
        lines.push(format!("{}: {} → {new}", clean(name, VALUE), shown(old)));
        if lines.len() == ATTRIBUTES {
            break;
        }
    }
    lines
}

/// Whether a mark (`true`, or a structure with a `true` anywhere) lies on the attribute.
fn marks(tree: &Value, name: &str) -> bool {
    match tree {
        Value::Bool(all) => *all,
        Value::Object(fields) => fields.get(name).is_some_and(any_true),
        _ => false,
    }
}

fn any_true(value: &Value) -> bool {
    match value {
        Value::Bool(mark) => *mark,
        Value::Array(items) => items.iter().any(any_true),
        Value::Object(fields) => fields.values().any(any_true),
        _ => false,
    }
}

/// One line without control characters, at most `most` characters.
fn clean(text: &str, most: usize) -> String {
    let plain = text.chars().filter(|c| !c.is_control());
    let mut cut: String = plain.clone().take(most).collect();
    if plain.count() > most {
        cut.pop();
        cut.push('…');
    }
    cut
}
