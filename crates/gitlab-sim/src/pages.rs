//! Pages for people, on which the demo shows what the bot did. Read only and without scripts.

mod layout;
mod markdown;
mod show;

use crate::answer::Answer;
use crate::ids::{MergeRequestRef, PipelineId, ProjectId};
use crate::state::State;

/// Answers a request for a page; `path` has no base path.
pub(crate) fn serve(state: &State, method: &str, path: &str) -> Answer {
    if method != "GET" && method != "HEAD" {
        return Answer::text(405, "text/plain", "Pages can only be read.\n");
    }
    let missing = || layout::page(state, "Not found", "<p>There is no such page here.</p>");
    let (status, page) = find(state, path).map_or_else(|| (404, missing()), |page| (200, page));
    Answer::text(status, "text/html; charset=utf-8", page)
        .header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        .header("X-Content-Type-Options", "nosniff")
}

fn find(state: &State, path: &str) -> Option<String> {
    let path = path.trim_matches('/');
    if path.is_empty() {
        return Some(show::projects(state));
    }
    let (project, rest) = path.split_once("/-/").unwrap_or((path, ""));
    let project = project_at(state, project)?;
    let parts: Vec<&str> = rest.split('/').collect();
    match parts[..] {
        [""] => Some(show::project(state, project)),
        ["environments"] => Some(show::environments(state, project)),
        ["merge_requests", iid] => {
            let iid = iid.parse().ok()?;
            let mr = state.merge_request(MergeRequestRef { project, iid }).ok()?;
            Some(show::merge_request(state, mr))
        }
        ["pipelines", id] => {
            let pipeline = state.pipeline(PipelineId(id.parse().ok()?)).ok()?;
            (pipeline.project == project).then(|| show::pipeline(state, pipeline))
        }
        _ => None,
    }
}

fn project_at(state: &State, path: &str) -> Option<ProjectId> {
    state.projects.values().find(|project| project.path == path).map(|project| project.id)
}
