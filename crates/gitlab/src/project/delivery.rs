//! The project's webhooks as GitLab keeps them. Needs the maintainer role
//! (`lib/api/project_hooks.rb`).

use jiff::Timestamp;
use serde::Deserialize;

use crate::client::Call;
use crate::error::Error;
use crate::project::Project;
use crate::tolerant::{non_empty, or_default, parsed};

/// One webhook of the project. Its tokens are never shown by GitLab, only that there are some.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Webhook {
    pub id: u64,
    #[serde(default, deserialize_with = "or_default")]
    pub url: String,
    #[serde(default, deserialize_with = "or_default")]
    pub push_events: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub tag_push_events: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub merge_requests_events: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub note_events: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub pipeline_events: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub enable_ssl_verification: bool,
    /// `executable`, `temporarily_disabled` or `disabled`.
    #[serde(default, deserialize_with = "non_empty")]
    pub alert_status: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    pub disabled_until: Option<Timestamp>,
    /// `None`: a GitLab before 19.0 does not tell.
    #[serde(default)]
    pub token_present: Option<bool>,
    /// `None`: a GitLab before 19.0 does not tell and cannot sign.
    #[serde(default)]
    pub signing_token_present: Option<bool>,
}

/// The project's webhooks.
#[derive(Debug, Clone, Copy)]
pub struct Webhooks<'a> {
    project: Project<'a>,
}

impl<'a> Project<'a> {
    /// The project's webhooks.
    pub fn hooks(&self) -> Webhooks<'a> {
        Webhooks { project: *self }
    }
}

impl Webhooks<'_> {
    /// `GET /projects/:id/hooks`, all pages.
    pub async fn list(&self) -> Result<Vec<Webhook>, Error> {
        self.project.gitlab.list(Call::get("/projects/:id/hooks", &[&self.project.id])).await
    }
}
