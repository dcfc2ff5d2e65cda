//! Typed reading of single values, each with its place, path and words for what is wrong.
//!
//! Used by the modules that know what a value means. It never stops at the first error: a value
//! that cannot be used becomes a finding and `None`.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::finding::{Finding, Severity};
use super::glob::{self, Globs, Kind};
use super::words::{self, Words};
use super::yaml::{Key, Node, Place, Value};

/// Globs of all lists together, so that one file cannot keep a planner busy.
pub(super) const GLOBS: usize = 4_000;
/// Longest time that a stack or step may ask for.
const LONGEST: Duration = Duration::from_hours(24);
/// Findings that people are shown of one file.
const FINDINGS: usize = 100;
/// Errors and warnings that are collected to choose those from; a hostile file could have 100,000.
const COLLECTED: usize = 1_000;

/// Collects findings.
#[derive(Default)]
pub(super) struct Reader {
    findings: Vec<Finding>,
    errors: usize,
    globs: usize,
}

impl Reader {
    pub(super) fn error(&mut self, at: Place, path: &str, message: impl Into<String>) {
        self.note(Severity::Error, at, path, message.into(), None);
    }

    pub(super) fn error_hint(
        &mut self,
        at: Place,
        path: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.note(Severity::Error, at, path, message.into(), Some(hint.into()));
    }

    pub(super) fn warning(
        &mut self,
        at: Place,
        path: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.note(Severity::Warning, at, path, message.into(), Some(hint.into()));
    }

    fn note(
        &mut self,
        severity: Severity,
        at: Place,
        path: &str,
        message: String,
        hint: Option<String>,
    ) {
        let warnings = self.findings.len() - self.errors;
        match severity {
            Severity::Error if self.full() => return,
            Severity::Error => self.errors += 1,
            Severity::Warning if warnings >= COLLECTED => return,
            Severity::Warning => {}
        }
        let Place { line, column } = at;
        self.findings.push(Finding {
            severity,
            line,
            column,
            path: path.to_owned(),
            message,
            hint,
        });
    }

    /// Further errors are not taken, so nothing needs to be worked out for them.
    fn full(&self) -> bool {
        self.errors >= COLLECTED
    }

    /// All findings by place, the first hundred of them; the same words for the same place once.
    pub(super) fn finish(self) -> Vec<Finding> {
        let mut findings = self.findings;
        findings.sort_by_key(|finding| (finding.line, finding.column, finding.severity));
        findings.dedup();
        if findings.len() > FINDINGS {
            findings.sort_by_key(|finding| finding.severity);
            findings.truncate(FINDINGS);
            findings.sort_by_key(|finding| (finding.line, finding.column));
        }
        findings
    }

    /// "expected …, found …" with advice where one slip is likely.
    pub(super) fn mismatch(&mut self, node: &Node, path: &str, expected: &str) {
        let message = format!("expected {expected}, found {}", node.kind());
        match (&node.value, expected) {
            (Value::Number(_) | Value::Bool(_), e) if e.starts_with("a text") => {
                self.error_hint(node.at, path, message, "put it in quotes");
            }
            (Value::Text(_), e) if e.starts_with("a list") => {
                self.error_hint(node.at, path, message, "put it in [ ]");
            }
            _ => self.error(node.at, path, message),
        }
    }

