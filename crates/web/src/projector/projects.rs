//! What projects are called, for titles and links.

use aldis_domain::event::Event;
use aldis_domain::event::change::ProjectObserved;
use serde::{Deserialize, Serialize};

use super::fold::{Home, Listed, Projection, Seen};

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
    const HOME: Home = Home::Documents;
    type Body = Project;
    type Entry = ();

    fn key(seen: &Seen) -> Option<String> {
        match &seen.event {
            Event::ProjectObserved(observed) => Some(observed.project.to_string()),
            _ => None,
        }
    }

    /// A project's stream tells of more than its name.
    fn begins(_seen: &Seen) -> bool {
        false
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
