//! One function per page.

use std::fmt::Write as _;

use super::layout::{badge, escape, link, page};
use super::markdown;
use crate::ids::ProjectId;
use crate::state::{MergeRequest, Pipeline, State};

pub(super) fn projects(state: &State) -> String {
    let mut body = String::from("<ul>");
    for project in state.projects.values() {
        let url = state.project_url(project.id);
        let _ = write!(body, "<li>{}</li>", link(&url, &project.path));
    }
    body.push_str("</ul>");
    page(state, "Projects", &body)
}

pub(super) fn project(state: &State, id: ProjectId) -> String {
    let url = state.project_url(id);
    let environments = format!("{url}/-/environments");
    let mut body =
        format!("<p>{}</p><h2>Merge requests</h2><ul>", link(&environments, "Environments"));
    for mr in state.merge_requests.iter().rev().filter(|mr| mr.project == id) {
        let address = format!("{url}/-/merge_requests/{}", mr.iid);
        let title = format!("!{} {}", mr.iid, mr.title);
        let _ = write!(body, "<li>{} {}</li>", link(&address, &title), badge(mr.state));
    }
    body.push_str("</ul><h2>Pipelines</h2><ul>");
    for row in state.pipelines.values().rev().filter(|row| row.project == id).take(50) {
        let _ = write!(body, "<li>{}</li>", pipeline_line(state, row));
    }
    body.push_str("</ul>");
    page(state, state.path(id), &body)
}

fn pipeline_line(state: &State, row: &Pipeline) -> String {
    let address = format!("{}/-/pipelines/{}", state.project_url(row.project), row.id);
    let title = format!("Pipeline {}", row.id);
    format!(
        "{} {} <span class=\"quiet\">{} <code>{}</code></span>",
        link(&address, &title),
        badge(row.status.as_str()),
        escape(&row.git_ref),
        escape(&row.sha[..8])
    )
}

pub(super) fn pipeline(state: &State, row: &Pipeline) -> String {
    let body = format!("<p>{}</p>{}", pipeline_line(state, row), jobs(state, row));
    page(state, &format!("Pipeline {}", row.id), &body)
}

fn jobs(state: &State, row: &Pipeline) -> String {
    let mut body = String::from("<ul>");
    for job in state.latest_jobs(row.id) {
        let name = match &job.target_url {
            Some(url) => link(url, &job.name),
            None => escape(&job.name),
        };
        let text = job.description.as_deref().map(escape).unwrap_or_default();
        let badge = badge(job.state.as_str());
        let _ = write!(body, "<li>{badge} {name} <span class=\"quiet\">{text}</span></li>");
    }
    body.push_str("</ul>");
    body
}

pub(super) fn merge_request(state: &State, mr: &MergeRequest) -> String {
    let mut body = format!(
        "<p>{} <code>{}</code> into <code>{}</code> in {}, at <code>{}</code></p>",
        badge(mr.state),
        escape(&mr.source_branch),
        escape(&mr.target_branch),
        link(&state.project_url(mr.project), state.path(mr.project)),
        escape(&mr.head()[..8])
    );
    body.push_str("<h2>Pipeline</h2>");
    match state.head_pipeline(mr) {
        Some(row) => {
            let _ = write!(body, "<p>{}</p>{}", pipeline_line(state, row), jobs(state, row));
        }
        None => body.push_str("<p class=\"quiet\">No pipeline for this commit.</p>"),
    }
    body.push_str("<h2>Comments</h2>");
    for note in state.notes.values().filter(|note| note.merge_request == mr.reference()) {
        let edited = if note.edits > 0 { ", edited" } else { "" };
        let _ = write!(
            body,
            "<article id=\"note_{}\"><p class=\"quiet\">@{}{edited}</p>{}</article>",
            note.id,
            escape(state.username(note.author)),
            markdown::render(&note.body)
        );
    }
    page(state, &format!("!{} {}", mr.iid, mr.title), &body)
}

pub(super) fn environments(state: &State, id: ProjectId) -> String {
    let mut body = String::new();
    for known in state.environments.iter().filter(|known| known.project == id) {
        let name = match &known.external_url {
            Some(url) => link(url, &known.name),
            None => escape(&known.name),
        };
        let stopped = if known.stopped { "stopped" } else { "available" };
        let _ = write!(body, "<h2>{name} {}</h2><ul>", badge(stopped));
        let rows = state.deployments.iter().rev().filter(|row| row.environment == known.id);
        for row in rows {
            let _ = write!(
                body,
                "<li>{} #{} <code>{}</code> <span class=\"quiet\">{}</span></li>",
                badge(&row.status),
                row.iid,
                escape(&row.sha[..8]),
                escape(&row.git_ref)
            );
        }
        body.push_str("</ul>");
    }
    if body.is_empty() {
        body.push_str("<p class=\"quiet\">Nothing has been deployed yet.</p>");
    }
    page(state, &format!("Environments of {}", state.path(id)), &body)
}
