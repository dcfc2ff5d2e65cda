//! The few fields of a payload that are read (`lib/gitlab/data_builder/*.rb`).
//!
//! Old and new GitLab send different sets: everything but ids, shas and refs may be missing.

use std::fmt;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::shape;
use crate::error::shorten;
use crate::tolerant::non_empty;

/// What a delivery is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    Push(Push),
    TagPush(Push),
    MergeRequest(MergeRequest),
    Note(Note),
    Pipeline(Pipeline),
    /// Valid JSON of an event that is not read.
    Other {
        /// The `X-Gitlab-Event` header.
        event: String,
        /// `object_kind`, or `event_name` where there is none.
        object_kind: Option<String>,
        project_id: Option<u64>,
    },
}

/// A branch or tag moved.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Push {
    pub project_id: u64,
    /// `None`: a deploy key pushed.
    #[serde(default)]
    pub user_id: Option<u64>,
    /// Full name: `refs/heads/…` or `refs/tags/…`.
    #[serde(rename = "ref")]
    pub ref_: String,
    /// All zeros: the ref is new.
    pub before: String,
    /// All zeros: the ref was deleted. For an annotated tag the tag object.
    pub after: String,
    /// The commit; `None`: the ref was deleted.
    #[serde(default, deserialize_with = "non_empty")]
    pub checkout_sha: Option<String>,
    /// As GitLab nests them: `{"ci":{"skip":true}}`.
    #[serde(default)]
    pub push_options: Value,
}

impl Push {
    /// Whether the push asks for no CI (`git push -o ci.skip`, `lib/gitlab/push_options.rb`).
    pub fn skips_ci(&self) -> bool {
        match &self.push_options["ci"]["skip"] {
            Value::Null | Value::Bool(false) => false,
            Value::String(text) => text != "false",
            _ => true,
        }
    }
}

/// A merge request was opened, changed, closed …
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeRequest {
    pub target_project_id: u64,
    /// `None`: the fork is gone.
    pub source_project_id: Option<u64>,
    pub iid: u64,
    /// `open`, `update`, `merge` …; `None` on test deliveries.
    pub action: Option<String>,
    /// The head before; set only if new commits came.
    pub oldrev: Option<String>,
    /// The head.
    pub last_commit: Option<String>,
    pub source_branch: String,
    pub target_branch: String,
    pub draft: bool,
    /// `opened`, `closed`, `merged` or `locked`.
    pub state: String,
    pub user_id: Option<u64>,
    pub changes: Changes,
}

/// What an update changed, as far as it is read. Often nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    /// Draft before and now.
    pub draft: Option<(bool, bool)>,
    pub target_branch: bool,
    pub labels: bool,
}

/// A comment was made or edited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub project_id: u64,
    pub id: u64,
    pub text: String,
    /// `MergeRequest`, `Issue`, `Commit` or `Snippet`.
    pub noteable_type: String,
    /// `create` or `update`; `None` before GitLab 16.11, which sent hooks for new notes only.
    pub action: Option<String>,
    pub system: bool,
    pub user_id: Option<u64>,
    /// The merge request it stands on.
    pub merge_request_iid: Option<u64>,
}

/// A pipeline appeared or moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pipeline {
    pub project_id: u64,
    pub id: u64,
    pub sha: String,
    /// The source branch even for a merge-request pipeline; the API shows another ref.
    pub ref_: String,
    pub status: String,
    /// `push`, `merge_request_event`, `external` (made by posted statuses) …
    pub source: String,
    pub merge_request_iid: Option<u64>,
}

/// A body that is not the JSON its event promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ParseError {
    /// Counted from 1; 0 if the place is unknown.
    pub line: usize,
    /// Counted from 1; 0 if the place is unknown.
    pub column: usize,
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, message } = self;
        write!(f, "line {line}, column {column} of the payload: {message}")
    }
}

impl From<serde_json::Error> for ParseError {
    fn from(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let message = text.strip_suffix(&format!(" at line {line} column {column}"));
        Self { line, column, message: shorten(message.unwrap_or(&text)) }
    }
}

/// Reads a body. `event_header` is `X-Gitlab-Event`; only `System Hook` leaves the kind to the
/// body. Events that are not read give [`Payload::Other`] whatever their JSON looks like.
pub fn parse(event_header: &str, body: &[u8]) -> Result<Payload, ParseError> {
    let body = text(body)?;
    let system;
    let kind = match event_header {
        "System Hook" => {
            system = outline(body);
            system.kind().unwrap_or_default()
        }
        "Push Hook" => "push",
        "Tag Push Hook" => "tag_push",
        "Merge Request Hook" => "merge_request",
        "Note Hook" | "Confidential Note Hook" => "note",
        "Pipeline Hook" => "pipeline",
        _ => "",
    };
    if !READ.contains(&kind) || !shape::is_shallow(body) {
        sound(body)?;
    }
    // Text that is no JSON is told before a field that is missing.
    read_kind(kind, event_header, body).map_err(|error| sound(body).err().unwrap_or(error))
}

fn read_kind(kind: &str, event_header: &str, body: &str) -> Result<Payload, ParseError> {
    Ok(match kind {
        "push" => Payload::Push(read(body)?),
        "tag_push" => Payload::TagPush(read(body)?),
        "merge_request" => Payload::MergeRequest(read::<shape::MergeRequestHook>(body)?.into()),
        "note" => Payload::Note(read::<shape::NoteHook>(body)?.into()),
        "pipeline" => Payload::Pipeline(read::<shape::PipelineHook>(body)?.into()),
        _ => {
            let outline = outline(body);
            Payload::Other {
                event: event_header.to_owned(),
                object_kind: outline.kind().map(str::to_owned),
                project_id: outline.project_id(),
            }
        }
    })
}

/// An odd shape is fine as long as nobody reads it.
fn outline(body: &str) -> shape::Outline {
    read(body).unwrap_or_default()
}

fn sound(body: &str) -> Result<(), ParseError> {
    serde_json::from_str::<shape::Sound>(body)?;
    Ok(())
}

/// Kinds of which fields are read.
const READ: [&str; 5] = ["push", "tag_push", "merge_request", "note", "pipeline"];

/// Looked through once here, the bytes of each string need not be again by every reader.
fn text(body: &[u8]) -> Result<&str, ParseError> {
    std::str::from_utf8(body).map_err(|error| {
        let before = &body[..error.valid_up_to()];
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        ParseError {
            line: before.split(|byte| *byte == b'\n').count(),
            column: 1 + before.len() - line_start,
            message: "this byte is not UTF-8".to_owned(),
        }
    })
}

/// Only objects: serde would take an array's items for fields in their order.
fn read<T: DeserializeOwned>(body: &str) -> Result<T, ParseError> {
    if !body.trim_ascii_start().starts_with('{') {
        let message = "a payload is a JSON object".to_owned();
        return Err(ParseError { line: 1, column: 1, message });
    }
    Ok(serde_json::from_str(body)?)
}
