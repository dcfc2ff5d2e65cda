//! Merge requests, read only: the bot changes none.

use serde_json::{Value, json};

use super::{Request, entities, paging};
use crate::answer::{Answer, Reply};
use crate::state::{MergeRequest, State};

/// Commits of a merge request that the API can page through.
const MOST_COMMITS: usize = 10_000;

pub(super) fn list(state: &mut State, request: &Request<'_>) -> Reply {
    let project = request.readable_project(state)?;
    let (source, target) = (request.text("source_branch"), request.text("target_branch"));
    let source_project = request.number::<u64>("source_project_id")?;
    let wanted_state = request.text("state").filter(|state| state != "all");
    if let Some(wanted) = &wanted_state
        && !["opened", "closed", "locked", "merged"].contains(&wanted.as_str())
    {
        return Err(Answer::bad_params("state does not have a valid value"));
    }
    let wanted = |mr: &&MergeRequest| {
        mr.project == project
            && source.as_ref().is_none_or(|branch| &mr.source_branch == branch)
            && target.as_ref().is_none_or(|branch| &mr.target_branch == branch)
            && source_project.is_none_or(|id| mr.source_project.0 == id)
            && wanted_state.as_ref().is_none_or(|state| mr.state == state)
    };
    let mut rows: Vec<&MergeRequest> = state.merge_requests.iter().filter(wanted).collect();
    if request.text("order_by").as_deref() == Some("updated_at") {
        rows.sort_by_key(|mr| mr.updated_at);
    }
    if !paging::ascending(request, false)? {
        rows.reverse();
    }
    paging::page(state, request, &rows, |mr| entities::merge_request(state, mr, false))
}

pub(super) fn get(state: &mut State, request: &Request<'_>) -> Reply {
    let mr = request.merge_request(state)?;
    let mut body = entities::merge_request(state, mr, true);
    body["user"] = json!({ "can_merge": false });
    Ok(Answer::json(200, &body))
}

pub(super) fn diffs(state: &mut State, request: &Request<'_>) -> Reply {
    let mr = request.merge_request(state)?;
    let Some(version) = mr.versions.last().filter(|_| mr.prepared) else {
        return paging::page(state, request, &[], |(): &()| Value::Null);
    };
    let entries = state.project(mr.project)?.repo.diff(&version.base, &version.head)?;
    paging::page(state, request, &entries, entities::diff)
}

pub(super) fn versions(state: &mut State, request: &Request<'_>) -> Reply {
    let mr = request.merge_request(state)?;
    let mut rows: Vec<_> = mr.versions.iter().filter(|_| mr.prepared).collect();
    rows.reverse();
    paging::page(state, request, &rows, |version| {
        json!({
            "id": version.id,
            "head_commit_sha": version.head,
            "base_commit_sha": version.base,
            "start_commit_sha": version.start,
            "created_at": entities::time(version.created_at),
            "merge_request_id": mr.id,
            "state": "collected",
            "real_size": version.files.to_string(),
        })
    })
}

pub(super) fn commits(state: &mut State, request: &Request<'_>) -> Reply {
    let mr = request.merge_request(state)?;
    let rows = match mr.versions.last().filter(|_| mr.prepared) {
        Some(version) => {
            let repo = &state.project(mr.project)?.repo;
            repo.log(Some(&version.base), &version.head, MOST_COMMITS)?
        }
        None => Vec::new(),
    };
    let project = mr.project;
    paging::page(state, request, &rows, |commit| entities::commit(state, project, commit))
}

pub(super) fn pipelines(state: &mut State, request: &Request<'_>) -> Reply {
    let mr = request.merge_request(state)?;
    let rows = state.merge_request_pipelines(mr);
    paging::page(state, request, &rows, |row| entities::pipeline(state, row, false))
}
