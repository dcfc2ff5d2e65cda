//! Looking at the instance: calls that came in, and what a person would see.

use super::Simulator;
use crate::error::SimError;
use crate::ids::{MergeRequestRef, PipelineId, ProjectId};
use crate::record::Call;
use crate::route::Route;
use crate::view::{self, EnvironmentsView, MergeRequestView, PipelineView};

impl Simulator {
    /// All API requests so far, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// Those that were not reads, whatever came of them.
    pub fn writes(&self) -> Vec<Call> {
        self.lock().calls.iter().filter(|call| call.is_write()).cloned().collect()
    }

    /// How often an endpoint was called.
    pub fn count(&self, route: Route) -> usize {
        self.lock().calls.iter().filter(|call| call.route == route).count()
    }

    /// Waits until an endpoint has been called at least this often since the start.
    pub async fn wait_for_calls(&self, route: Route, count: usize) {
        self.wait_until(|sim| sim.count(route) >= count).await;
    }

    /// Waits until the instance is so. Looks again after every API call and delivery; put a
    /// time limit around it.
    pub async fn wait_until(&self, is_so: impl Fn(&Self) -> bool) {
        let mut changed = self.lock().watch();
        loop {
            changed.borrow_and_update();
            if is_so(self) || changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// The commit at the tip of a branch.
    pub fn branch_head(&self, project: ProjectId, branch: &str) -> Result<String, SimError> {
        let head = self.lock().project(project)?.repo.ref_target(&format!("refs/heads/{branch}"));
        head.ok_or_else(|| SimError::unknown(format!("branch {branch}")))
    }

    /// Path of a project as people write it.
    pub fn project_path(&self, project: ProjectId) -> Result<String, SimError> {
        Ok(self.lock().project(project)?.path.clone())
    }

    /// Where people look at a project; its repository is there with `.git` behind it.
    pub fn project_url(&self, project: ProjectId) -> String {
        self.lock().project_url(project)
    }

    /// Where people look at a merge request.
    pub fn merge_request_url(&self, mr: MergeRequestRef) -> String {
        format!("{}/-/merge_requests/{}", self.project_url(mr.project), mr.iid)
    }

    /// Calls a commit by a name in views and the timeline, so that snapshots stay the same.
    pub fn name_sha(&self, sha: &str, name: &str) {
        self.lock().names.insert(sha.to_owned(), name.to_owned());
    }

    /// Visible changes so far, one line each, oldest first: statuses, comments, deployments,
    /// environments, merge requests. Commits stand by their names or first 8 digits.
    pub fn timeline(&self) -> Vec<String> {
        let state = self.lock();
        state.timeline.iter().map(|line| state.rename(line)).collect()
    }

    /// Every pipeline of a commit in a project, newest first.
    pub fn pipeline_views(&self, project: ProjectId, sha: &str) -> Vec<PipelineView> {
        let state = self.lock();
        let newest_first = state.pipelines.values().rev();
        let of_commit = newest_first.filter(|p| p.project == project && p.sha == sha);
        of_commit.map(|pipeline| view::pipeline(&state, pipeline)).collect()
    }

    /// One pipeline.
    pub fn pipeline_view(&self, pipeline: PipelineId) -> Result<PipelineView, SimError> {
        let state = self.lock();
        Ok(view::pipeline(&state, state.pipeline(pipeline)?))
    }

    /// What a person sees on a merge request's page.
    pub fn merge_request_page(&self, mr: MergeRequestRef) -> Result<MergeRequestView, SimError> {
        let state = self.lock();
        Ok(view::merge_request(&state, state.merge_request(mr)?))
    }

    /// What a person sees on a project's Environments page.
    pub fn environment_page(&self, project: ProjectId) -> Result<EnvironmentsView, SimError> {
        let state = self.lock();
        state.project(project)?;
        Ok(view::environments(&state, project))
    }
}
