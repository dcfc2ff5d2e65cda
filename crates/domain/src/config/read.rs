//! Reads a whole `.aldis.yml`. Called by the planner, `aldis lint` and the pages' checker.
//!
//! Pure: the same bytes give the same config or the same findings. Nothing here may panic, whatever
//! a repository holds.

use std::collections::BTreeMap;

use super::draft::{self, Draft, Need, STACKS};
use super::finding::Finding;
use super::model::{Config, Stack, StatusConfig};
use super::reader::{GLOBS, Reader, clean, quoted};
use super::yaml::{self, Key, Node, Place, Value};
use super::{needs, stack, words};

/// Bytes of one file.
const LARGEST: usize = 256 * 1024;
/// Bytes (as JSON) of one checked stack and of all together: `defaults` and `variables` are copied
/// into each, so the file's size alone bounds nothing.
const STACK: usize = 64 * 1024;
const TOTAL: usize = 2 * 1024 * 1024;
/// Characters of a stack's name.
const STACK_NAME: usize = 63;
/// GitLab's limit for a status name.
const STATUS_NAME: usize = 255;
/// The file format that this server reads.
const VERSION: &str = "1";
/// Both the prefix of the stacks' statuses and the name of the one that sums them up.
const NAME: &str = "aldis";

/// Reads, checks and completes a file's text. On success the findings are warnings only; else at
/// least one is an error. Both are sorted by place.
pub fn read(text: &[u8]) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
    let mut reader = Reader::default();
    let config = tree(&mut reader, text).and_then(|node| file(&mut reader, &node));
    let findings = reader.finish();
    match config {
        Some(config) if !findings.iter().any(Finding::is_error) => Ok((config, findings)),
        _ => Err(findings),
    }
}

fn tree(reader: &mut Reader, text: &[u8]) -> Option<Node> {
    if text.len() > LARGEST {
        let message = format!("larger than {} KiB", LARGEST / 1024);
        reader.error(Place::START, "", message);
        return None;
    }
    let text = match str::from_utf8(text) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let before = String::from_utf8_lossy(text.get(..error.valid_up_to())?);
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            let at = Place { line: number(line), column: number(column) };
            reader.error(at, "", "not UTF-8 text");
            return None;
        }
    };
    match yaml::parse(text) {
        Ok(node) => {
            tags(reader, &node);
            Some(node)
        }
        Err(trouble) => {
            reader.error(trouble.at, "", trouble.message);
            None
        }
    }
}

fn tags(reader: &mut Reader, node: &Node) {
    if node.tagged {
        reader.error_hint(node.at, "", "a YAML tag", "leave out what starts with `!`");
    }
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| tags(reader, item)),
        Value::Map(entries) => entries.iter().for_each(|(_, value)| tags(reader, value)),
        _ => {}
    }
}

fn file(reader: &mut Reader, node: &Node) -> Option<Config> {
    if matches!(node.value, Value::Null) {
        let hint = "it needs `version: 1` and `stacks`";
        reader.error_hint(Place::START, "", "the file is empty", hint);
        return None;
    }
    let entries: BTreeMap<&str, &Node> = reader
        .map(node, "", &words::TOP)?
        .into_iter()
        .map(|(key, value)| (key.text.as_str(), value))
        .collect();
    version(reader, entries.get("version").copied());
    let defaults = match entries.get("defaults") {
        Some(node) => draft::read(reader, node, "defaults"),
        None => Draft::default(),
    };
    let variables = match entries.get("variables") {
        Some(node) => reader.variables(node, "variables"),
        None => BTreeMap::new(),
    };
    let skip_ci = match entries.get("skip_ci") {
        Some(node) => reader.truth(node, "skip_ci").unwrap_or(true),
        None => true,
    };
    let status = status(reader, entries.get("status").copied());
    let Some(node) = entries.get("stacks") else {
        let hint = "name at least one under `stacks`";
        reader.error_hint(Place::START, "", "a file without stacks", hint);
        return None;
    };
    let stacks = stacks(reader, node, &defaults, &variables, &status);
    Some(Config { stacks, skip_ci, status })
}

fn version(reader: &mut Reader, node: Option<&Node>) {
    let Some(node) = node else {
        let hint = format!("begin the file with `version: {VERSION}`");
        reader.error_hint(Place::START, "", "a file without `version`", hint);
        return;
    };
    match &node.value {
        Value::Number(number) if number == VERSION => {}
        Value::Number(number) => {
            let message = format!("this server reads version {VERSION}, not {}", clean(number));
            reader.error(node.at, "version", message);
        }
        _ => reader.mismatch(node, "version", "the number 1"),
    }
}

