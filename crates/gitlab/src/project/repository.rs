//! Commits, branches and files (`lib/api/{commits,branches,files,repositories}.rb`).

use bytes::Bytes;
use serde::Deserialize;

use crate::client::Call;
use crate::error::Error;
use crate::project::merge_request::{FileChange, MergeRequest};
use crate::project::{Project, found};
use crate::tolerant::or_default;

/// What changed from the merge base of two commits to the second.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Comparison {
    #[serde(default, deserialize_with = "or_default")]
    pub diffs: Vec<FileChange>,
    /// GitLab gave up: `diffs` is not the whole change.
    #[serde(default, deserialize_with = "or_default")]
    pub compare_timeout: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub compare_same_ref: bool,
}

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Commit {
    /// The whole sha.
    pub id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub title: String,
    #[serde(default, deserialize_with = "or_default")]
    pub message: String,
    #[serde(default, deserialize_with = "or_default")]
    pub parent_ids: Vec<String>,
}

/// A branch.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Branch {
    pub name: String,
    pub commit: Commit,
    #[serde(default, deserialize_with = "or_default")]
    pub protected: bool,
}

/// A branch or tag that contains a commit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CommitRef {
    /// `branch` or `tag`.
    #[serde(rename = "type")]
    pub kind: String,
    pub name: String,
}

impl Project<'_> {
    /// `GET /projects/:id/repository/compare`, from the merge base (`straight=false`).
    pub async fn compare(&self, from: &str, to: &str) -> Result<Comparison, Error> {
        let call = Call::get("/projects/:id/repository/compare", &[&self.id])
            .query("from", Some(from))
            .query("to", Some(to))
            .query("straight", Some(false));
        self.gitlab.json(call).await
    }

    /// `GET /projects/:id/repository/commits/:sha`; a branch or tag name does as well.
    pub async fn commit(&self, sha: &str) -> Result<Commit, Error> {
        let call = Call::get("/projects/:id/repository/commits/:sha", &[&self.id, &sha]);
        self.gitlab.json(call.query("stats", Some(false))).await
    }

    /// `GET /projects/:id/repository/commits/:sha/merge_requests`, all pages.
    pub async fn commit_merge_requests(&self, sha: &str) -> Result<Vec<MergeRequest>, Error> {
        let path = "/projects/:id/repository/commits/:sha/merge_requests";
        self.gitlab.list(Call::get(path, &[&self.id, &sha])).await
    }

    /// `GET /projects/:id/repository/commits/:sha/refs`, all pages: branches and tags that
    /// contain the commit.
    pub async fn commit_refs(&self, sha: &str) -> Result<Vec<CommitRef>, Error> {
        let path = "/projects/:id/repository/commits/:sha/refs";
        self.gitlab.list(Call::get(path, &[&self.id, &sha])).await
    }

    /// `GET /projects/:id/repository/files/:path/raw`: the file at `ref_` (a sha, branch or tag).
    /// `None`: no such file or ref. A file above `max_bytes` is [`Error::TooLong`] and not read
    /// to its end.
    pub async fn file(
        &self,
        path: &str,
        ref_: &str,
        max_bytes: usize,
    ) -> Result<Option<Bytes>, Error> {
        let call = Call::get("/projects/:id/repository/files/:path/raw", &[&self.id, &path])
            .query("ref", Some(ref_))
            .max_answer(max_bytes);
        found(self.gitlab.bytes(call).await)
    }

    /// `GET /projects/:id/repository/branches/:branch`; `None`: no such branch.
    pub async fn branch(&self, name: &str) -> Result<Option<Branch>, Error> {
        let call = Call::get("/projects/:id/repository/branches/:branch", &[&self.id, &name]);
        found(self.gitlab.json(call).await)
    }
}
