//! Single commits.

use serde_json::json;

use super::{Request, entities, paging};
use crate::answer::{Answer, Reply};
use crate::state::{MergeRequest, Pipeline, State};

pub(super) fn get(state: &mut State, request: &Request<'_>) -> Reply {
    let project = request.readable_project(state)?;
    let repo = &state.project(project)?.repo;
    let sha = repo.resolve(request.arg(1)).ok_or_else(|| Answer::not_found("Commit"))?;
    let commit = repo.commit_at(&sha)?;
    let mut body = entities::commit(state, project, &commit);
    let mut newest_first = state.pipelines.values().rev();
    let last: Option<&Pipeline> = newest_first.find(|p| p.project == project && p.sha == sha);
    body["status"] = json!(last.map(|pipeline| pipeline.status.as_str()));
    body["last_pipeline"] = json!(last.map(|row| entities::pipeline(state, row, false)));
    body["project_id"] = json!(project.0);
    Ok(Answer::json(200, &body))
}

/// Merge requests of the project that hold the commit or were merged by it.
pub(super) fn merge_requests(state: &mut State, request: &Request<'_>) -> Reply {
    let project = request.readable_project(state)?;
    let sha = state.project(project)?.repo.resolve(request.arg(1));
    let sha = sha.ok_or_else(|| Answer::not_found("Commit"))?;
    let wanted_state = request.text("state").filter(|state| state != "all");
    let holds = |mr: &&MergeRequest| {
        mr.project == project
            && (mr.commits.contains(&sha) || mr.merge_commit.as_ref() == Some(&sha))
            && wanted_state.as_ref().is_none_or(|state| mr.state == state)
    };
    let rows: Vec<&MergeRequest> = state.merge_requests.iter().rev().filter(holds).collect();
    paging::page(state, request, &rows, |mr| entities::merge_request(state, mr, false))
}
