//! Commit statuses.

use super::{Request, entities, paging};
use crate::answer::{Answer, Reply};
use crate::state::{Job, NewStatus, State, StatusFilter};

pub(super) fn post(state: &mut State, request: &Request<'_>) -> Reply {
    let project = request.project(state)?;
    let new = NewStatus {
        sha: request.arg(1).to_owned(),
        state: request.text("state"),
        git_ref: request.text("ref").filter(|name| !name.is_empty()),
        name: request.text("name").or_else(|| request.text("context")),
        target_url: request.text("target_url").filter(|url| !url.is_empty()),
        description: request.text("description"),
        coverage: request.number("coverage")?,
        pipeline_id: request.number("pipeline_id")?,
    };
    let job = state.post_status(project, request.user, &new)?;
    Ok(Answer::json(201, &entities::status(state, &job)))
}

pub(super) fn list(state: &mut State, request: &Request<'_>) -> Reply {
    let project = request.readable_project(state)?;
    if state.project(project)?.repo.resolve(request.arg(1)).is_none() {
        return Err(Answer::not_found("Commit"));
    }
    let filter = StatusFilter {
        sha: request.arg(1).to_owned(),
        git_ref: request.text("ref"),
        name: request.text("name"),
        pipeline_id: request.number("pipeline_id")?,
        all: request.flag("all")?.unwrap_or(false),
    };
    let mut rows: Vec<&Job> = state.statuses(project, &filter);
    if request.text("order_by").as_deref() == Some("pipeline_id") {
        rows.sort_by_key(|job| (job.pipeline, job.id));
    }
    if !paging::ascending(request, true)? {
        rows.reverse();
    }
    paging::page(state, request, &rows, |job| entities::status(state, job))
}
