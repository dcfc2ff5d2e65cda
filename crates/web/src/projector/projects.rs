//! What projects are called, for titles and links.

use aldis_domain::event::Event;
use aldis_domain::event::change::ProjectObserved;
use serde::{Deserialize, Serialize};

use super::fold::{Listed, Projection, Seen};

/// The projection.
pub(crate) struct Projects;

/// A project as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Project {
    /// `group/name`.
    pub(crate) path: String,
}

impl Projection for Projects {
    const NAME: &'static str = "projects";
    const VERSION: u32 = 1;
    const KINDS: &'static [&'static str] = &["project_observed"];
    const ONE_PER_STREAM: bool = false;
    type Body = Project;
    type Entry = ();

    fn key(seen: &Seen) -> Option<String> {
        match &seen.event {
            Event::ProjectObserved(observed) => Some(observed.project.to_string()),
            _ => None,
        }
    }

    fn apply(body: Option<Project>, _key: &str, seen: &Seen) -> Option<Project> {
        match &seen.event {
            Event::ProjectObserved(ProjectObserved { path, .. }) => {
                Some(Project { path: path.clone() })
            }
            _ => body,
        }
    }

    fn listed(_body: &Project) -> Option<Listed<()>> {
        None
    }
}
