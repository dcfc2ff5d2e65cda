//! What a runner is handed: the definition, the environment and the way to the commit.

use std::fmt;

use aldis_domain::event::Event;
use aldis_domain::event::change::{ProjectObserved, Trust};
use aldis_domain::run::Run;
use aldis_domain::stream;
use aldis_protocol::{Assignment, Source, Ticket};
use aldis_store::StoreError;
use secrecy::SecretString;

use crate::{Dispatch, lease};

/// How commits are fetched. The token is read-only where the operator gave one of its own
/// (`GIT_AUTH_TOKEN`), else the API's.
#[derive(Clone)]
pub struct GitAccess {
    /// GitLab's base URL, perhaps with a sub-path, no slash at its end.
    pub gitlab: String,
    pub user: String,
    pub token: SecretString,
    /// Whether that is all the token is for: then runners elsewhere may have it.
    pub only_reads: bool,
    pub ca_file: Option<String>,
    pub verify_tls: bool,
}

impl fmt::Debug for GitAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitAccess").field("gitlab", &self.gitlab).finish_non_exhaustive()
    }
}

impl GitAccess {
    /// Where the project at `path` is cloned from.
    pub(crate) fn source(&self, path: &str) -> Source {
        Source {
            url: format!("{}/{path}.git", self.gitlab),
            user: self.user.clone(),
            token: self.token.clone(),
            ca_file: self.ca_file.clone(),
            verify_tls: self.verify_tls,
        }
    }
}

impl Dispatch {
    /// `None`: the log does not say what to run or where it comes from.
    pub(crate) async fn assignment(
        &self,
        run: &Run,
        epoch: u64,
    ) -> Result<Option<Assignment>, StoreError> {
        let Some(request) = run.request.clone() else { return Ok(None) };
        let Some(project) = self.project(&stream::project(request.project)).await? else {
            return Ok(None);
        };
        let tracked = run.tracked();
        let mut env = vec![
            ("CI".to_owned(), "true".to_owned()),
            ("ALDIS".to_owned(), "true".to_owned()),
            ("ALDIS_COMMIT_SHA".to_owned(), request.sha.to_string()),
            ("ALDIS_PROJECT_PATH".to_owned(), project.path.clone()),
            ("ALDIS_RUN_URL".to_owned(), format!("{}/runs/{}", self.base_url, request.run)),
            ("ALDIS_STACK".to_owned(), request.stack.clone()),
        ];
        if let Some(deploys) = &request.deploys {
            env.push(("ALDIS_ENVIRONMENT".to_owned(), deploys.environment.name.clone()));
        }
        if let Some(iid) = request.audience.change.merge_request() {
            env.push(("ALDIS_MERGE_REQUEST".to_owned(), iid.to_string()));
        }
        Ok(Some(Assignment {
            ticket: Ticket { run: request.run, epoch },
            attempt: run.attempts,
            lease: lease(tracked),
            tracked,
            project: request.project,
            sha: request.sha,
            git_ref: request.git_ref,
            stack_name: request.stack,
            stack: request.definition,
            untrusted: request.trust != Trust::Member,
            source: self.git.source(&project.path),
            env,
        }))
    }

    pub(crate) async fn project(&self, name: &str) -> Result<Option<ProjectObserved>, StoreError> {
        let envelopes = self.store.load(name).await?;
        let newest = envelopes.iter().rev().find_map(|envelope| match envelope.event() {
            Ok(Event::ProjectObserved(project)) => Some(project),
            _ => None,
        });
        Ok(newest)
    }
}
