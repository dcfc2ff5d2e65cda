//! Commit statuses: which pipeline takes them, which row changes, which change is refused.
//! Follows `lib/api/commit_statuses.rb`, `app/services/ci/create_commit_status_service.rb` and
//! `app/models/commit_status.rb` of GitLab.

use jiff::Timestamp;

use super::pipelines::NewPipeline;
use super::{AccessLevel, Job, JobKind, JobState, Pipeline, State};
use crate::answer::Answer;
use crate::ids::{PipelineId, ProjectId, UserId};

/// Parameters of `POST /projects/:id/statuses/:sha`.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewStatus {
    pub(crate) sha: String,
    pub(crate) state: Option<String>,
    pub(crate) git_ref: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) target_url: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) coverage: Option<f64>,
    pub(crate) pipeline_id: Option<u64>,
}

/// Parameters of the list.
#[derive(Debug, Clone, Default)]
pub(crate) struct StatusFilter {
    pub(crate) sha: String,
    pub(crate) git_ref: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) pipeline_id: Option<u64>,
    pub(crate) all: bool,
}

impl State {
    /// Posts a status and returns its row.
    pub(crate) fn post_status(
        &mut self,
        project: ProjectId,
        user: UserId,
        new: &NewStatus,
    ) -> Result<Job, Answer> {
        self.need(project, user, AccessLevel::Developer)?;
        let wanted = wanted_state(new)?;
        let sha = self.project(project)?.repo.resolve(&new.sha);
        let sha = sha.ok_or_else(|| Answer::not_found("Commit"))?;
        let pipeline = self.choose_pipeline(project, user, &sha, new)?;
        if self.needs_maintainer(&pipeline) {
            self.need(project, user, AccessLevel::Maintainer)?;
        }
        let name = new.name.clone().unwrap_or_else(|| "default".to_owned());
        let clash =
            self.latest_jobs(pipeline.id).any(|job| job.kind == JobKind::Build && job.name == name);
        if clash {
            return Err(Answer::field("name", "has already been taken"));
        }
        check_texts(new)?;
        let job = match self.updatable(&pipeline, &name, new.git_ref.as_deref(), user) {
            Some(index) => self.update_status(index, wanted, new)?,
            None => self.add_status(&pipeline, name, wanted, user, new),
        };
        let line = format!(
            "{} {} {}: {}{}",
            self.path(project),
            pipeline.sha,
            job.name,
            job.state,
            job.description.as_deref().map(|text| format!(" \"{text}\"")).unwrap_or_default()
        );
        self.tell(line);
        self.refresh_pipeline(pipeline.id);
        Ok(job)
    }

    fn choose_pipeline(
        &mut self,
        project: ProjectId,
        user: UserId,
        sha: &str,
        new: &NewStatus,
    ) -> Result<Pipeline, Answer> {
        let newest_first = self.pipelines.values().rev();
        let found = newest_first
            .filter(|p| p.project == project && p.sha == sha)
            .filter(|p| new.git_ref.as_ref().is_none_or(|wanted| &p.git_ref == wanted))
            .find(|p| new.pipeline_id.is_none_or(|wanted| p.id.0 == wanted))
            .cloned();
        let limit = self.project(project)?.pipeline_size_limit;
        match found {
            Some(pipeline) => {
                let jobs = self.jobs.iter().filter(|job| job.pipeline == pipeline.id).count();
                if limit == 0 || jobs < limit {
                    return Ok(pipeline);
                }
                if new.pipeline_id.is_some() {
                    let text = "The number of jobs has exceeded the limit";
                    return Err(Answer::message(422, text));
                }
            }
            None if new.pipeline_id.is_some() => {
                return Err(Answer::not_found("Pipeline for pipeline_id, sha and ref"));
            }
            None => {}
        }
        self.external_pipeline(project, user, sha, new.git_ref.as_deref())
    }

    fn external_pipeline(
        &mut self,
        project: ProjectId,
        user: UserId,
        sha: &str,
        git_ref: Option<&str>,
    ) -> Result<Pipeline, Answer> {
        let repo = self.project(project)?.repo.clone();
        let git_ref = if let Some(name) = git_ref {
            name.trim_start_matches("refs/heads/").to_owned()
        } else {
            let first = repo.branches_containing(sha).into_iter().next();
            first.ok_or_else(|| Answer::not_found("References for commit"))?
        };
        let is_branch = repo.ref_target(&format!("refs/heads/{git_ref}")).is_some();
        let is_tag = !is_branch && repo.ref_target(&format!("refs/tags/{git_ref}")).is_some();
        let id = self.add_pipeline(NewPipeline {
            project,
            sha: sha.to_owned(),
            git_ref,
            tag: is_tag,
            source: "external".to_owned(),
            merge_request: None,
            user,
        });
        Ok(self.pipeline(id)?.clone())
    }

