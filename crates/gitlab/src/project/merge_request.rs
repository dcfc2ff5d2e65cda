//! Merge requests (`lib/api/merge_requests.rb`, `lib/api/entities/merge_request.rb`).

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use crate::client::Call;
use crate::error::Error;
use crate::project::Project;
use crate::project::note::Notes;
use crate::project::pipeline::Pipeline;
use crate::tolerant::{Person, non_empty, or_default, parsed};

/// A merge request. Lists leave out `diff_refs`, `head_pipeline` and `changes_count`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct MergeRequest {
    pub iid: u64,
    /// `opened`, `closed`, `merged` or `locked`.
    pub state: String,
    #[serde(default, deserialize_with = "or_default")]
    pub title: String,
    /// The head commit; `None` for a moment after it was opened.
    #[serde(default, deserialize_with = "non_empty")]
    pub sha: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub draft: bool,
    pub source_branch: String,
    pub target_branch: String,
    /// `None`: the fork is gone.
    #[serde(default)]
    pub source_project_id: Option<u64>,
    pub target_project_id: u64,
    #[serde(default)]
    pub author: Option<Person>,
    #[serde(default, deserialize_with = "or_default")]
    pub labels: Vec<String>,
    #[serde(default)]
    pub diff_refs: Option<DiffRefs>,
    /// `None`: GitLab has not finished the diffs yet.
    #[serde(default, deserialize_with = "parsed")]
    pub prepared_at: Option<Timestamp>,
    /// A number as text, `1000+` when GitLab stopped counting.
    #[serde(default, deserialize_with = "text_or_number")]
    pub changes_count: Option<String>,
    #[serde(default)]
    pub head_pipeline: Option<HeadPipeline>,
    #[serde(default, deserialize_with = "or_default")]
    pub web_url: String,
    #[serde(default, deserialize_with = "non_empty")]
    pub merge_commit_sha: Option<String>,
    #[serde(default, deserialize_with = "non_empty")]
    pub squash_commit_sha: Option<String>,
}

/// The commits a diff of the merge request is made of; each is `None` until it is prepared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct DiffRefs {
    #[serde(default, rename = "base_sha", deserialize_with = "non_empty")]
    pub base: Option<String>,
    #[serde(default, rename = "head_sha", deserialize_with = "non_empty")]
    pub head: Option<String>,
    #[serde(default, rename = "start_sha", deserialize_with = "non_empty")]
    pub start: Option<String>,
}

/// The pipeline the merge request's widget shows and merging waits for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HeadPipeline {
    pub id: u64,
    #[serde(default, deserialize_with = "or_default")]
    pub sha: String,
    #[serde(default, rename = "ref", deserialize_with = "or_default")]
    pub ref_: String,
}

/// One changed file. The text of the change is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FileChange {
    pub old_path: String,
    pub new_path: String,
    #[serde(default, deserialize_with = "or_default")]
    pub new_file: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub deleted_file: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub renamed_file: bool,
}

/// The states a list can be narrowed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeRequestState {
    Opened,
    Closed,
    Merged,
    Locked,
}

impl MergeRequestState {
    /// GitLab's word, as in [`MergeRequest::state`].
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Closed => "closed",
            Self::Merged => "merged",
            Self::Locked => "locked",
        }
    }
}

/// Filters of a list of merge requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MergeRequestQuery<'a> {
    pub source_branch: Option<&'a str>,
    pub state: Option<MergeRequestState>,
    pub source_project: Option<u64>,
}

/// The calls about one merge request.
#[derive(Debug, Clone, Copy)]
pub struct MergeRequestHandle<'a> {
    project: Project<'a>,
    iid: u64,
}

impl<'a> Project<'a> {
    /// The calls about one merge request into this project.
    pub fn merge_request(&self, iid: u64) -> MergeRequestHandle<'a> {
        MergeRequestHandle { project: *self, iid }
    }

    /// `GET /projects/:id/merge_requests`, all pages: those into this project.
    pub async fn merge_requests(
        &self,
        query: &MergeRequestQuery<'_>,
    ) -> Result<Vec<MergeRequest>, Error> {
        let call = Call::get("/projects/:id/merge_requests", &[&self.id])
            .query("order_by", Some("created_at"))
            .query("sort", Some("asc"))
            .query("source_branch", query.source_branch)
            .query("state", query.state.map(MergeRequestState::as_str))
            .query("source_project_id", query.source_project);
        let mut found: Vec<MergeRequest> = self.gitlab.list(call).await?;
        // GitLab drops parameters it does not know without a word.
        found.retain(|mr| {
            query.source_project.is_none_or(|wanted| mr.source_project_id == Some(wanted))
        });
        Ok(found)
    }
}

impl<'a> MergeRequestHandle<'a> {
    /// `GET /projects/:id/merge_requests/:iid`.
    pub async fn get(&self) -> Result<MergeRequest, Error> {
        let call = Call::get("/projects/:id/merge_requests/:iid", &[&self.project.id, &self.iid]);
        self.project.gitlab.json(call).await
    }

    /// `GET /projects/:id/merge_requests/:iid/diffs`, all pages: the changed files.
    pub async fn diffs(&self) -> Result<Vec<FileChange>, Error> {
        let path = "/projects/:id/merge_requests/:iid/diffs";
        self.project.gitlab.list(Call::get(path, &[&self.project.id, &self.iid])).await
    }

    /// `GET /projects/:id/merge_requests/:iid/pipelines`, all pages: merge-request pipelines
    /// first, then by falling id (`app/finders/ci/pipelines_for_merge_request_finder.rb`).
    pub async fn pipelines(&self) -> Result<Vec<Pipeline>, Error> {
        let path = "/projects/:id/merge_requests/:iid/pipelines";
        self.project.gitlab.list(Call::get(path, &[&self.project.id, &self.iid])).await
    }

    /// Its notes.
    pub fn notes(&self) -> Notes<'a> {
        Notes { project: self.project, iid: self.iid }
    }
}

fn text_or_number<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    Ok(match serde_json::Value::deserialize(input)? {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}
