//! Addresses: of our own pages, and of what they are about in GitLab.

use std::collections::BTreeMap;

use aldis_domain::id::{ChangeKey, ProjectKey, RunId, Sha};
use aldis_store::{Store, StoreError};
use serde::Serialize;

use crate::projector::projects::Projects;
use crate::projector::{deliveries, document};
use crate::words::short_ref;

/// Text that may lead somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Link {
    pub(crate) text: String,
    pub(crate) href: Option<String>,
}

impl Link {
    pub(crate) fn new(text: impl Into<String>, href: Option<String>) -> Self {
        Self { text: text.into(), href }
    }
}

/// The page of a run.
pub(crate) fn run(run: &RunId) -> String {
    format!("/runs/{run}")
}

/// The page of a delivery, by its id.
pub(crate) fn delivery(id: &str) -> String {
    format!("/deliveries/{}", segment(id))
}

/// The page of a delivery, by its stream.
pub(crate) fn delivery_of(stream: &str) -> Option<String> {
    stream.strip_prefix(deliveries::STREAM).map(delivery)
}

/// The page of a change.
pub(crate) fn change(key: &ChangeKey) -> String {
    format!("/changes/{}", segment(&key.to_string()))
}

/// `text` as one segment of a path.
pub(crate) fn segment(text: &str) -> String {
    encoded(text, |byte| matches!(byte, b'-' | b'_' | b'.' | b'~'))
}

fn path(text: &str) -> String {
    encoded(text, |byte| matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/'))
}

fn encoded(text: &str, kept: fn(u8) -> bool) -> String {
    let mut path = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || kept(byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

/// What projects are called and where they are.
#[derive(Debug, Default)]
pub(crate) struct Names {
    paths: BTreeMap<ProjectKey, String>,
    instances: BTreeMap<u32, String>,
}

impl Names {
    /// The names of `projects`, as far as they are known.
    pub(crate) async fn of(
        store: &Store,
        projects: impl IntoIterator<Item = ProjectKey>,
    ) -> Result<Self, StoreError> {
        let mut names = Self::default();
        names.instances.extend(store.instances().await?);
        for project in projects {
            if names.paths.contains_key(&project) {
                continue;
            }
            let known = document::<Projects>(store, &project.to_string()).await?;
            names.paths.extend(known.map(|known| (project, known.path)));
        }
        Ok(names)
    }

    /// The project by its path, else by its number.
    pub(crate) fn project(&self, project: ProjectKey) -> Link {
        let text = self.paths.get(&project).cloned();
        Link::new(text.unwrap_or_else(|| format!("project {}", project.id)), self.url(project))
    }

    /// What people call the change within its project.
    pub(crate) fn change(key: &ChangeKey) -> String {
        match key {
            ChangeKey::MergeRequest { iid, .. } => format!("!{iid}"),
            ChangeKey::Ref { name, .. } => short_ref(name).to_owned(),
        }
    }

    /// The change in GitLab.
    pub(crate) fn change_url(&self, key: &ChangeKey) -> Option<String> {
        let project = self.url(key.project())?;
        Some(match key {
            ChangeKey::MergeRequest { iid, .. } => format!("{project}/-/merge_requests/{iid}"),
            ChangeKey::Ref { name, .. } => format!("{project}/-/tree/{}", path(short_ref(name))),
        })
    }

    /// The commit in GitLab.
    pub(crate) fn commit(&self, project: ProjectKey, sha: &Sha) -> Link {
        let url = self.url(project).map(|project| format!("{project}/-/commit/{sha}"));
        Link::new(sha.short(), url)
    }

    fn url(&self, project: ProjectKey) -> Option<String> {
        let base = self.instances.get(&project.instance)?.trim_end_matches('/');
        let web = base.starts_with("https://") || base.starts_with("http://");
        let name = self.paths.get(&project).filter(|_| web)?;
        Some(format!("{base}/{}", path(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_one_segment() {
        let key: ChangeKey = "ref-1.42-refs/heads/a b/ü?#%".parse().unwrap();
        insta::assert_snapshot!(change(&key), @"/changes/ref-1.42-refs%2Fheads%2Fa%20b%2F%C3%BC%3F%23%25");
    }

    #[test]
    fn gitlab_is_linked_when_it_is_known() {
        let project = ProjectKey::new(1, 42);
        let mut names = Names::default();
        assert_eq!(names.project(project), Link::new("project 42", None));
        names.paths.insert(project, "group/<app>".to_owned());
        names.instances.insert(1, "https://gitlab.example/".to_owned());
        let key: ChangeKey = "mr-1.42-7".parse().unwrap();
        insta::assert_snapshot!(names.change_url(&key).unwrap(), @"https://gitlab.example/group/%3Capp%3E/-/merge_requests/7");
        names.instances.insert(1, "javascript:alert(1)//".to_owned());
        assert_eq!(names.project(project).href, None);
    }
}
