//! The nesting of GitLab's payloads, flattened into what [`super::payload`] shows.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::payload::{Changes, MergeRequest, Note, Pipeline};
use crate::tolerant::{non_empty, or_default};

/// Levels that `serde_json` reads.
const DEEPEST: usize = 127;

/// Whether it cannot go beyond `serde_json`'s depth limit: it has too few brackets.
pub(super) fn is_shallow(body: &str) -> bool {
    // Sums of so few fit a byte, so that the processor adds many bytes at once.
    let sum = |few: &[u8]| few.iter().map(|byte| u8::from(matches!(byte, b'[' | b'{'))).sum::<u8>();
    body.as_bytes().chunks(usize::from(u8::MAX)).map(|few| usize::from(sum(few))).sum::<usize>()
        <= DEEPEST
}

/// Any JSON within `serde_json`'s depth limit. Fields nobody reads are skipped without that
/// limit, so this is asked first of what may be deep.
pub(super) struct Sound;

impl<'de> Deserialize<'de> for Sound {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Sound {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self, A::Error> {
        while entries.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}

/// What every payload may hold, of any type.
#[derive(Default, Deserialize)]
pub(super) struct Outline {
    #[serde(default)]
    object_kind: Value,
    #[serde(default)]
    event_name: Value,
    #[serde(default)]
    project_id: Value,
    #[serde(default)]
    project: Value,
}

impl Outline {
    pub(super) fn kind(&self) -> Option<&str> {
        self.object_kind.as_str().or_else(|| self.event_name.as_str())
    }

    pub(super) fn project_id(&self) -> Option<u64> {
        self.project_id.as_u64().or_else(|| self.project["id"].as_u64())
    }
}

#[derive(Default, Deserialize)]
struct Id {
    #[serde(default)]
    id: Option<u64>,
}

#[derive(Deserialize)]
struct Iid {
    #[serde(default)]
    iid: Option<u64>,
}

#[derive(Deserialize)]
struct ShaOnly {
    #[serde(default, deserialize_with = "non_empty")]
    id: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct MergeRequestHook {
    #[serde(default, deserialize_with = "or_default")]
    user: Id,
    object_attributes: MergeRequestAttributes,
    #[serde(default, deserialize_with = "or_default")]
    changes: ChangeSet,
}

#[derive(Deserialize)]
struct MergeRequestAttributes {
    iid: u64,
    target_project_id: u64,
    #[serde(default)]
    source_project_id: Option<u64>,
    source_branch: String,
    target_branch: String,
    #[serde(default, deserialize_with = "non_empty")]
    action: Option<String>,
    #[serde(default, deserialize_with = "non_empty")]
    oldrev: Option<String>,
    #[serde(default)]
    last_commit: Option<ShaOnly>,
    #[serde(default)]
    draft: Option<bool>,
    #[serde(default)]
    work_in_progress: Option<bool>,
    #[serde(default, deserialize_with = "or_default")]
    state: String,
}

#[derive(Default, Deserialize)]
struct ChangeSet {
    #[serde(default)]
    draft: Option<Change>,
    #[serde(default)]
    target_branch: Option<IgnoredAny>,
    #[serde(default)]
    labels: Option<IgnoredAny>,
}

#[derive(Clone, Copy, Deserialize)]
struct Change {
    #[serde(default, deserialize_with = "or_default")]
    previous: bool,
    #[serde(default, deserialize_with = "or_default")]
    current: bool,
}

impl From<MergeRequestHook> for MergeRequest {
    fn from(hook: MergeRequestHook) -> Self {
        let mr = hook.object_attributes;
        let draft = hook.changes.draft;
        let told = mr.draft.or(mr.work_in_progress).or(draft.map(|change| change.current));
        Self {
            target_project_id: mr.target_project_id,
            source_project_id: mr.source_project_id,
            iid: mr.iid,
            action: mr.action,
            oldrev: mr.oldrev,
            last_commit: mr.last_commit.and_then(|commit| commit.id),
            source_branch: mr.source_branch,
            target_branch: mr.target_branch,
            draft: told.unwrap_or_default(),
            state: mr.state,
            user_id: hook.user.id,
            changes: Changes {
                draft: draft.map(|change| (change.previous, change.current)),
                target_branch: hook.changes.target_branch.is_some(),
                labels: hook.changes.labels.is_some(),
            },
        }
    }
}

#[derive(Deserialize)]
pub(super) struct NoteHook {
    #[serde(default, deserialize_with = "or_default")]
    user: Id,
    project_id: u64,
    object_attributes: NoteAttributes,
    #[serde(default)]
    merge_request: Option<Iid>,
}

#[derive(Deserialize)]
struct NoteAttributes {
    id: u64,
    #[serde(default, deserialize_with = "or_default")]
    note: String,
    #[serde(default, deserialize_with = "or_default")]
    noteable_type: String,
    #[serde(default, deserialize_with = "non_empty")]
    action: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    system: bool,
    #[serde(default)]
    author_id: Option<u64>,
}

impl From<NoteHook> for Note {
    fn from(hook: NoteHook) -> Self {
        let note = hook.object_attributes;
        Self {
            project_id: hook.project_id,
            id: note.id,
            text: note.note,
            noteable_type: note.noteable_type,
            action: note.action,
            system: note.system,
            user_id: hook.user.id.or(note.author_id),
            merge_request_iid: hook.merge_request.and_then(|mr| mr.iid),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct PipelineHook {
    project: ProjectId,
    object_attributes: PipelineAttributes,
    #[serde(default)]
    merge_request: Option<Iid>,
}

#[derive(Deserialize)]
struct ProjectId {
    id: u64,
}

#[derive(Deserialize)]
struct PipelineAttributes {
    id: u64,
    sha: String,
    #[serde(default, rename = "ref", deserialize_with = "or_default")]
    ref_: String,
    #[serde(default, deserialize_with = "or_default")]
    status: String,
    #[serde(default, deserialize_with = "or_default")]
    source: String,
}

impl From<PipelineHook> for Pipeline {
    fn from(hook: PipelineHook) -> Self {
        let pipeline = hook.object_attributes;
        Self {
            project_id: hook.project.id,
            id: pipeline.id,
            sha: pipeline.sha,
            ref_: pipeline.ref_,
            status: pipeline.status,
            source: pipeline.source,
            merge_request_iid: hook.merge_request.and_then(|mr| mr.iid),
        }
    }
}
