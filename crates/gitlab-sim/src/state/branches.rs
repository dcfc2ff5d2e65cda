//! What a push sets off: hooks, new versions of merge requests, and merges by hand.

use super::State;
use crate::error::SimError;
use crate::git::ZERO_SHA;
use crate::hooks::{Trigger, payload};
use crate::ids::{ProjectId, UserId};

/// GitLab fires no push hook when one push changes more branches (or tags) than this.
const MOST_REFS: usize = 3;

/// One ref that a push moved. A missing side is [`ZERO_SHA`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefUpdate {
    /// Full name.
    pub(crate) name: String,
    pub(crate) before: String,
    pub(crate) after: String,
}

impl State {
    /// Moves, creates or deletes one ref, as a push of only this ref does.
    pub(crate) fn push_ref(
        &mut self,
        project: ProjectId,
        user: UserId,
        name: &str,
        after: Option<&str>,
    ) -> Result<(), SimError> {
        let repo = &self.project(project)?.repo;
        let before = repo.ref_target(name);
        match after {
            Some(after) => repo.set_ref(name, after)?,
            None if before.is_none() => return Err(SimError::unknown(name)),
            None => repo.delete_ref(name)?,
        }
        let update = RefUpdate {
            name: name.to_owned(),
            before: before.unwrap_or_else(|| ZERO_SHA.to_owned()),
            after: after.unwrap_or(ZERO_SHA).to_owned(),
        };
        self.after_push(project, user, &[update])
    }

    /// Everything that follows once the refs of one push have moved.
    pub(crate) fn after_push(
        &mut self,
        project: ProjectId,
        user: UserId,
        updates: &[RefUpdate],
    ) -> Result<(), SimError> {
        let moved: Vec<&RefUpdate> = updates.iter().filter(|u| u.before != u.after).collect();
        for (prefix, trigger) in [("refs/heads/", Trigger::Push), ("refs/tags/", Trigger::TagPush)]
        {
            let refs: Vec<_> = moved.iter().filter(|u| u.name.starts_with(prefix)).collect();
            for update in refs.iter().filter(|_| refs.len() <= MOST_REFS) {
                self.fire(project, trigger, |state| payload::push(state, project, user, update));
            }
        }
        for update in moved {
            let Some(branch) = update.name.strip_prefix("refs/heads/") else { continue };
            if update.after != ZERO_SHA {
                self.follow_source(project, user, branch, &update.after)?;
                self.notice_merges(project, user, branch, update)?;
            }
        }
        Ok(())
    }

    /// Gives the open merge requests of this source branch their new head.
    fn follow_source(
        &mut self,
        project: ProjectId,
        user: UserId,
        branch: &str,
        head: &str,
    ) -> Result<(), SimError> {
        let follows = |mr: &&super::MergeRequest| {
            mr.state == "opened"
                && mr.source_project == project
                && mr.source_branch == branch
                && mr.head() != head
        };
        let followers: Vec<_> = self
            .merge_requests
            .iter()
            .filter(follows)
            .map(|mr| (mr.reference(), mr.head().to_owned()))
            .collect();
        for (mr, oldrev) in followers {
            self.add_version(mr, head)?;
            self.system_note(mr, user, "added new commits");
            self.merge_request_hook(mr, user, "update", Some(&oldrev), &serde_json::json!({}));
        }
        Ok(())
    }

    /// Marks open merge requests as merged whose head the target branch contains since this push.
    fn notice_merges(
        &mut self,
        project: ProjectId,
        user: UserId,
        branch: &str,
        update: &RefUpdate,
    ) -> Result<(), SimError> {
        let open = |mr: &&super::MergeRequest| {
            mr.state == "opened" && mr.project == project && mr.target_branch == branch
        };
        let repo = self.project(project)?.repo.clone();
        let contained: Vec<_> = self
            .merge_requests
            .iter()
            .filter(open)
            .filter(|mr| repo.is_ancestor(mr.head(), &update.after))
            .filter(|mr| !repo.is_ancestor(mr.head(), &update.before))
            .map(super::MergeRequest::reference)
            .collect();
        for mr in contained {
            self.set_state(mr, user, "merged", "merge")?;
        }
        Ok(())
    }
}
