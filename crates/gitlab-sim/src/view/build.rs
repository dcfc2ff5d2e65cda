//! Builds the views from the state.

use std::fmt::Write as _;

use super::{
    DeploymentView, EnvironmentView, EnvironmentsView, JobView, MergeRequestView, NoteView,
    PipelineView,
};
use crate::ids::ProjectId;
use crate::state::{MergeRequest, Pipeline, State};

pub(crate) fn pipeline(state: &State, pipeline: &Pipeline) -> PipelineView {
    let mut jobs: Vec<JobView> = state
        .latest_jobs(pipeline.id)
        .map(|job| JobView {
            name: job.name.clone(),
            state: job.state,
            description: job.description.clone(),
            target_url: job.target_url.clone(),
        })
        .collect();
    jobs.sort_by(|one, other| one.name.cmp(&other.name));
    let retried =
        state.jobs.iter().filter(|job| job.pipeline == pipeline.id && job.retried).count();
    let mut view = PipelineView {
        id: pipeline.id,
        git_ref: pipeline.git_ref.clone(),
        sha: pipeline.sha.clone(),
        status: pipeline.status,
        source: pipeline.source.clone(),
        jobs,
        retried,
        text: String::new(),
    };
    view.text = state.rename(&pipeline_text(&view));
    view
}

fn pipeline_text(view: &PipelineView) -> String {
    let mut text = format!("{} {}: {} ({})", view.git_ref, view.sha, view.status, view.source);
    for job in &view.jobs {
        let _ = write!(text, "\n  {}: {}", job.name, job.state);
        if let Some(description) = &job.description {
            let _ = write!(text, " \"{description}\"");
        }
    }
    if view.retried > 0 {
        let _ = write!(text, "\n  ({} retried)", view.retried);
    }
    text
}

pub(crate) fn merge_request(state: &State, mr: &MergeRequest) -> MergeRequestView {
    let reference = mr.reference();
    let notes: Vec<NoteView> = state
        .notes
        .values()
        .filter(|note| note.merge_request == reference && !note.system)
        .map(|note| NoteView {
            id: note.id,
            author: state.username(note.author).to_owned(),
            body: note.body.clone(),
            edits: note.edits,
        })
        .collect();
    let head_pipeline = state.head_pipeline(mr).map(|found| pipeline(state, found));
    let mut text = format!("{reference} {} [{}] {}\n", mr.title, mr.state, mr.head());
    match &head_pipeline {
        Some(found) => text.push_str(&pipeline_text(found)),
        None => text.push_str("no pipeline"),
    }
    for note in &notes {
        let edited = if note.edits > 0 { " (edited)" } else { "" };
        let _ = write!(text, "\n@{}{edited}:", note.author);
        for line in note.body.lines() {
            let _ = write!(text, "\n  {line}");
        }
    }
    MergeRequestView {
        title: mr.title.clone(),
        state: mr.state,
        head: mr.head().to_owned(),
        pipeline: head_pipeline,
        notes,
        text: state.rename(&text),
    }
}

pub(crate) fn environments(state: &State, project: ProjectId) -> EnvironmentsView {
    let mut text = String::new();
    let mut environments = Vec::new();
    for known in state.environments.iter().filter(|known| known.project == project) {
        let stopped = if known.stopped { ", stopped" } else { "" };
        let gap = if text.is_empty() { "" } else { "\n" };
        let _ = write!(text, "{gap}{} ({}{stopped})", known.name, known.tier);
        if let Some(url) = &known.external_url {
            let _ = write!(text, " {url}");
        }
        let mut deployments = Vec::new();
        for row in state.deployments.iter().filter(|row| row.environment == known.id) {
            let tag = if row.tag { " (tag)" } else { "" };
            let _ = write!(text, "\n  {} {} {}{tag}", row.status, row.sha, row.git_ref);
            deployments.push(DeploymentView {
                status: row.status.clone(),
                sha: row.sha.clone(),
                git_ref: row.git_ref.clone(),
                tag: row.tag,
            });
        }
        environments.push(EnvironmentView {
            name: known.name.clone(),
            stopped: known.stopped,
            tier: known.tier.clone(),
            external_url: known.external_url.clone(),
            deployments,
        });
    }
    EnvironmentsView { environments, text: state.rename(&text) }
}
