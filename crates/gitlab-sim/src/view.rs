//! What a person would see. Plain data for assertions, and a short text without ids or times.
//! Reads only.

mod build;

use std::fmt;

pub(crate) use build::{environments, merge_request, pipeline};

use crate::ids::{NoteId, PipelineId};
use crate::state::JobState;

/// A pipeline with the jobs and statuses that it shows.
///
/// As text: `main A: running (external)` and one line per job,
/// `  aldis/unit: running "1 of 2"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineView {
    /// Its number.
    pub id: PipelineId,
    /// Branch, tag or merge request ref.
    pub git_ref: String,
    /// Full sha.
    pub sha: String,
    /// Composite of its jobs.
    pub status: JobState,
    /// `push`, `merge_request_event` or `external`.
    pub source: String,
    /// By name.
    pub jobs: Vec<JobView>,
    /// Older rows that are hidden behind newer ones of the same name.
    pub retried: usize,
    text: String,
}

/// One line of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobView {
    /// Name.
    pub name: String,
    /// State.
    pub state: JobState,
    /// Text beside it.
    pub description: Option<String>,
    /// Where a click leads. Not part of the text form.
    pub target_url: Option<String>,
}

/// A merge request's page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeRequestView {
    /// Title.
    pub title: String,
    /// `opened`, `closed` or `merged`.
    pub state: &'static str,
    /// Full sha of the head.
    pub head: String,
    /// The pipeline that the page shows, if the head has one.
    pub pipeline: Option<PipelineView>,
    /// Comments, oldest first, without GitLab's own.
    pub notes: Vec<NoteView>,
    text: String,
}

/// One comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteView {
    /// Its number.
    pub id: NoteId,
    /// User name.
    pub author: String,
    /// Markdown.
    pub body: String,
    /// How often it was changed.
    pub edits: u32,
}

/// A project's Environments page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentsView {
    /// In order of creation.
    pub environments: Vec<EnvironmentView>,
    text: String,
}

/// One environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentView {
    /// Name.
    pub name: String,
    /// True when stopped.
    pub stopped: bool,
    /// `production`, `staging`, …
    pub tier: String,
    /// Where the deployed thing is.
    pub external_url: Option<String>,
    /// Oldest first.
    pub deployments: Vec<DeploymentView>,
}

/// One deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentView {
    /// `running`, `success`, `failed` or `canceled`.
    pub status: String,
    /// Full sha.
    pub sha: String,
    /// Branch or tag.
    pub git_ref: String,
    /// True for a tag.
    pub tag: bool,
}

impl fmt::Display for PipelineView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for MergeRequestView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for EnvironmentsView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