fn status(reader: &mut Reader, node: Option<&Node>) -> StatusConfig {
    let mut status = StatusConfig { prefix: NAME.to_owned(), aggregate: Some(NAME.to_owned()) };
    let Some(node) = node else { return status };
    for (key, value) in reader.map(node, "status", &words::STATUS).unwrap_or_default() {
        let path = format!("status.{}", key.text);
        if key.text == "aggregate" && matches!(value.value, Value::Bool(false)) {
            let hint = "keep it if pipelines must succeed";
            let message = "nothing blocks merging before the stacks to run are known";
            reader.warning(value.at, &path, message, hint);
            status.aggregate = None;
            continue;
        }
        if key.text == "aggregate" && !matches!(value.value, Value::Text(_)) {
            reader.mismatch(value, &path, "a name or false");
            continue;
        }
        let Some(name) = reader.text(value, &path, false) else { continue };
        let fits = |c: char| c.is_ascii_alphanumeric() || "_.-/".contains(c);
        if !name.chars().all(fits) || name.split('/').any(str::is_empty) {
            let hint = "letters, digits and _ . - in parts with / between them";
            reader.error_hint(value.at, &path, "not a status name", hint);
        } else if name.len() > STATUS_NAME {
            reader.error(value.at, &path, format!("longer than {STATUS_NAME} characters"));
        } else if key.text == "aggregate" {
            status.aggregate = Some(name);
        } else {
            status.prefix = name;
        }
    }
    status
}

fn stacks(
    reader: &mut Reader,
    node: &Node,
    defaults: &Draft,
    variables: &BTreeMap<String, String>,
    status: &StatusConfig,
) -> BTreeMap<String, Stack> {
    let entries = reader.entries(node, "stacks").unwrap_or_default();
    if entries.is_empty() && matches!(node.value, Value::Map(_)) {
        reader.error(node.at, "stacks", "needs at least one stack");
    }
    if let Some((key, _)) = entries.get(STACKS) {
        reader.error(key.at, "stacks", format!("more than {STACKS} stacks"));
        return BTreeMap::new();
    }
    let mut stacks = BTreeMap::new();
    let mut total: usize = 0;
    let mut globs = 0;
    let mut wanted: BTreeMap<String, Vec<Need>> = BTreeMap::new();
    for (key, value) in entries {
        let path = format!("stacks.{}", clean(&key.text));
        name(reader, key, &path, status);
        let written = draft::read(reader, value, &path);
        // Something that is no map has had its finding.
        if !matches!(value.value, Value::Map(_)) {
            wanted.insert(key.text.clone(), Vec::new());
            continue;
        }
        let whole = stack::merge(written, defaults);
        let (stack, needs) = stack::finish(reader, whole, variables, key.at, &path);
        let size = serde_json::to_vec(&stack).map_or(usize::MAX, |json| json.len());
        total = total.saturating_add(size);
        globs += stack::globs(&stack);
        if globs > GLOBS {
            let message = format!("more than {GLOBS} globs with all defaults in");
            reader.error(key.at, &path, message);
            return BTreeMap::new();
        }
        if size > STACK || total > TOTAL {
            let message = if size > STACK {
                format!("larger than {} KiB with all defaults in", STACK / 1024)
            } else {
                format!("from here on the config is larger than {} KiB", TOTAL / 1024)
            };
            let hint = "shorten `defaults` and `variables`, or move scripts into files";
            reader.error_hint(key.at, &path, message, hint);
            return BTreeMap::new();
        }
        stacks.insert(key.text.clone(), stack);
        wanted.insert(key.text.clone(), needs);
    }
    needs::check(reader, &wanted);
    stacks
}

fn name(reader: &mut Reader, key: &Key, path: &str, status: &StatusConfig) {
    let start = key.text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.-".contains(c);
    if !start || !key.text.chars().all(fits) || key.text.len() > STACK_NAME {
        let hint = format!("1 to {STACK_NAME} of a-z 0-9 _ . - with a letter or digit in front");
        reader.error_hint(key.at, path, "not a stack's name", hint);
    }
    let full = format!("{}/{}", status.prefix, key.text);
    if full.chars().count() > STATUS_NAME {
        let message = format!("its status name would have more than {STATUS_NAME} characters");
        reader.error_hint(key.at, path, message, "shorten `status.prefix`");
    }
    if status.aggregate.as_deref() == Some(full.as_str()) {
        let message =
            format!("its status name is also that of `status.aggregate`: {}", quoted(&full));
        reader.error_hint(key.at, path, message, "change one of them");
    }
}
