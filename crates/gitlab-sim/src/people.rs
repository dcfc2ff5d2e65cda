//! Acting as a person in the user interface. Each act changes the state as GitLab would and
//! fires the hooks that GitLab would fire. Acts run `git` and so block for some milliseconds.
//! People are trusted: their role is not looked at, except for quick actions in comments.

mod pipelines;

pub use pipelines::PipelineFor;

use crate::answer::Answer;
use crate::error::SimError;
use crate::ids::{MergeRequestRef, NoteId, ProjectId, UserId};
use crate::simulator::Simulator;
use crate::state::Posted;

/// Someone at work; made by [`Simulator::by`].
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    pub(crate) sim: &'a Simulator,
    pub(crate) id: UserId,
}

/// Where a merge request comes from and goes to.
#[derive(Debug, Clone)]
pub struct NewMergeRequest {
    /// The target itself, or a fork of it.
    pub source_project: ProjectId,
    /// Must exist in the source project.
    pub source_branch: String,
    /// The target project.
    pub project: ProjectId,
    /// Must exist in the target project.
    pub target_branch: String,
    /// A title that begins with `Draft:` makes a draft.
    pub title: String,
}

/// What became of a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Commented {
    /// It stands there.
    Note(NoteId),
    /// It held only quick actions; these were carried out and no comment exists.
    OnlyCommands(Vec<String>),
}