    /// The entries of a map whose keys stand in `words`; all others become findings. A key that
    /// stands twice counts once, with its first value.
    pub(super) fn map<'n>(
        &mut self,
        node: &'n Node,
        path: &str,
        words: &Words,
    ) -> Option<Vec<(&'n Key, &'n Node)>> {
        let entries = self.entries(node, path)?;
        let mut usable = Vec::new();
        for (key, value) in entries {
            let word = key.text.as_str();
            if words.known.contains(&word) {
                usable.push((key, value));
            } else if words.later.contains(&word) {
                let message = format!("the key {} is not available yet", quoted(word));
                self.error_hint(key.at, path, message, "leave it out");
            } else if path.is_empty() && word.starts_with("x-") {
                // A place for anchors.
            } else if !self.full() {
                let message = format!("unknown key {}", quoted(word));
                let all = words.known.iter().chain(words.later).copied();
                let hint = match words::nearest(word, all) {
                    Some(near) => format!("did you mean {}?", quoted(near)),
                    None => format!("known here: {}", words.known.join(", ")),
                };
                self.error_hint(key.at, path, message, hint);
            }
        }
        Some(usable)
    }

    /// The entries of a map with any keys.
    pub(super) fn entries<'n>(
        &mut self,
        node: &'n Node,
        path: &str,
    ) -> Option<Vec<(&'n Key, &'n Node)>> {
        let Value::Map(entries) = &node.value else {
            self.mismatch(node, path, "a map");
            return None;
        };
        let mut first = HashMap::new();
        let mut once = Vec::new();
        for (key, value) in entries {
            if key.integer {
                let message = format!("the key {} is a number", clean(&key.text));
                self.error_hint(key.at, path, message, "put it in quotes");
            }
            if let Some(line) = first.get(key.text.as_str()) {
                let message =
                    format!("{} stands here twice, first in line {line}", quoted(&key.text));
                self.error_hint(key.at, path, message, "keep one of them");
            } else {
                first.insert(key.text.as_str(), key.at.line);
                once.push((key, value));
            }
        }
        Some(once)
    }

    /// A text that is not empty and has no control characters but, if `lines`, line breaks.
    pub(super) fn text(&mut self, node: &Node, path: &str, lines: bool) -> Option<String> {
        let Value::Text(text) = &node.value else {
            self.mismatch(node, path, "a text");
            return None;
        };
        let odd = |c: char| c.is_control() && !(lines && matches!(c, '\n' | '\t' | '\r'));
        if text.trim().is_empty() {
            self.error(node.at, path, "expected a text, found an empty one");
            None
        } else if text.chars().any(odd) {
            self.error(node.at, path, "contains control characters");
            None
        } else {
            Some(text.clone())
        }
    }

    pub(super) fn truth(&mut self, node: &Node, path: &str) -> Option<bool> {
        if let Value::Bool(truth) = node.value {
            Some(truth)
        } else {
            self.mismatch(node, path, "true or false");
            None
        }
    }

    /// `90s`, `20m`, `1h30m`: hours, minutes, seconds, each at most once and in this order.
    pub(super) fn duration(&mut self, node: &Node, path: &str) -> Option<Duration> {
        let Value::Text(text) = &node.value else {
            self.mismatch(node, path, "a duration such as 90s, 20m or 1h30m");
            return None;
        };
        match seconds(text).map(Duration::from_secs) {
            None => {
                let message = format!("{} is no duration", quoted(text));
                self.error_hint(node.at, path, message, "write 90s, 20m or 1h30m");
                None
            }
            Some(Duration::ZERO) => {
                self.error(node.at, path, "a duration of zero leaves no time at all");
                None
            }
            Some(long) if long > LONGEST => {
                self.error(node.at, path, "longer than the maximum of 24h");
                None
            }
            some => some,
        }
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        node: &Node,
        path: &str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let known = || choices.iter().map(|(word, _)| *word);
        let list = known().collect::<Vec<_>>().join(", ");
        let Value::Text(text) = &node.value else {
            self.mismatch(node, path, &format!("one of {list}"));
            return None;
        };
        let found = choices.iter().find(|(word, _)| word == text);
        if found.is_none() {
            let hint = match words::nearest(text, known()) {
                Some(near) => format!("did you mean {}?", quoted(near)),
                None => format!("known here: {list}"),
            };
            self.error_hint(node.at, path, format!("unknown word {}", quoted(text)), hint);
        }
        found.map(|(_, value)| *value)
    }

    /// The items of a list, each with its path.
    pub(super) fn list<'n>(
        &mut self,
        node: &'n Node,
        path: &str,
        what: &str,
    ) -> Option<Vec<(String, &'n Node)>> {
        let Value::List(items) = &node.value else {
            self.mismatch(node, path, &format!("a list of {what}"));
            return None;
        };
        Some(items.iter().enumerate().map(|(n, item)| (format!("{path}[{n}]"), item)).collect())
    }

    /// A list of globs, each checked, as they are written.
    pub(super) fn globs(&mut self, node: &Node, path: &str) -> Option<Vec<String>> {
        let mut globs = Vec::new();
        for (path, item) in self.list(node, path, "globs")? {
            let Some(text) = self.text(item, &path, false) else { continue };
            self.globs += 1;
            if self.globs == GLOBS + 1 {
                self.error(item.at, &path, format!("more than {GLOBS} globs in one file"));
            }
            if self.globs > GLOBS {
                return None;
            }
            if let Err(reason) = glob::check(&text) {
                self.error(item.at, &path, format!("{} is no glob: {reason}", quoted(&text)));
            } else if globs.is_empty() && text.starts_with('!') {
                let message = "the list starts by taking away, so it matches nothing";
                self.error_hint(item.at, &path, message, "put \"**\" before it");
            } else {
                globs.push(text);
            }
        }
        if let Err(reason) = Globs::new(&globs, Kind::Path) {
            self.error(node.at, path, format!("the list cannot be used: {reason}"));
        }
        Some(globs)
    }

    /// Environment variables. Numbers and truth values count as the text they are written as.
    pub(super) fn variables(&mut self, node: &Node, path: &str) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        for (key, value) in self.entries(node, path).unwrap_or_default() {
            let path = format!("{path}.{}", clean(&key.text));
            let mut letters = key.text.bytes();
            let starts = letters.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
            if !starts || !letters.all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                let hint = "letters, digits and _ only, no digit in front";
                self.error_hint(key.at, &path, "not a variable's name", hint);
            }
            let text = match &value.value {
                Value::Text(text) | Value::Number(text) => text.clone(),
                Value::Bool(truth) => truth.to_string(),
                Value::Null => {
                    let message = "expected a text, found nothing";
                    self.error_hint(value.at, &path, message, "write \"\" for an empty value");
                    continue;
                }
                Value::List(_) | Value::Map(_) => {
                    self.mismatch(value, &path, "a text");
                    continue;
                }
            };
            if text.contains('\0') {
                self.error(value.at, &path, "contains a NUL character");
            }
            variables.insert(key.text.clone(), text);
        }
        variables
    }
}

/// A word of the file inside a message: bounded, in one line, in quotes.
pub(super) fn quoted(word: &str) -> String {
    format!("\"{}\"", clean(word))
}

/// A word of the file inside a path: bounded and in one line.
pub(super) fn clean(word: &str) -> String {
    let mut text: String = word.chars().filter(|c| !c.is_control()).take(80).collect();
    if word.chars().nth(80).is_some() {
        text.push('…');
    }
    text
}

fn seconds(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total: u64 = 0;
    for (unit, length) in [('h', 3600), ('m', 60), ('s', 1)] {
        if let Some((number, after)) = rest.split_once(unit) {
            if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(length)?)?;
            rest = after;
        }
    }
    (rest.is_empty() && !text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn durations_are_hours_minutes_seconds_in_order() {
        let read = ["90s", "20m", "1h30m", "2h5s", "0s"].map(seconds);
        assert_eq!(read, [Some(90), Some(1200), Some(5400), Some(7205), Some(0)]);
        let refused =
            ["", "20", "m", "30m1h", "1h1h", "1.5h", "-1s", "1 h", "99999999999999999999s"];
        assert_eq!(refused.map(seconds), [None; 9]);
    }
}
