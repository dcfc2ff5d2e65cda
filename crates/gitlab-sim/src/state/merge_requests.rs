//! The life of a merge request. Every change fires the hook that GitLab would fire.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{MergeRequest, State, Version};
use crate::error::SimError;
use crate::hooks::{Trigger, payload};
use crate::ids::{MergeRequestRef, UserId};
use crate::people::NewMergeRequest;

/// Commits of one version that are kept for finding pipelines.
const MOST_COMMITS: usize = 1_000;

impl State {
    pub(crate) fn open_merge_request(
        &mut self,
        user: UserId,
        new: NewMergeRequest,
    ) -> Result<MergeRequestRef, SimError> {
        let branch = format!("refs/heads/{}", new.source_branch);
        let head = self.project(new.source_project)?.repo.ref_target(&branch);
        let head = head.ok_or_else(|| SimError::unknown(format!("branch {branch}")))?;
        let twin = self.merge_requests.iter().find(|mr| {
            mr.state == "opened"
                && (mr.project, mr.source_project) == (new.project, new.source_project)
                && (&mr.source_branch, &mr.target_branch)
                    == (&new.source_branch, &new.target_branch)
        });
        if let Some(twin) = twin {
            let iid = twin.iid;
            let text = "Another open merge request already exists for this source branch";
            return Err(SimError::refused(format!("{text}: !{iid}")));
        }
        let iid =
            1 + self.merge_requests.iter().filter(|m| m.project == new.project).count() as u64;
        let now = Timestamp::now();
        let mr = MergeRequest {
            id: self.next_id("merge_request"),
            iid,
            project: new.project,
            source_project: new.source_project,
            source_branch: new.source_branch,
            target_branch: new.target_branch,
            title: new.title,
            description: String::new(),
            labels: Vec::new(),
            state: "opened",
            author: user,
            versions: Vec::new(),
            commits: BTreeSet::new(),
            merge_commit: None,
            prepared: true,
            created_at: now,
            updated_at: now,
        };
        let reference = mr.reference();
        self.merge_requests.push(mr);
        if let Err(error) = self.add_version(reference, &head) {
            self.merge_requests.pop();
            return Err(error);
        }
        self.merge_request_hook(reference, user, "open", None, &json!({}));
        Ok(reference)
    }

    /// Records new code: the head ref of the target repository follows.
    pub(crate) fn add_version(&mut self, mr: MergeRequestRef, head: &str) -> Result<(), SimError> {
        let known = self.merge_request(mr)?;
        let (target, source) = (self.project(known.project)?, self.project(known.source_project)?);
        let (repo, head_ref) = (target.repo.clone(), known.head_ref());
        if known.project == known.source_project {
            repo.set_ref(&head_ref, head)?;
        } else {
            repo.take_from(&source.repo, head, &head_ref)?;
        }
        let branch = format!("refs/heads/{}", known.target_branch);
        let start = repo.ref_target(&branch);
        let start = start.ok_or_else(|| SimError::unknown(format!("branch {branch}")))?;
        let base = repo.merge_base(&start, head).unwrap_or_else(|| start.clone());
        let commits = repo.log(Some(&base), head, MOST_COMMITS)?;
        let files = repo.count_changed(&base, head)?;
        let id = self.next_id("version");
        let now = Timestamp::now();
        let known = self.merge_request_mut(mr)?;
        known.commits.insert(head.to_owned());
        known.commits.extend(commits.into_iter().map(|commit| commit.sha));
        let head = head.to_owned();
        known.versions.push(Version { id, head, base, start, files, created_at: now });
        known.updated_at = now;
        Ok(())
    }

    pub(crate) fn close(&mut self, mr: MergeRequestRef, user: UserId) -> Result<(), SimError> {
        self.expect_state(mr, "opened")?;
        self.set_state(mr, user, "closed", "close")
    }

    pub(crate) fn reopen(&mut self, mr: MergeRequestRef, user: UserId) -> Result<(), SimError> {
        self.expect_state(mr, "closed")?;
        self.set_state(mr, user, "opened", "reopen")
    }

    /// Merges with a merge commit and returns its sha.
    pub(crate) fn merge(&mut self, mr: MergeRequestRef, user: UserId) -> Result<String, SimError> {
        self.expect_state(mr, "opened")?;
        let known = self.merge_request(mr)?;
        if known.draft() {
            return Err(SimError::refused(format!("{mr} is a draft; mark it ready first")));
        }
        let repo = self.project(known.project)?.repo.clone();
        let branch = format!("refs/heads/{}", known.target_branch);
        let tip = repo.ref_target(&branch);
        let tip = tip.ok_or_else(|| SimError::unknown(format!("branch {branch}")))?;
        let message = format!(
            "Merge branch '{}' into '{}'\n\n{}\n\nSee merge request {}!{}",
            known.source_branch,
            known.target_branch,
            known.title,
            self.path(mr.project),
            mr.iid
        );
        let sha = repo.merge(&tip, known.head(), &message, &self.signature(user))?;
        self.merge_request_mut(mr)?.merge_commit = Some(sha.clone());
        self.set_state(mr, user, "merged", "merge")?;
        self.push_ref(mr.project, user, &branch, Some(&sha))?;
        Ok(sha)
    }

