//! Pipelines, their composite status, and which of them a merge request shows.

use jiff::Timestamp;

use super::{Job, JobKind, JobState, MergeRequest, Pipeline, State};
use crate::error::SimError;
use crate::hooks::{Trigger, payload};
use crate::ids::{MergeRequestRef, PipelineId, ProjectId, UserId};

/// What a new pipeline is for.
#[derive(Debug, Clone)]
pub(crate) struct NewPipeline {
    pub(crate) project: ProjectId,
    pub(crate) sha: String,
    pub(crate) git_ref: String,
    pub(crate) tag: bool,
    pub(crate) source: String,
    pub(crate) merge_request: Option<MergeRequestRef>,
    pub(crate) user: UserId,
}

impl State {
    pub(crate) fn add_pipeline(&mut self, new: NewPipeline) -> PipelineId {
        let id = PipelineId(self.next_id("pipeline"));
        let iid = 1 + self.pipelines.values().filter(|p| p.project == new.project).count() as u64;
        let now = Timestamp::now();
        let pipeline = Pipeline {
            id,
            iid,
            project: new.project,
            sha: new.sha,
            git_ref: new.git_ref,
            tag: new.tag,
            source: new.source,
            merge_request: new.merge_request,
            user: new.user,
            status: JobState::Created,
            created_at: now,
            updated_at: now,
        };
        self.pipelines.insert(id, pipeline);
        id
    }

    pub(crate) fn pipeline(&self, id: PipelineId) -> Result<&Pipeline, SimError> {
        self.pipelines.get(&id).ok_or_else(|| SimError::unknown(format!("pipeline {id}")))
    }

    /// Adds a CI job to GitLab's own pipeline.
    pub(crate) fn add_build(&mut self, pipeline: &Pipeline, name: &str, state: JobState) {
        let now = Timestamp::now();
        let id = self.next_id("job");
        self.jobs.push(Job {
            id,
            pipeline: pipeline.id,
            kind: JobKind::Build,
            name: name.to_owned(),
            state,
            git_ref: pipeline.git_ref.clone(),
            user: pipeline.user,
            description: None,
            target_url: None,
            coverage: None,
            retried: false,
            created_at: now,
            started_at: (state == JobState::Running || state.is_final()).then_some(now),
            finished_at: state.is_final().then_some(now),
        });
    }

    /// Jobs of a pipeline that people see, oldest first.
    pub(crate) fn latest_jobs(&self, pipeline: PipelineId) -> impl Iterator<Item = &Job> {
        self.jobs.iter().filter(move |job| job.pipeline == pipeline && !job.retried)
    }

    /// Works the pipeline's status out of its jobs and fires the hook if it changed.
    pub(crate) fn refresh_pipeline(&mut self, id: PipelineId) {
        let states: Vec<JobState> = self.latest_jobs(id).map(|job| job.state).collect();
        let status = composite(&states);
        let Some(pipeline) = self.pipelines.get_mut(&id) else { return };
        if pipeline.status == status {
            return;
        }
        pipeline.status = status;
        pipeline.updated_at = Timestamp::now();
        let project = pipeline.project;
        self.fire(project, Trigger::Pipeline, |state| payload::pipeline(state, id));
    }

    /// Pipelines that the merge request lists: its own first, each group newest first.
    pub(crate) fn merge_request_pipelines(&self, mr: &MergeRequest) -> Vec<&Pipeline> {
        let own = |p: &&Pipeline| p.merge_request == Some(mr.reference());
        let branch = |p: &&Pipeline| {
            p.merge_request.is_none()
                && !p.tag
                && p.project == mr.source_project
                && p.git_ref == mr.source_branch
                && mr.commits.contains(&p.sha)
        };
        let newest_first = || self.pipelines.values().rev();
        newest_first().filter(own).chain(newest_first().filter(branch)).collect()
    }

    /// The pipeline that decides what the merge request's widget shows.
    pub(crate) fn head_pipeline(&self, mr: &MergeRequest) -> Option<&Pipeline> {
        self.merge_request_pipelines(mr).into_iter().find(|p| p.sha == mr.head())
    }
}

/// The status of a pipeline from the states of its latest jobs.
pub(crate) fn composite(states: &[JobState]) -> JobState {
    use JobState::{Canceled, Created, Failed, Manual, Pending, Running, Skipped, Success};
    let only = |allowed: &[JobState]| states.iter().all(|state| allowed.contains(state));
    let any = |state: JobState| states.contains(&state);
    if only(&[Skipped]) {
        Skipped
    } else if only(&[Success, Skipped]) {
        Success
    } else if only(&[Created]) {
        Created
    } else if only(&[Canceled, Success, Skipped]) {
        Canceled
    } else if only(&[Pending, Created, Skipped]) {
        Pending
    } else if any(Running) || any(Pending) {
        Running
    } else if any(Manual) {
        Manual
    } else if any(Created) {
        Running
    } else {
        Failed
    }
}
