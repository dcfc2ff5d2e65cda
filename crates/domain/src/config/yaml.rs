//! The only place that knows the YAML library: text in, a tree of places and values out.
//!
//! Called by `read` alone. Limits hold here: depth, nodes and what aliases may grow to. Keys keep
//! their order and their duplicates, so that `reader` can name both places.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Error, Location, Spanned, Tagged};

/// Nesting of maps and lists; our own keys need eight.
const DEPTH: usize = 32;
/// Parser events of the text itself, and events that aliases add to them.
const EVENTS: usize = 100_000;
const REPLAYED: usize = 20_000;

/// Line and column in characters, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) line: u32,
    pub(super) column: u32,
}

impl Place {
    pub(super) const START: Self = Self { line: 1, column: 1 };
}

/// A value and where it is written; for an alias: where its anchor is.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) at: Place,
    pub(super) value: Value,
    /// Carried a YAML tag, which the file may not use.
    pub(super) tagged: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    /// `true` or `false`, nothing else.
    Bool(bool),
    /// As it is written: `1.10` stays `1.10`.
    Number(String),
    Text(String),
    List(Vec<Node>),
    /// In the file's order, duplicates included.
    Map(Vec<(Key, Node)>),
}

#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) at: Place,
    pub(super) text: String,
    /// Written without quotes, and YAML takes it for an integer. The library hides duplicates of
    /// such keys, so they are refused wherever any key is allowed.
    pub(super) integer: bool,
}

impl Node {
    /// What it is, for "found …".
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(true) => "true",
            Value::Bool(false) => "false",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// Why a text is no YAML that we read.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) at: Place,
    pub(super) message: String,
}

/// Reads one document.
pub(super) fn parse(text: &str) -> Result<Node, Trouble> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH,
            flow_nesting_limit: DEPTH,
            max_events: EVENTS,
            max_nodes: EVENTS,
            max_documents: 1,
            enforce_alias_anchor_ratio: false,
        },
        // The visitor below sees every duplicate; the other policies end or hide them.
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: REPLAYED,
        },
        strict_booleans: true,
        ignore_binary_tag_for_string: true,
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options::<Raw>(text, options) {
        Ok(raw) => Ok(raw.settle(text)),
        Err(error) => Err(trouble(&error)),
    }
}

fn trouble(error: &Error) -> Trouble {
    let error = error.without_snippet();
    let at = error.location().map_or(Place::START, place);
    let message = match error {
        Error::Budget { breach, .. } => match breach {
            BudgetBreach::Depth { .. } => format!("nested deeper than {DEPTH} levels"),
            BudgetBreach::Documents { .. } => "more than one YAML document".to_owned(),
            _ => format!("more than {EVENTS} YAML elements"),
        },
        Error::MultipleDocuments { .. } => "more than one YAML document".to_owned(),
        Error::UnknownAnchor { .. } => "an alias names no anchor above it".to_owned(),
        other => grown(&other.to_string()),
    };
    Trouble { at, message }
}

/// The library wraps what it says about aliases in text, so its text is all there is to go by.
fn grown(text: &str) -> String {
    if text.contains("alias replay limit") || text.contains("alias expansion limit") {
        format!("aliases repeat more than {REPLAYED} elements")
    } else if text.contains("recursive reference") {
        "an alias stands inside its own anchor".to_owned()
    } else if text.contains("recursion limit") {
        format!("nested deeper than {DEPTH} levels")
    } else {
        format!("not readable as YAML: {}", reason(text))
    }
}

/// The library's words without its own place, in one line of bounded length.
fn reason(text: &str) -> String {
    let text = text.lines().next().unwrap_or_default();
    let text = text.rsplit_once(" at line ").map_or(text, |(before, _)| before);
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn place(location: Location) -> Place {
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX).max(1);
    Place { line: number(location.line()), column: number(location.column()) }
}

/// A node as the library hands it over.
struct Raw(Spanned<Tagged<Content>>);

enum Content {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Raw>),
    Map(Vec<(Spanned<String>, Raw)>),
}

impl Raw {
    fn settle(self, text: &str) -> Node {
        let Spanned { value: Tagged(content, tag), defined, .. } = self.0;
        let value = match content {
            Content::Null => Value::Null,
            Content::Bool(truth) => Value::Bool(truth),
            Content::Number(number) => Value::Number(written(text, defined).unwrap_or(number)),
            Content::Text(text) => Value::Text(text),
            Content::List(items) => {
                Value::List(items.into_iter().map(|i| i.settle(text)).collect())
            }
            Content::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| {
                        let at = place(key.defined);
                        let plain = written(text, key.defined).is_some_and(|w| w == key.value);
                        let integer = plain && integer(&key.value);
                        (Key { at, text: key.value, integer }, value.settle(text))
                    })
                    .collect(),
            ),
        };
        Node { at: place(defined), value, tagged: tag.is_some() }
    }
}

/// Whether YAML may take a plain scalar for an integer; broader than its rule.
fn integer(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']);
    let (digits, hex) = match digits.get(..2) {
        Some("0x" | "0X" | "0o" | "0O" | "0b" | "0B") => (&digits[2..], true),
        _ => (digits, false),
    };
    let fits = |c: char| c == '_' || c.is_ascii_digit() || hex && c.is_ascii_hexdigit();
    !digits.is_empty() && digits.chars().all(fits)
}

/// A plain scalar's own characters.
fn written(text: &str, location: Location) -> Option<String> {
    let span = location.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let end = start.checked_add(usize::try_from(span.byte_len()?).ok()?)?;
    text.get(start..end).map(|t| t.trim().to_owned())
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Spanned::deserialize(from).map(Self)
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Content, E> {
        Ok(Content::Bool(truth))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Content, E> {
        Ok(Content::Number(number.to_string()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Content, E> {
        Ok(Content::Number(number.to_string()))
    }

    fn visit_i128<E: de::Error>(self, number: i128) -> Result<Content, E> {
        Ok(Content::Number(number.to_string()))
    }

    fn visit_u128<E: de::Error>(self, number: u128) -> Result<Content, E> {
        Ok(Content::Number(number.to_string()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Content, E> {
        Ok(Content::Number(number.to_string()))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Content, E> {
        Ok(Content::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Content, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = from.next_element()? {
            items.push(item);
        }
        Ok(Content::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Content, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = from.next_entry()? {
            entries.push(entry);
        }
        Ok(Content::Map(entries))
    }
}
