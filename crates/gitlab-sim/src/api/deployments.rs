//! Deployments.

use super::{Request, entities, paging};
use crate::answer::{Answer, Reply};
use crate::ids::ProjectId;
use crate::state::{Deployment, NewDeployment, State};

/// States that the API takes; `created` is not among them.
const STATES: &[&str] = &["running", "success", "failed", "canceled"];

pub(super) fn list(state: &mut State, request: &Request<'_>) -> Reply {
    let project = request.readable_project(state)?;
    let order = request.text("order_by").unwrap_or_else(|| "id".to_owned());
    let (name, status) = (request.text("environment"), request.text("status"));
    let finished = request.has("finished_after") || request.has("finished_before");
    if finished && (order != "finished_at" || status.as_deref() != Some("success")) {
        let text = "400 Bad request - `finished_at` filter requires `finished_at` sort and \
                    `success` status";
        return Err(Answer::message(400, text));
    }
    let in_environment = |row: &Deployment| {
        let place = state.environments.iter().find(|known| known.id == row.environment);
        name.as_ref().is_none_or(|name| place.is_some_and(|place| &place.name == name))
    };
    let wanted = |row: &&Deployment| {
        row.project == project
            && in_environment(row)
            && status.as_ref().is_none_or(|status| &row.status == status)
    };
    let mut rows: Vec<&Deployment> = state.deployments.iter().filter(wanted).collect();
    match order.as_str() {
        "id" | "iid" | "created_at" => {}
        "updated_at" => rows.sort_by_key(|row| row.updated_at),
        "finished_at" => rows.sort_by_key(|row| row.finished_at),
        "ref" => rows.sort_by(|one, other| one.git_ref.cmp(&other.git_ref)),
        _ => return Err(Answer::bad_params("order_by does not have a valid value")),
    }
    if !paging::ascending(request, true)? {
        rows.reverse();
    }
    paging::page(state, request, &rows, |row| entities::deployment(state, row))
}

pub(super) fn get(state: &mut State, request: &Request<'_>) -> Reply {
    let project = request.readable_project(state)?;
    shown(state, 200, project, request.arg_number(1, "Deployment")?)
}

pub(super) fn create(state: &mut State, request: &Request<'_>) -> Reply {
    let project = request.project(state)?;
    let new = NewDeployment {
        environment: request.required("environment")?,
        sha: request.required("sha")?,
        git_ref: request.required("ref")?,
        tag: request.flag("tag")?.ok_or_else(|| Answer::bad_params("tag is missing"))?,
        status: status(request)?,
    };
    let id = state.create_deployment(project, request.user, &new)?;
    shown(state, 201, project, id)
}

pub(super) fn update(state: &mut State, request: &Request<'_>) -> Reply {
    let project = request.project(state)?;
    let id = request.arg_number(1, "Deployment")?;
    let status = status(request)?;
    state.update_deployment(project, request.user, id, &status)?;
    shown(state, 200, project, id)
}

pub(super) fn delete(state: &mut State, request: &Request<'_>) -> Reply {
    let project = request.project(state)?;
    let id = request.arg_number(1, "Deployment")?;
    state.delete_deployment(project, request.user, id)?;
    Ok(Answer::empty(204))
}

fn status(request: &Request<'_>) -> Result<String, Answer> {
    match request.text("status") {
        None => Err(Answer::bad_params("status is missing, status does not have a valid value")),
        Some(status) if STATES.contains(&status.as_str()) => Ok(status),
        Some(_) => Err(Answer::bad_params("status does not have a valid value")),
    }
}

fn shown(state: &State, status: u16, project: ProjectId, id: u64) -> Reply {
    let found = state.deployments.iter().find(|row| row.project == project && row.id == id);
    let found = found.ok_or_else(|| Answer::not_found("Deployment"))?;
    Ok(Answer::json(status, &entities::deployment(state, found)))
}