    fn expect_state(&self, mr: MergeRequestRef, state: &str) -> Result<(), SimError> {
        let known = self.merge_request(mr)?;
        if known.state == state {
            return Ok(());
        }
        Err(SimError::refused(format!("{mr} is {}, not {state}", known.state)))
    }

    pub(super) fn set_state(
        &mut self,
        mr: MergeRequestRef,
        user: UserId,
        state: &'static str,
        action: &str,
    ) -> Result<(), SimError> {
        let known = self.merge_request_mut(mr)?;
        known.state = state;
        known.updated_at = Timestamp::now();
        let line = format!("{} {mr}: {state}", self.path(mr.project));
        self.system_note(mr, user, if state == "opened" { "reopened" } else { state });
        self.tell(line);
        self.merge_request_hook(mr, user, action, None, &json!({}));
        Ok(())
    }

    pub(crate) fn set_title(
        &mut self,
        mr: MergeRequestRef,
        user: UserId,
        title: &str,
    ) -> Result<(), SimError> {
        let known = self.merge_request_mut(mr)?;
        if title.trim().is_empty() || known.title == title {
            return Err(SimError::refused("the title is empty or the same as before"));
        }
        let draft_before = known.draft();
        let previous = std::mem::replace(&mut known.title, title.to_owned());
        let draft = known.draft();
        let mut changes = json!({ "title": { "previous": previous, "current": title } });
        if draft != draft_before {
            changes["draft"] = json!({ "previous": draft_before, "current": draft });
        }
        self.updated(mr, user, &changes)
    }

    pub(crate) fn set_draft(
        &mut self,
        mr: MergeRequestRef,
        user: UserId,
        draft: bool,
    ) -> Result<(), SimError> {
        let known = self.merge_request(mr)?;
        if known.draft() == draft {
            return Err(SimError::refused(format!("{mr} already is so")));
        }
        let title = if draft {
            format!("Draft: {}", known.title)
        } else {
            let end = known.title.find([':', ']', ')']).map_or(0, |at| at + 1);
            known.title[end..].trim_start().to_owned()
        };
        self.set_title(mr, user, &title)
    }

    pub(crate) fn set_labels(
        &mut self,
        mr: MergeRequestRef,
        user: UserId,
        mut labels: Vec<String>,
    ) -> Result<(), SimError> {
        labels.sort();
        labels.dedup();
        let known = self.merge_request_mut(mr)?;
        if known.labels == labels {
            return Err(SimError::refused(format!("{mr} already has these labels")));
        }
        let previous = std::mem::replace(&mut known.labels, labels.clone());
        let pair = json!({
            "previous": payload::labels(mr.project, &previous),
            "current": payload::labels(mr.project, &labels),
        });
        self.updated(mr, user, &json!({ "labels": pair }))
    }

    pub(crate) fn set_target_branch(
        &mut self,
        mr: MergeRequestRef,
        user: UserId,
        branch: &str,
    ) -> Result<(), SimError> {
        let full = format!("refs/heads/{branch}");
        if self.project(mr.project)?.repo.ref_target(&full).is_none() {
            return Err(SimError::unknown(format!("branch {branch}")));
        }
        let known = self.merge_request_mut(mr)?;
        let head = known.head().to_owned();
        let previous = std::mem::replace(&mut known.target_branch, branch.to_owned());
        self.add_version(mr, &head)?;
        let changes = json!({ "target_branch": { "previous": previous, "current": branch } });
        self.updated(mr, user, &changes)
    }

    pub(crate) fn approve(
        &mut self,
        mr: MergeRequestRef,
        user: UserId,
        yes: bool,
    ) -> Result<(), SimError> {
        self.merge_request(mr)?;
        let changed = if yes {
            self.approvals.insert((mr, user))
        } else {
            self.approvals.remove(&(mr, user))
        };
        if !changed {
            return Err(SimError::refused("the approval already is so"));
        }
        let action = if yes { "approved" } else { "unapproved" };
        let line = format!("{} {mr}: {action} by {}", self.path(mr.project), self.username(user));
        self.tell(line);
        self.merge_request_hook(mr, user, action, None, &json!({}));
        Ok(())
    }

    /// Fires `update`, as GitLab does for any change of the form's fields.
    pub(crate) fn updated(
        &mut self,
        mr: MergeRequestRef,
        user: UserId,
        changes: &Value,
    ) -> Result<(), SimError> {
        self.merge_request_mut(mr)?.updated_at = Timestamp::now();
        self.merge_request_hook(mr, user, "update", None, changes);
        Ok(())
    }

    pub(super) fn merge_request_hook(
        &mut self,
        mr: MergeRequestRef,
        user: UserId,
        action: &str,
        oldrev: Option<&str>,
        changes: &Value,
    ) {
        self.fire(mr.project, Trigger::MergeRequests, |state| {
            payload::merge_request(state, mr, user, action, oldrev, changes)
        });
    }
}
