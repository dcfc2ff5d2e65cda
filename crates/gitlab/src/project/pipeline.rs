//! Pipelines (`lib/api/ci/pipelines.rb`).

use serde::Deserialize;

use crate::client::Call;
use crate::error::Error;
use crate::project::Project;
use crate::tolerant::{non_empty, or_default};

/// A pipeline as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Pipeline {
    pub id: u64,
    pub sha: String,
    /// `refs/merge-requests/N/head` for a merge-request pipeline.
    #[serde(default, rename = "ref", deserialize_with = "or_default")]
    pub ref_: String,
    #[serde(default, deserialize_with = "or_default")]
    pub status: String,
    /// `push`, `merge_request_event`, `external` (made by posted statuses) …
    #[serde(default, deserialize_with = "non_empty")]
    pub source: Option<String>,
}

/// Filters of a list of pipelines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PipelineQuery<'a> {
    pub sha: Option<&'a str>,
    pub ref_: Option<&'a str>,
}

impl Project<'_> {
    /// `GET /projects/:id/pipelines`, all pages, newest first.
    pub async fn pipelines(&self, query: &PipelineQuery<'_>) -> Result<Vec<Pipeline>, Error> {
        let call = Call::get("/projects/:id/pipelines", &[&self.id])
            .query("sha", query.sha)
            .query("ref", query.ref_);
        self.gitlab.list(call).await
    }
}
