//! The table of endpoints.

use super::{
    Request, commits, deployments, environments, hooks, merge_requests, notes, pipelines, projects,
    repository, statuses, users,
};
use crate::answer::{Answer, Reply};
use crate::route::Route;
use crate::state::State;

/// What a token must be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Any valid token.
    Token,
    /// `self_rotate` or `api`.
    Rotate,
    /// `read_user`, `read_api` or `api`.
    User,
    /// `read_api` or `api`.
    Read,
    /// `read_repository`, `read_api` or `api`.
    Files,
    /// `api`.
    Write,
}

/// One endpoint. Parts of the template that begin with a colon are arguments.
pub(super) struct Row {
    method: &'static str,
    template: &'static str,
    pub(super) route: Route,
    pub(super) need: Need,
    pub(super) handler: fn(&mut State, &Request<'_>) -> Reply,
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.template)
    }
}

macro_rules! rows {
    ($($method:ident $template:literal $route:ident $need:ident $handler:path;)*) => {
        &[$(Row {
            method: stringify!($method),
            template: $template,
            route: Route::$route,
            need: Need::$need,
            handler: $handler,
        }),*]
    };
}

const ROWS: &[Row] = rows! {
    GET "version" Version User users::version;
    GET "metadata" Version User users::version;
    GET "user" User User users::user;
    GET "personal_access_tokens/self" TokenGet Token users::token;
    POST "personal_access_tokens/self/rotate" TokenRotate Rotate users::rotate;
    GET "projects" ProjectList Read projects::list;
    GET "projects/:id" ProjectGet Read projects::get;
    GET "projects/:id/members/all/:user" MemberGet Read projects::member;
    GET "projects/:id/merge_requests" MergeRequestList Read merge_requests::list;
    GET "projects/:id/merge_requests/:iid" MergeRequestGet Read merge_requests::get;
    GET "projects/:id/merge_requests/:iid/diffs" MergeRequestDiffs Read merge_requests::diffs;
    GET "projects/:id/merge_requests/:iid/versions" MergeRequestVersions Read
        merge_requests::versions;
    GET "projects/:id/merge_requests/:iid/commits" MergeRequestCommits Read
        merge_requests::commits;
    GET "projects/:id/merge_requests/:iid/pipelines" MergeRequestPipelines Read
        merge_requests::pipelines;
    GET "projects/:id/merge_requests/:iid/notes" NoteList Read notes::list;
    POST "projects/:id/merge_requests/:iid/notes" NoteCreate Write notes::create;
    GET "projects/:id/merge_requests/:iid/notes/:note" NoteGet Read notes::get;
    PUT "projects/:id/merge_requests/:iid/notes/:note" NoteUpdate Write notes::update;
    DELETE "projects/:id/merge_requests/:iid/notes/:note" NoteDelete Write notes::delete;
    POST "projects/:id/merge_requests/:iid/notes/:note/award_emoji" NoteAward Write notes::award;
    GET "projects/:id/repository/commits/:sha" CommitGet Read commits::get;
    GET "projects/:id/repository/commits/:sha/merge_requests" CommitMergeRequests Read
        commits::merge_requests;
    GET "projects/:id/repository/commits/:sha/statuses" StatusList Read statuses::list;
    POST "projects/:id/statuses/:sha" StatusPost Write statuses::post;
    GET "projects/:id/pipelines" PipelineList Read pipelines::list;
    GET "projects/:id/pipelines/:pipeline" PipelineGet Read pipelines::get;
    GET "projects/:id/pipelines/:pipeline/jobs" PipelineJobs Read pipelines::jobs;
    GET "projects/:id/repository/compare" Compare Read repository::compare;
    GET "projects/:id/repository/files/:path/raw" FileRaw Files repository::raw;
    GET "projects/:id/repository/branches/:name" BranchGet Read repository::branch;
    GET "projects/:id/repository/tags/:name" TagGet Read repository::tag;
    GET "projects/:id/environments" EnvironmentList Read environments::list;
    POST "projects/:id/environments" EnvironmentCreate Write environments::create;
    GET "projects/:id/environments/:env" EnvironmentGet Read environments::get;
    PUT "projects/:id/environments/:env" EnvironmentUpdate Write environments::update;
    DELETE "projects/:id/environments/:env" EnvironmentDelete Write environments::delete;
    POST "projects/:id/environments/:env/stop" EnvironmentStop Write environments::stop;
    GET "projects/:id/deployments" DeploymentList Read deployments::list;
    POST "projects/:id/deployments" DeploymentCreate Write deployments::create;
    GET "projects/:id/deployments/:deployment" DeploymentGet Read deployments::get;
    PUT "projects/:id/deployments/:deployment" DeploymentUpdate Write deployments::update;
    DELETE "projects/:id/deployments/:deployment" DeploymentDelete Write deployments::delete;
    GET "projects/:id/hooks" HookList Read hooks::list;
    POST "projects/:id/hooks" HookCreate Write hooks::create;
    GET "projects/:id/hooks/:hook" HookGet Read hooks::get;
    PUT "projects/:id/hooks/:hook" HookUpdate Write hooks::update;
    DELETE "projects/:id/hooks/:hook" HookDelete Write hooks::delete;
};

/// The row of a request with its decoded arguments, or why there is none.
pub(super) fn find(method: &str, path: &str) -> (Result<&'static Row, Answer>, Vec<String>) {
    let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    let mut other_method = false;
    for row in ROWS {
        let Some(args) = matches(row.template, &parts) else { continue };
        if row.method == method || (method == "HEAD" && row.method == "GET") {
            return (Ok(row), args);
        }
        other_method = true;
    }
    let refusal = if other_method {
        Answer::json(405, &serde_json::json!({ "error": "405 Not Allowed" }))
    } else {
        Answer::json(404, &serde_json::json!({ "error": "404 Not Found" }))
    };
    (Err(refusal), Vec::new())
}

fn matches(template: &str, parts: &[&str]) -> Option<Vec<String>> {
    let mut args = Vec::new();
    let mut parts = parts.iter();
    for expected in template.split('/') {
        let part = parts.next()?;
        if expected.starts_with(':') {
            args.push(decode(part)?);
        } else if expected != *part {
            return None;
        }
    }
    parts.next().is_none().then_some(args)
}

/// Undoes percent-encoding; `None` if that is not UTF-8 or nothing is left.
fn decode(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            let digits = std::str::from_utf8(&digits).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok().filter(|text| !text.is_empty())
}