    fn needs_maintainer(&self, pipeline: &Pipeline) -> bool {
        let protected = |project: &super::Project| {
            pipeline.merge_request.is_none()
                && !pipeline.tag
                && project.protected_branches.contains(&pipeline.git_ref)
        };
        self.projects.get(&pipeline.project).is_some_and(protected)
    }

    /// The row that this user may still move: same pipeline, name and ref, not ended.
    fn updatable(
        &self,
        pipeline: &Pipeline,
        name: &str,
        git_ref: Option<&str>,
        user: UserId,
    ) -> Option<usize> {
        let git_ref = git_ref.unwrap_or(&pipeline.git_ref);
        self.jobs.iter().position(|job| {
            job.pipeline == pipeline.id
                && job.kind == JobKind::External
                && job.name == name
                && job.git_ref == git_ref
                && job.user == user
                && matches!(job.state, JobState::Pending | JobState::Running)
        })
    }

    fn update_status(
        &mut self,
        index: usize,
        wanted: JobState,
        new: &NewStatus,
    ) -> Result<Job, Answer> {
        let job = &mut self.jobs[index];
        if let Some(event) = refused_event(job.state, wanted) {
            let text = format!(
                "Cannot transition status via :{event} from :{} (Reason(s): Status cannot \
                 transition via \"{event}\")",
                job.state
            );
            return Err(Answer::message(400, &text));
        }
        let now = Timestamp::now();
        job.state = wanted;
        if wanted == JobState::Running {
            job.started_at = Some(now);
        } else if wanted.is_final() {
            job.finished_at = Some(now);
        }
        job.target_url = new.target_url.clone().or(job.target_url.take());
        job.description = new.description.clone().or(job.description.take());
        job.coverage = new.coverage.or(job.coverage);
        Ok(job.clone())
    }

    fn add_status(
        &mut self,
        pipeline: &Pipeline,
        name: String,
        state: JobState,
        user: UserId,
        new: &NewStatus,
    ) -> Job {
        for job in &mut self.jobs {
            if job.pipeline == pipeline.id && job.name == name {
                job.retried = true;
            }
        }
        let now = Timestamp::now();
        let job = Job {
            id: self.next_id("job"),
            pipeline: pipeline.id,
            kind: JobKind::External,
            name,
            state,
            git_ref: new.git_ref.clone().unwrap_or_else(|| pipeline.git_ref.clone()),
            user,
            description: new.description.clone(),
            target_url: new.target_url.clone(),
            coverage: new.coverage,
            retried: false,
            created_at: now,
            started_at: (state != JobState::Pending).then_some(now),
            finished_at: state.is_final().then_some(now),
        };
        self.jobs.push(job.clone());
        job
    }

    /// Rows of a commit, oldest first. The sha is compared as it is: a short one finds nothing.
    pub(crate) fn statuses(&self, project: ProjectId, filter: &StatusFilter) -> Vec<&Job> {
        let wanted = |job: &&Job| {
            let Some(pipeline) = self.pipelines.get(&job.pipeline) else { return false };
            pipeline.project == project
                && pipeline.sha == filter.sha
                && (filter.all || !job.retried)
                && filter.pipeline_id.is_none_or(|id| pipeline.id == PipelineId(id))
                && filter.git_ref.as_ref().is_none_or(|name| &job.git_ref == name)
                && filter.name.as_ref().is_none_or(|name| &job.name == name)
        };
        self.jobs.iter().filter(wanted).collect()
    }
}

fn wanted_state(new: &NewStatus) -> Result<JobState, Answer> {
    let text = match new.state.as_deref() {
        None => "state is missing, state does not have a valid value",
        Some("pending") => return Ok(JobState::Pending),
        Some("running") => return Ok(JobState::Running),
        Some("success") => return Ok(JobState::Success),
        Some("failed") => return Ok(JobState::Failed),
        Some("canceled") => return Ok(JobState::Canceled),
        Some("skipped") => return Ok(JobState::Skipped),
        Some(_) => "state does not have a valid value",
    };
    Err(Answer::bad_params(text))
}

fn check_texts(new: &NewStatus) -> Result<(), Answer> {
    let texts =
        [("ref", &new.git_ref), ("target_url", &new.target_url), ("description", &new.description)];
    for (field, text) in texts {
        if text.as_ref().is_some_and(|text| text.chars().count() > 255) {
            return Err(Answer::field(field, "is too long (maximum is 255 characters)"));
        }
    }
    let web = |url: &String| url.starts_with("http://") || url.starts_with("https://");
    if new.target_url.as_ref().is_some_and(|url| !web(url)) {
        let text = "is blocked: Only allowed schemes are http, https";
        return Err(Answer::field("target_url", text));
    }
    Ok(())
}

/// The state machine's event that a pending or running row does not accept.
fn refused_event(from: JobState, to: JobState) -> Option<&'static str> {
    match (from, to) {
        (JobState::Pending | JobState::Running, JobState::Pending) => Some("enqueue"),
        (JobState::Running, JobState::Running) => Some("run"),
        (JobState::Running, JobState::Skipped) => Some("skip"),
        _ => None,
    }
}
