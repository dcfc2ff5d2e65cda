//! What we know of projects: a short memory before the API, and the log behind it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aldis_domain::event::Event;
use aldis_domain::event::change::ProjectObserved;
use aldis_domain::fold::Fold;
use aldis_domain::id::ProjectKey;
use aldis_domain::stream;
use aldis_store::{Meta, StoreError, transact};

use crate::{PlanError, Planner};

/// Path and default branch hardly ever change.
const REMEMBERED: Duration = Duration::from_mins(1);

/// Projects that were read a moment ago.
#[derive(Debug, Clone, Default)]
pub(crate) struct Projects(Arc<Mutex<HashMap<ProjectKey, (Instant, Project)>>>);

/// A project as GitLab describes it.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    pub(crate) key: ProjectKey,
    pub(crate) path: String,
    pub(crate) default_branch: Option<String>,
}

/// A project as the log knows it.
#[derive(Debug, Clone, Default)]
pub(crate) struct KnownProject(pub(crate) Option<ProjectObserved>);

impl Fold for KnownProject {
    fn apply(&mut self, event: &Event) {
        if let Event::ProjectObserved(observed) = event {
            self.0 = Some(observed.clone());
        }
    }
}

impl Planner {
    pub(crate) async fn project(&self, key: ProjectKey) -> Result<Project, PlanError> {
        if let Some(project) = self.projects.recent(key) {
            return Ok(project);
        }
        let info = self.gitlab.project(key.id).get().await?;
        let project =
            Project { key, path: info.path_with_namespace, default_branch: info.default_branch };
        self.projects.remember(&project);
        Ok(project)
    }

    pub(crate) async fn known_project(&self, key: ProjectKey) -> Result<KnownProject, StoreError> {
        self.store.fold(&stream::project(key)).await
    }

    /// Keeps in the log what the next delivery is admitted by. Appends only what is new.
    pub(crate) async fn observe(
        &self,
        project: &Project,
        configured: bool,
        aggregate: Option<String>,
    ) -> Result<(), StoreError> {
        let observed = ProjectObserved {
            project: project.key,
            path: project.path.clone(),
            default_branch: project.default_branch.clone(),
            configured,
            aggregate,
        };
        let name = stream::project(project.key);
        if self.known_project(project.key).await?.0.as_ref() == Some(&observed) {
            return Ok(());
        }
        transact!(self.store, Meta::from_source("planner"), unit => {
            let known: KnownProject = unit.fold(&name).await?;
            if known.0.as_ref() != Some(&observed) {
                unit.append(&name, observed.clone());
            }
            Ok::<_, StoreError>(())
        })
    }
}

impl Projects {
    fn recent(&self, key: ProjectKey) -> Option<Project> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, project) = known.get(&key)?;
        (at.elapsed() < REMEMBERED).then(|| project.clone())
    }

    fn remember(&self, project: &Project) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (at, _)| at.elapsed() < REMEMBERED);
        known.insert(project.key, (Instant::now(), project.clone()));
    }
}
