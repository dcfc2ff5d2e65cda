//! The REST API, version 4. A request becomes an [`Incoming`], is recorded, authenticated and
//! handed to the handler of its row in `routes`. Handlers are plain functions on the locked state.

mod auth;
mod commits;
mod deployments;
mod entities;
mod environments;
mod hooks;
mod incoming;
mod merge_requests;
mod notes;
mod paging;
mod pipelines;
mod projects;
mod repository;
mod routes;
mod statuses;
mod users;

use jiff::Timestamp;

use crate::answer::{Answer, Reply};
use crate::ids::{MergeRequestRef, ProjectId, UserId};
use crate::state::{MergeRequest, State};

pub(crate) use incoming::Incoming;

/// An authenticated request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    incoming: &'a Incoming,
    user: UserId,
}

impl std::ops::Deref for Request<'_> {
    type Target = Incoming;

    fn deref(&self) -> &Incoming {
        self.incoming
    }
}

impl Request<'_> {
    /// The project that the path names, if its user may see it.
    fn project(&self, state: &State) -> Result<ProjectId, Answer> {
        state.visible_project(self.arg(0), self.user)
    }

    /// The same, and its code may be read too.
    fn readable_project(&self, state: &State) -> Result<ProjectId, Answer> {
        let project = self.project(state)?;
        state.need_read(project, self.user)?;
        Ok(project)
    }

    /// The merge request that the path names. Who sees the project sees its merge requests.
    fn merge_request<'s>(&self, state: &'s State) -> Result<&'s MergeRequest, Answer> {
        let project = self.readable_project(state)?;
        let missing = || Answer::not_found("Merge Request");
        let iid = self.arg(1).parse().map_err(|_| missing())?;
        state.merge_request(MergeRequestRef { project, iid }).map_err(|_| missing())
    }
}

/// Answers one request.
pub(crate) fn handle(state: &mut State, incoming: &Incoming) -> Answer {
    let answer = answer(state, incoming).unwrap_or_else(|refusal| refusal);
    incoming.record(state, answer.status, answer.ok());
    answer
}

fn answer(state: &mut State, incoming: &Incoming) -> Reply {
    let row = match incoming.row() {
        Ok(row) => row,
        Err(refusal) => return Err(refusal.clone()),
    };
    let user = auth::check(state, incoming, row.need)?;
    let limits = auth::rate_limit(state, user, Timestamp::now())?;
    if let Some(moved) = moved(state, incoming, user) {
        return Ok(moved);
    }
    let mut reply = (row.handler)(state, &Request { incoming, user });
    let (Ok(answer) | Err(answer)) = &mut reply;
    answer.headers.extend(limits);
    reply
}

/// GET of a project's former path: GitLab answers 301 with the address by number.
fn moved(state: &State, incoming: &Incoming, user: UserId) -> Option<Answer> {
    if incoming.is_write() || !incoming.path().starts_with("projects/") {
        return None;
    }
    let name = incoming.args().first()?;
    if state.visible_project(name, user).is_ok() {
        return None;
    }
    let project = state.moved_project(name, user)?;
    let rest = incoming.path().splitn(3, '/').nth(2);
    let rest = rest.map(|rest| format!("/{rest}")).unwrap_or_default();
    let location = format!("{}/api/v4/projects/{project}{rest}", state.url);
    let body = serde_json::json!({ "message": "This resource has been moved permanently" });
    Some(Answer::json(301, &body).header("Location", location))
}
