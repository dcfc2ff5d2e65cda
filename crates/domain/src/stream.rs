//! Names of streams. Everybody who writes or reads a stream gets its name here.

use std::fmt::Display;

use crate::id::{ChangeKey, ProjectKey, RunId, Sha};

/// A delivery with a key GitLab repeats on redelivery, or with our own unique one.
pub fn delivery(hook: &str, key: &str) -> String {
    format!("delivery-{hook}-{key}")
}

/// What we know of a project.
pub fn project(project: ProjectKey) -> String {
    format!("project-{project}")
}

/// One merge request or ref.
pub fn change(change: &ChangeKey) -> String {
    format!("change-{change}")
}

/// One execution of one stack.
pub fn run(run: &RunId) -> String {
    format!("run-{run}")
}

/// The statuses of a commit in the project they are posted to.
pub fn statuses(project: ProjectKey, sha: &Sha) -> String {
    format!("statuses-{}", statuses_key(project, sha))
}

/// What the bot may not do in a project.
pub fn capabilities(project: ProjectKey) -> String {
    format!("capabilities-{project}")
}

/// The sticky note of a merge request.
pub fn note(change: &ChangeKey) -> String {
    format!("note-{change}")
}

/// The deployment of a tracked run.
pub fn deployment(run: &RunId) -> String {
    format!("deployment-{run}")
}

/// Key of the work item that plans a delivery. Nobody foresees what a delivery is called, but `id`
/// grows: rows that come together stand together.
pub fn plan_key(id: impl Display, delivery: &str) -> String {
    format!("{id}/{delivery}")
}

/// The delivery of a [`plan_key`], or the whole key if it is none.
pub fn planned(key: &str) -> &str {
    key.split_once('/').map_or(key, |(_, delivery)| delivery)
}

/// Key of the work item that writes a commit's statuses.
pub fn statuses_key(project: ProjectKey, sha: &Sha) -> String {
    format!("{project}-{sha}")
}

/// Reads [`statuses_key`] back.
pub fn parse_statuses_key(key: &str) -> Option<(ProjectKey, Sha)> {
    let (project, sha) = key.split_once('-')?;
    Some((project.parse().ok()?, sha.parse().ok()?))
}

/// A branch or tag without `refs/heads/` or `refs/tags/`.
pub fn short_name(name: &str) -> &str {
    let short = name.strip_prefix("refs/heads/").or_else(|| name.strip_prefix("refs/tags/"));
    short.unwrap_or(name)
}
