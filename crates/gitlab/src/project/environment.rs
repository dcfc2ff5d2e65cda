//! Environments (`lib/api/environments.rb`).

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::Call;
use crate::error::Error;
use crate::limit::Class;
use crate::project::Project;
use crate::tolerant::{non_empty, or_default};

/// What an environment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    Production,
    Staging,
    Testing,
    Development,
    Other,
}

impl Tier {
    /// GitLab's word, as in [`Environment::tier`].
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Staging => "staging",
            Self::Testing => "testing",
            Self::Development => "development",
            Self::Other => "other",
        }
    }
}

/// An environment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Environment {
    pub id: u64,
    pub name: String,
    /// `available`, `stopping` or `stopped`; empty where GitLab embeds it without.
    #[serde(default, deserialize_with = "or_default")]
    pub state: String,
    #[serde(default, deserialize_with = "non_empty")]
    pub tier: Option<String>,
    #[serde(default, deserialize_with = "non_empty")]
    pub external_url: Option<String>,
}

/// Changes to an environment; `None` keeps what is there. The name cannot be changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct EnvironmentUpdate<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
}

/// The project's environments.
#[derive(Debug, Clone, Copy)]
pub struct Environments<'a> {
    project: Project<'a>,
}

impl<'a> Project<'a> {
    /// The project's environments.
    pub fn environments(&self) -> Environments<'a> {
        Environments { project: *self }
    }
}

impl Environments<'_> {
    /// The environment of exactly this name, stopped ones included.
    pub async fn by_name(&self, name: &str) -> Result<Option<Environment>, Error> {
        let call = Call::get("/projects/:id/environments", &[&self.project.id])
            .class(Class::Deployments)
            .query("name", Some(name));
        self.project.gitlab.find(call, |found: &Environment| found.name == name).await
    }

    /// `POST /projects/:id/environments`. A name that is taken is [`Error::Invalid`] with the
    /// field `name`. Without a tier GitLab guesses one from the name.
    pub async fn create(
        &self,
        name: &str,
        external_url: Option<&str>,
        tier: Option<Tier>,
    ) -> Result<Environment, Error> {
        let mut body = json!({ "name": name });
        if let Some(url) = external_url {
            body["external_url"] = url.into();
        }
        if let Some(tier) = tier {
            body["tier"] = tier.as_str().into();
        }
        let call = Call::post("/projects/:id/environments", &[&self.project.id]);
        self.project.gitlab.json(call.class(Class::Deployments).body(&body)).await
    }

    /// `PUT /projects/:id/environments/:environment_id`.
    pub async fn update(
        &self,
        id: u64,
        change: &EnvironmentUpdate<'_>,
    ) -> Result<Environment, Error> {
        let path = "/projects/:id/environments/:environment_id";
        let call = Call::put(path, &[&self.project.id, &id]);
        self.project.gitlab.json(call.class(Class::Deployments).body(change)).await
    }

    /// `POST /projects/:id/environments/:environment_id/stop`. Stopping twice is fine.
    pub async fn stop(&self, id: u64) -> Result<(), Error> {
        let path = "/projects/:id/environments/:environment_id/stop";
        let call = Call::post(path, &[&self.project.id, &id]);
        self.project.gitlab.done(call.class(Class::Deployments)).await
    }
}
