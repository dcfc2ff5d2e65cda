//! GitLab's own pipelines with real CI jobs, beside which commit statuses have to live.

use jiff::Timestamp;

use super::Person;
use crate::error::SimError;
use crate::ids::{MergeRequestRef, PipelineId, ProjectId};
use crate::state::{JobKind, JobState, NewPipeline};

/// What a pipeline runs for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PipelineFor {
    /// The tip of a branch; source `push`.
    Branch(String),
    /// A tag; source `push`.
    Tag(String),
    /// The head of a merge request; source `merge_request_event`.
    MergeRequest(MergeRequestRef),
}

impl Person<'_> {
    /// Makes a pipeline with jobs, as if `.gitlab-ci.yml` asked for it. `project` is where it
    /// lives: for a fork's merge request that is the fork or the target.
    pub fn create_ci_pipeline(
        &self,
        project: ProjectId,
        what: &PipelineFor,
        jobs: &[(&str, JobState)],
    ) -> Result<PipelineId, SimError> {
        let mut state = self.sim.lock();
        let repo = state.project(project)?.repo.clone();
        let tip = |name: String| {
            repo.resolve(&name).ok_or_else(|| SimError::unknown(format!("branch or tag {name}")))
        };
        let (sha, git_ref, source, merge_request) = match what {
            PipelineFor::Branch(name) => {
                (tip(format!("refs/heads/{name}"))?, name.clone(), "push", None)
            }
            PipelineFor::Tag(name) => {
                (tip(format!("refs/tags/{name}"))?, name.clone(), "push", None)
            }
            PipelineFor::MergeRequest(mr) => {
                let known = state.merge_request(*mr)?;
                let head = known.head().to_owned();
                (head, known.head_ref(), "merge_request_event", Some(*mr))
            }
        };
        let id = state.add_pipeline(NewPipeline {
            project,
            sha,
            git_ref,
            tag: matches!(what, PipelineFor::Tag(_)),
            source: source.to_owned(),
            merge_request,
            user: self.id,
        });
        let pipeline = state.pipeline(id)?.clone();
        for (name, job) in jobs {
            state.add_build(&pipeline, name, *job);
        }
        let line = format!("{} {} pipeline {source}: created", state.path(project), pipeline.sha);
        state.tell(line);
        state.refresh_pipeline(id);
        Ok(id)
    }

    /// Moves one CI job.
    pub fn set_ci_job(
        &self,
        pipeline: PipelineId,
        name: &str,
        to: JobState,
    ) -> Result<(), SimError> {
        let mut state = self.sim.lock();
        let mut jobs = state.jobs.iter_mut();
        let job = jobs.find(|job| {
            job.pipeline == pipeline
                && job.kind == JobKind::Build
                && job.name == name
                && !job.retried
        });
        let job = job.ok_or_else(|| SimError::unknown(format!("job {name}")))?;
        let now = Timestamp::now();
        job.state = to;
        job.started_at = job.started_at.or(Some(now));
        job.finished_at = to.is_final().then_some(now);
        state.refresh_pipeline(pipeline);
        Ok(())
    }

    /// Ends all CI jobs of a pipeline that have not ended yet.
    pub fn finish_ci_pipeline(&self, pipeline: PipelineId, to: JobState) -> Result<(), SimError> {
        let open: Vec<String> = {
            let state = self.sim.lock();
            state.pipeline(pipeline)?;
            let jobs = state.latest_jobs(pipeline);
            let open = jobs.filter(|job| job.kind == JobKind::Build && !job.state.is_final());
            open.map(|job| job.name.clone()).collect()
        };
        open.iter().try_for_each(|name| self.set_ci_job(pipeline, name, to))
    }
}
