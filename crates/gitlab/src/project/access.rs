//! The project itself and who may do what in it.

use serde::Deserialize;

use crate::client::Call;
use crate::error::Error;
use crate::project::{Project, found};
use crate::tolerant::{non_empty, or_default};

/// `GET /projects/:id`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ProjectInfo {
    pub id: u64,
    pub path_with_namespace: String,
    /// `None`: the repository is empty.
    #[serde(default, deserialize_with = "non_empty")]
    pub default_branch: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub web_url: String,
    /// `None`: `.gitlab-ci.yml`.
    #[serde(default, deserialize_with = "non_empty")]
    pub ci_config_path: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub archived: bool,
}

/// Membership, inherited and invited groups included.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Member {
    pub id: u64,
    #[serde(default, deserialize_with = "or_default")]
    pub username: String,
    /// 10 guest, 20 reporter, 30 developer, 40 maintainer, 50 owner.
    pub access_level: u32,
}

impl Project<'_> {
    /// `GET /projects/:id`.
    pub async fn get(&self) -> Result<ProjectInfo, Error> {
        self.gitlab.json(Call::get("/projects/:id", &[&self.id])).await
    }

    /// `GET /projects/:id/members/all/:user_id`; `None`: no member.
    pub async fn member(&self, user: u64) -> Result<Option<Member>, Error> {
        let call = Call::get("/projects/:id/members/all/:user_id", &[&self.id, &user]);
        found(self.gitlab.json(call).await)
    }
}
