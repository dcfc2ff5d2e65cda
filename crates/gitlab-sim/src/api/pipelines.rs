//! Pipelines. Their jobs are real CI jobs only; commit statuses are not listed there.

use super::{Request, entities, paging};
use crate::answer::{Answer, Reply};
use crate::ids::PipelineId;
use crate::state::{Job, JobKind, Pipeline, State};

pub(super) fn list(state: &mut State, request: &Request<'_>) -> Reply {
    let project = request.readable_project(state)?;
    let text = |name: &str| request.text(name);
    let (sha, git_ref, source, status) = (text("sha"), text("ref"), text("source"), text("status"));
    let wanted = |pipeline: &&Pipeline| {
        pipeline.project == project
            && sha.as_ref().is_none_or(|sha| &pipeline.sha == sha)
            && git_ref.as_ref().is_none_or(|name| &pipeline.git_ref == name)
            && source.as_ref().is_none_or(|source| &pipeline.source == source)
            && status.as_ref().is_none_or(|status| pipeline.status.as_str() == status)
    };
    let mut rows: Vec<&Pipeline> = state.pipelines.values().filter(wanted).collect();
    if !paging::ascending(request, false)? {
        rows.reverse();
    }
    paging::page(state, request, &rows, |row| entities::pipeline(state, row, false))
}

pub(super) fn get(state: &mut State, request: &Request<'_>) -> Reply {
    let pipeline = find(state, request)?;
    Ok(Answer::json(200, &entities::pipeline(state, pipeline, true)))
}

pub(super) fn jobs(state: &mut State, request: &Request<'_>) -> Reply {
    let id = find(state, request)?.id;
    let builds = state.latest_jobs(id).filter(|job| job.kind == JobKind::Build);
    let mut rows: Vec<&Job> = builds.collect();
    rows.reverse();
    paging::page(state, request, &rows, |job| entities::job(state, job))
}

fn find<'s>(state: &'s State, request: &Request<'_>) -> Result<&'s Pipeline, Answer> {
    let project = request.readable_project(state)?;
    let id = PipelineId(request.arg_number(1, "Pipeline")?);
    let found = state.pipelines.get(&id).filter(|pipeline| pipeline.project == project);
    found.ok_or_else(|| Answer::not_found("Pipeline"))
}