impl Person<'_> {
    /// Who this is.
    pub fn id(&self) -> UserId {
        self.id
    }

    /// Writes a commit without moving any branch. `base` is a branch, tag or sha; in an empty
    /// repository it is ignored. `None` as content deletes a file; a content that starts with
    /// `#!` makes it executable.
    pub fn commit(
        &self,
        project: ProjectId,
        base: &str,
        files: &[(&str, Option<&str>)],
        message: &str,
    ) -> Result<String, SimError> {
        let state = self.sim.lock();
        let repo = &state.project(project)?.repo;
        let parent = repo.resolve(base);
        if parent.is_none() && !repo.refs()?.is_empty() {
            return Err(SimError::unknown(format!("branch, tag or commit {base}")));
        }
        let files: Vec<_> =
            files.iter().map(|(path, text)| (*path, text.map(str::as_bytes))).collect();
        repo.commit(parent.as_deref(), &files, message, &state.signature(self.id))
    }

    /// Moves a branch to a commit, also backwards or sideways, or makes the branch.
    pub fn push(&self, project: ProjectId, branch: &str, sha: &str) -> Result<(), SimError> {
        let mut state = self.sim.lock();
        let sha = state.project(project)?.repo.resolve(sha);
        let sha = sha.ok_or_else(|| SimError::unknown("such a commit to push"))?;
        state.push_ref(project, self.id, &format!("refs/heads/{branch}"), Some(&sha))
    }

    /// Commits on top of the branch, or of the default branch if it does not exist yet, and
    /// pushes.
    pub fn commit_and_push(
        &self,
        project: ProjectId,
        branch: &str,
        files: &[(&str, Option<&str>)],
        message: &str,
    ) -> Result<String, SimError> {
        let base = {
            let state = self.sim.lock();
            let known = state.project(project)?;
            let exists = known.repo.ref_target(&format!("refs/heads/{branch}")).is_some();
            if exists { branch.to_owned() } else { known.default_branch.clone() }
        };
        let sha = self.commit(project, &base, files, message)?;
        self.push(project, branch, &sha)?;
        Ok(sha)
    }

    /// Deletes a branch.
    pub fn delete_branch(&self, project: ProjectId, branch: &str) -> Result<(), SimError> {
        let name = format!("refs/heads/{branch}");
        self.sim.lock().push_ref(project, self.id, &name, None)
    }

    /// Makes a tag: annotated if it has a message, else light.
    pub fn create_tag(
        &self,
        project: ProjectId,
        name: &str,
        sha: &str,
        message: Option<&str>,
    ) -> Result<(), SimError> {
        let mut state = self.sim.lock();
        let repo = &state.project(project)?.repo;
        let sha = repo.resolve(sha).ok_or_else(|| SimError::unknown("such a commit to tag"))?;
        let target = match message {
            Some(message) => repo.tag_object(name, &sha, message, &state.signature(self.id))?,
            None => sha,
        };
        state.push_ref(project, self.id, &format!("refs/tags/{name}"), Some(&target))
    }

    /// Deletes a tag.
    pub fn delete_tag(&self, project: ProjectId, name: &str) -> Result<(), SimError> {
        let name = format!("refs/tags/{name}");
        self.sim.lock().push_ref(project, self.id, &name, None)
    }

    /// Opens a merge request.
    pub fn open_merge_request(&self, new: NewMergeRequest) -> Result<MergeRequestRef, SimError> {
        self.sim.lock().open_merge_request(self.id, new)
    }

    /// Opens one inside a project, to its default branch.
    pub fn propose(
        &self,
        project: ProjectId,
        source_branch: &str,
        title: &str,
    ) -> Result<MergeRequestRef, SimError> {
        let target_branch = self.sim.lock().project(project)?.default_branch.clone();
        self.open_merge_request(NewMergeRequest {
            source_project: project,
            source_branch: source_branch.to_owned(),
            project,
            target_branch,
            title: title.to_owned(),
        })
    }

    /// Changes the title; `Draft:` at its start makes it a draft.
    pub fn set_title(&self, mr: MergeRequestRef, title: &str) -> Result<(), SimError> {
        self.sim.lock().set_title(mr, self.id, title)
    }

    /// Marks it as draft or as ready.
    pub fn set_draft(&self, mr: MergeRequestRef, draft: bool) -> Result<(), SimError> {
        self.sim.lock().set_draft(mr, self.id, draft)
    }

    /// Gives it exactly these labels.
    pub fn set_labels(&self, mr: MergeRequestRef, labels: &[&str]) -> Result<(), SimError> {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        self.sim.lock().set_labels(mr, self.id, labels)
    }

    /// Sends it to another branch.
    pub fn set_target_branch(&self, mr: MergeRequestRef, branch: &str) -> Result<(), SimError> {
        self.sim.lock().set_target_branch(mr, self.id, branch)
    }

    /// Closes it.
    pub fn close(&self, mr: MergeRequestRef) -> Result<(), SimError> {
        self.sim.lock().close(mr, self.id)
    }

    /// Opens it again.
    pub fn reopen(&self, mr: MergeRequestRef) -> Result<(), SimError> {
        self.sim.lock().reopen(mr, self.id)
    }

    /// Merges it with a merge commit, whose sha is returned.
    pub fn merge(&self, mr: MergeRequestRef) -> Result<String, SimError> {
        self.sim.lock().merge(mr, self.id)
    }

    /// Approves it.
    pub fn approve(&self, mr: MergeRequestRef) -> Result<(), SimError> {
        self.sim.lock().approve(mr, self.id, true)
    }

    /// Takes the approval back.
    pub fn unapprove(&self, mr: MergeRequestRef) -> Result<(), SimError> {
        self.sim.lock().approve(mr, self.id, false)
    }

    /// Comments; quick actions in the text are carried out.
    pub fn comment(&self, mr: MergeRequestRef, text: &str) -> Result<Commented, SimError> {
        self.write_note(mr, text, false)
    }

    /// Comments so that only members see it.
    pub fn comment_internally(
        &self,
        mr: MergeRequestRef,
        text: &str,
    ) -> Result<Commented, SimError> {
        self.write_note(mr, text, true)
    }

    fn write_note(
        &self,
        mr: MergeRequestRef,
        text: &str,
        internal: bool,
    ) -> Result<Commented, SimError> {
        let mut state = self.sim.lock();
        state.merge_request(mr)?;
        let posted = state.create_note(mr, self.id, text, internal).map_err(|a| refusal(&a))?;
        Ok(match posted {
            Posted::Note(id) => Commented::Note(id),
            Posted::OnlyCommands(applied) => Commented::OnlyCommands(applied.summary),
        })
    }

    /// Edits a comment. A Maintainer may edit those of others.
    pub fn edit_comment(
        &self,
        mr: MergeRequestRef,
        note: NoteId,
        text: &str,
    ) -> Result<(), SimError> {
        let mut state = self.sim.lock();
        state.edit_note(mr, note, self.id, text).map(drop).map_err(|answer| refusal(&answer))
    }

    /// Deletes a comment. A Maintainer may delete those of others.
    pub fn delete_comment(&self, mr: MergeRequestRef, note: NoteId) -> Result<(), SimError> {
        self.sim.lock().delete_note(mr, note, self.id).map_err(|answer| refusal(&answer))
    }
}

fn refusal(answer: &Answer) -> SimError {
    SimError::refused(String::from_utf8_lossy(&answer.body))
}
