//! What people do in a story. Each act fires the hooks that GitLab would fire.

use std::sync::atomic::Ordering;

use aldis_gitlab_sim::{Commented, MergeRequestRef, NewMergeRequest, NoteId, Person, ProjectId};

use crate::story::Story;

impl Story {
    /// The developer of all projects.
    pub fn alice(&self) -> Person<'_> {
        self.sim.by(self.alice)
    }

    /// Calls a commit by a name in all texts.
    pub fn name(&self, sha: &str, name: &str) {
        self.sim.name_sha(sha, name);
        let mut names = self.names.lock().expect("no story panics while it names");
        names.insert(name.to_owned(), sha.to_owned());
    }

    /// The commit of this name.
    pub fn sha(&self, name: &str) -> String {
        let names = self.names.lock().expect("no story panics while it names");
        names.get(name).cloned().unwrap_or_else(|| panic!("no commit is called {name}"))
    }

    /// Commits on top of the branch, or of the default branch if it is new, pushes, and calls the
    /// commit `name`.
    pub fn push(&self, name: &str, branch: &str, files: &[(&str, &str)]) -> String {
        self.push_to(self.project, name, branch, files)
    }

    /// The same in another project.
    pub fn push_to(
        &self,
        project: ProjectId,
        name: &str,
        branch: &str,
        files: &[(&str, &str)],
    ) -> String {
        let files: Vec<_> = files.iter().map(|(path, text)| (*path, Some(*text))).collect();
        let message = format!("Commit {name}");
        let sha = self.alice().commit_and_push(project, branch, &files, &message);
        let sha = sha.expect("a commit on the branch");
        self.name(&sha, name);
        sha
    }

    /// Opens a merge request from the branch to the default branch.
    pub fn propose(&self, branch: &str) -> MergeRequestRef {
        self.alice().propose(self.project, branch, "Change").expect("a merge request")
    }

    /// Commits to the branch `feature`, pushes, and opens a merge request from it.
    pub fn propose_commit(&self, name: &str, files: &[(&str, &str)]) -> MergeRequestRef {
        self.push(name, "feature", files);
        self.propose("feature")
    }

    /// Opens a merge request between two branches of the project.
    pub fn propose_to(&self, branch: &str, target: &str) -> MergeRequestRef {
        let new = NewMergeRequest {
            source_project: self.project,
            source_branch: branch.to_owned(),
            project: self.project,
            target_branch: target.to_owned(),
            title: "Change".to_owned(),
        };
        self.alice().open_merge_request(new).expect("a merge request")
    }

    /// Has the bot's own user write a comment, as an operator with its token could.
    pub fn comment_as_bot(&self, mr: MergeRequestRef, text: &str) {
        self.own_comments.fetch_add(1, Ordering::Relaxed);
        self.sim.by(self.bot_user).comment(mr, text).expect("a comment");
    }

    /// Writes a comment that is more than quick actions.
    pub fn comment(&self, mr: MergeRequestRef, text: &str) -> NoteId {
        match self.alice().comment(mr, text).expect("a comment") {
            Commented::Note(id) => id,
            Commented::OnlyCommands(done) => panic!("GitLab took it for quick actions: {done:?}"),
        }
    }
}
