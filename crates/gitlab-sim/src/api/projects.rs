//! Projects and their members.

use super::{Request, entities, paging};
use crate::answer::{Answer, Reply};
use crate::ids::UserId;
use crate::state::{Project, State};

pub(super) fn list(state: &mut State, request: &Request<'_>) -> Reply {
    let member_only = request.flag("membership")?.unwrap_or(false);
    let sees = |project: &&Project| {
        project.members.contains_key(&request.user) || (project.public && !member_only)
    };
    let mut rows: Vec<&Project> = state.projects.values().filter(sees).collect();
    if !paging::ascending(request, false)? {
        rows.reverse();
    }
    paging::page(state, request, &rows, |project| entities::project(state, project, request.user))
}

pub(super) fn get(state: &mut State, request: &Request<'_>) -> Reply {
    let project = state.project(request.project(state)?)?;
    Ok(Answer::json(200, &entities::project(state, project, request.user)))
}

pub(super) fn member(state: &mut State, request: &Request<'_>) -> Reply {
    let project = state.project(request.project(state)?)?;
    let user = UserId(request.arg_number(1, "Not found")?);
    match project.members.get(&user) {
        Some(level) => Ok(Answer::json(200, &entities::member(state, user, *level))),
        None => Err(Answer::message(404, "404 Not found")),
    }
}
