//! Commit statuses (`lib/api/commit_statuses.rb`).

use serde::{Deserialize, Serialize};

use crate::client::Call;
use crate::error::Error;
use crate::limit::Class;
use crate::project::Project;
use crate::tolerant::{Person, non_empty, or_default};

/// The states a status can be posted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusState {
    Pending,
    Running,
    Success,
    Failed,
    Canceled,
    Skipped,
}

impl StatusState {
    /// GitLab's word, as in [`CommitStatus::status`].
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Skipped => "skipped",
        }
    }
}

/// A status to post. `None` is not sent; GitLab then keeps what an unfinished status has.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StatusPost<'a> {
    pub state: StatusState,
    pub name: &'a str,
    /// The pipeline's own ref: a branch, a tag or `refs/merge-requests/N/head`. At most 255
    /// characters.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub ref_: Option<&'a str>,
    /// Must be http or https, at most 255 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_url: Option<&'a str>,
    /// At most 255 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline_id: Option<u64>,
    /// Percent, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<f64>,
}

/// A status as GitLab keeps it: one row, one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CommitStatus {
    pub id: u64,
    #[serde(default, deserialize_with = "or_default")]
    pub sha: String,
    #[serde(default, rename = "ref", deserialize_with = "non_empty")]
    pub ref_: Option<String>,
    /// GitLab's word; see [`StatusState::as_str`].
    pub status: String,
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    #[serde(default)]
    pub pipeline_id: Option<u64>,
    #[serde(default, deserialize_with = "non_empty")]
    pub description: Option<String>,
    #[serde(default, deserialize_with = "non_empty")]
    pub target_url: Option<String>,
    #[serde(default)]
    pub author: Option<Person>,
}

/// Filters of a list of statuses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusQuery<'a> {
    /// Also the rows that a later attempt replaced.
    pub all: bool,
    pub pipeline_id: Option<u64>,
    pub ref_: Option<&'a str>,
    pub name: Option<&'a str>,
}

/// The statuses of one commit.
#[derive(Debug, Clone, Copy)]
pub struct Statuses<'a> {
    project: Project<'a>,
    sha: &'a str,
}

impl<'a> Project<'a> {
    /// The statuses of one commit. `sha` must be whole: a short one lists nothing.
    pub fn statuses(&self, sha: &'a str) -> Statuses<'a> {
        Statuses { project: *self, sha }
    }
}

impl Statuses<'_> {
    /// `POST /projects/:id/statuses/:sha`. Updates the unfinished row of the same pipeline, name,
    /// ref and bot user, else makes a new one; posting a finished state twice makes two rows.
    pub async fn create(&self, post: &StatusPost<'_>) -> Result<CommitStatus, Error> {
        let args: [&(dyn ToString + Sync); 2] = [&self.project.id, &self.sha];
        let call = Call::post("/projects/:id/statuses/:sha", &args);
        self.project.gitlab.json(call.class(Class::Statuses).body(post)).await
    }

    /// `GET /projects/:id/repository/commits/:sha/statuses`, all pages.
    pub async fn list(&self, query: &StatusQuery<'_>) -> Result<Vec<CommitStatus>, Error> {
        let args: [&(dyn ToString + Sync); 2] = [&self.project.id, &self.sha];
        let call = Call::get("/projects/:id/repository/commits/:sha/statuses", &args)
            .class(Class::Statuses)
            .query("all", query.all.then_some(true))
            .query("pipeline_id", query.pipeline_id)
            .query("ref", query.ref_)
            .query("name", query.name);
        self.project.gitlab.list(call).await
    }
}
