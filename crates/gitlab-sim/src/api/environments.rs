//! Environments.

use super::{Request, entities, paging};
use crate::answer::{Answer, Reply};
use crate::ids::ProjectId;
use crate::state::{Environment, NewEnvironment, State};

pub(super) fn list(state: &mut State, request: &Request<'_>) -> Reply {
    let project = request.readable_project(state)?;
    let (name, search) = (request.text("name"), request.text("search"));
    if name.is_some() && search.is_some() {
        return Err(Answer::bad_params("name, search are mutually exclusive"));
    }
    if search.as_ref().is_some_and(|search| search.chars().count() < 3) {
        let text = "400 Bad request - Search query is less than 3 characters";
        return Err(Answer::message(400, text));
    }
    let states = request.text("states");
    let wanted = |known: &&Environment| {
        known.project == project
            && name.as_ref().is_none_or(|name| &known.name == name)
            && search.as_ref().is_none_or(|search| known.name.contains(search))
            && states.as_ref().is_none_or(|states| (states == "stopped") == known.stopped)
    };
    let rows: Vec<&Environment> = state.environments.iter().filter(wanted).collect();
    paging::page(state, request, &rows, |row| entities::environment(state, row, false))
}

pub(super) fn get(state: &mut State, request: &Request<'_>) -> Reply {
    let project = request.readable_project(state)?;
    let id = request.arg_number(1, "Environment")?;
    shown(state, 200, project, id)
}

pub(super) fn create(state: &mut State, request: &Request<'_>) -> Reply {
    let project = request.project(state)?;
    refuse_slug(request)?;
    let new = NewEnvironment {
        name: request.required("name")?,
        external_url: request.text("external_url"),
        tier: request.text("tier"),
    };
    let id = state.create_environment(project, request.user, &new)?;
    shown(state, 201, project, id)
}

pub(super) fn update(state: &mut State, request: &Request<'_>) -> Reply {
    let project = request.project(state)?;
    refuse_slug(request)?;
    let id = request.arg_number(1, "Environment")?;
    let (url, tier) = (request.text("external_url"), request.text("tier"));
    state.update_environment(project, request.user, id, url, tier)?;
    shown(state, 200, project, id)
}

pub(super) fn stop(state: &mut State, request: &Request<'_>) -> Reply {
    let project = request.project(state)?;
    let id = request.arg_number(1, "Environment")?;
    state.stop_environment(project, request.user, id)?;
    shown(state, 200, project, id)
}

pub(super) fn delete(state: &mut State, request: &Request<'_>) -> Reply {
    let project = request.project(state)?;
    let id = request.arg_number(1, "Environment")?;
    state.delete_environment(project, request.user, id)?;
    Ok(Answer::empty(204))
}

fn refuse_slug(request: &Request<'_>) -> Result<(), Answer> {
    if request.has("slug") {
        let text = "slug is automatically generated and cannot be changed";
        return Err(Answer::bad_params(text));
    }
    Ok(())
}

fn shown(state: &State, status: u16, project: ProjectId, id: u64) -> Reply {
    let found = state.environments.iter().find(|row| row.project == project && row.id == id);
    let found = found.ok_or_else(|| Answer::not_found("Environment"))?;
    Ok(Answer::json(status, &entities::environment(state, found, true)))
}
