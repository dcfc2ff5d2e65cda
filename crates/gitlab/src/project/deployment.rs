//! Deployments (`lib/api/deployments.rb`).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::Call;
use crate::error::Error;
use crate::limit::Class;
use crate::project::Project;
use crate::project::environment::Environment;
use crate::tolerant::{Person, or_default, parsed};

/// The states a deployment can be posted with; the API takes no `created`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentStatus {
    Running,
    Success,
    Failed,
    Canceled,
}

impl DeploymentStatus {
    /// GitLab's word, as in [`Deployment::status`].
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }
}

/// A deployment to make. An environment that does not exist is made, without URL and tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeploymentPost<'a> {
    /// The environment's name.
    pub environment: &'a str,
    pub sha: &'a str,
    /// The branch or tag, without `refs/`.
    #[serde(rename = "ref")]
    pub ref_: &'a str,
    /// Whether `ref_` is a tag.
    pub tag: bool,
    pub status: DeploymentStatus,
}

/// A deployment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Deployment {
    pub id: u64,
    /// GitLab's word; see [`DeploymentStatus::as_str`].
    pub status: String,
    #[serde(default, deserialize_with = "or_default")]
    pub sha: String,
    #[serde(default, rename = "ref", deserialize_with = "or_default")]
    pub ref_: String,
    #[serde(default, deserialize_with = "parsed")]
    pub created_at: Option<Timestamp>,
    #[serde(default)]
    pub user: Option<Person>,
    #[serde(default)]
    pub environment: Option<Environment>,
}

/// The project's deployments.
#[derive(Debug, Clone, Copy)]
pub struct Deployments<'a> {
    project: Project<'a>,
}

impl<'a> Project<'a> {
    /// The project's deployments.
    pub fn deployments(&self) -> Deployments<'a> {
        Deployments { project: *self }
    }
}

impl Deployments<'_> {
    /// `POST /projects/:id/deployments`. A second `running` makes a second deployment; a second
    /// `success` of the same ref, tag and sha answers with the first one
    /// (`app/services/deployments/create_service.rb`).
    pub async fn create(&self, post: &DeploymentPost<'_>) -> Result<Deployment, Error> {
        let call = Call::post("/projects/:id/deployments", &[&self.project.id]);
        self.project.gitlab.json(call.class(Class::Deployments).body(post)).await
    }

    /// `PUT /projects/:id/deployments/:deployment_id`. The state it already has is
    /// [`Error::CannotTransition`].
    pub async fn update(&self, id: u64, status: DeploymentStatus) -> Result<Deployment, Error> {
        let path = "/projects/:id/deployments/:deployment_id";
        let call = Call::put(path, &[&self.project.id, &id]).class(Class::Deployments);
        self.project.gitlab.json(call.body(&json!({ "status": status }))).await
    }

    /// `GET /projects/:id/deployments`, newest first, at most `pages` pages of 100. `environment`
    /// is a name.
    pub async fn list(
        &self,
        environment: Option<&str>,
        pages: u32,
    ) -> Result<Vec<Deployment>, Error> {
        let call = Call::get("/projects/:id/deployments", &[&self.project.id])
            .class(Class::Deployments)
            .query("order_by", Some("id"))
            .query("sort", Some("desc"))
            .query("environment", environment);
        self.project.gitlab.list_start(call, pages).await
    }
}
