//! Users, tokens, roles, projects: who may see and do what.

use jiff::Timestamp;

use super::{AccessLevel, Project, Scope, State, Token, User};
use crate::answer::Answer;
use crate::error::SimError;
use crate::git::{Repo, Signature};
use crate::ids::{ProjectId, UserId};

impl State {
    pub(crate) fn create_user(&mut self, username: &str, bot: bool) -> UserId {
        let id = UserId(self.next_id("user"));
        let mut name: String = username.replace(['_', '-'], " ");
        if let Some(first) = name.get_mut(0..1) {
            first.make_ascii_uppercase();
        }
        self.users.insert(id, User { username: username.to_owned(), name, bot });
        id
    }

    pub(crate) fn create_token(
        &mut self,
        user: UserId,
        scopes: &[Scope],
        expires_at: Option<jiff::civil::Date>,
    ) -> Result<String, SimError> {
        if !self.users.contains_key(&user) {
            return Err(SimError::unknown(format!("user {user}")));
        }
        let value = format!("glpat-{}", uuid::Uuid::now_v7().simple());
        self.tokens.push(Token {
            id: self.tokens.len() as u64 + 1,
            value: value.clone(),
            user,
            scopes: scopes.to_vec(),
            expires_at,
            revoked: false,
            created_at: Timestamp::now(),
        });
        Ok(value)
    }

    /// The token's row, or GitLab's three kinds of 401.
    pub(crate) fn authenticate(&self, value: &str) -> Result<&Token, Answer> {
        let token = self.tokens.iter().find(|token| token.value == value);
        let token = token.ok_or_else(|| Answer::message(401, "401 Unauthorized"))?;
        let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
        let reason = if token.revoked {
            "Token was revoked. You have to re-authorize from the user."
        } else if token.expires_at.is_some_and(|end| end <= today) {
            "Token is expired. You can either do re-authorization or token refresh."
        } else {
            return Ok(token);
        };
        let body = serde_json::json!({ "error": "invalid_token", "error_description": reason });
        Err(Answer::json(401, &body))
    }

    pub(crate) fn create_project(
        &mut self,
        path: &str,
        owner: UserId,
    ) -> Result<ProjectId, SimError> {
        let id = self.check_new_project(path, owner)?;
        let repo = Repo::init(self.root.join(format!("{id}.git")))?;
        self.add_project(id, path, owner, repo, None);
        Ok(id)
    }

    /// Copies a project into the user's own namespace.
    pub(crate) fn fork(&mut self, of: ProjectId, user: UserId) -> Result<ProjectId, SimError> {
        let path = format!("{}/{}", self.username(user), self.project(of)?.name());
        let id = self.check_new_project(&path, user)?;
        let upstream = self.project(of)?;
        let branch = upstream.default_branch.clone();
        let repo = Repo::fork(&upstream.repo, self.root.join(format!("{id}.git")))?;
        self.add_project(id, &path, user, repo, Some(of));
        self.project_mut(id)?.default_branch = branch;
        Ok(id)
    }

    fn check_new_project(&mut self, path: &str, owner: UserId) -> Result<ProjectId, SimError> {
        if !self.users.contains_key(&owner) {
            return Err(SimError::unknown(format!("user {owner}")));
        }
        self.check_path(path)?;
        Ok(ProjectId(self.next_id("project")))
    }

    fn check_path(&self, path: &str) -> Result<(), SimError> {
        let good = |part: &str| {
            !part.is_empty()
                && !part.starts_with(['.', '-'])
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        };
        if !path.contains('/') || !path.split('/').all(good) {
            return Err(SimError::refused(format!("{path:?} is no path like group/project")));
        }
        if self.projects.values().any(|project| project.path == path) {
            return Err(SimError::refused(format!("the path {path} has already been taken")));
        }
        Ok(())
    }

    pub(crate) fn rename_project(&mut self, id: ProjectId, path: &str) -> Result<(), SimError> {
        self.check_path(path)?;
        let project = self.project_mut(id)?;
        let former = std::mem::replace(&mut project.path, path.to_owned());
        project.former_paths.push(former);
        Ok(())
    }

    /// Forgets a project with its hooks. Merge requests that came from it stay in their target.
    pub(crate) fn delete_project(&mut self, id: ProjectId) -> Result<(), SimError> {
        self.project(id)?;
        self.projects.remove(&id);
        self.hooks.retain(|_, hook| hook.project != id);
        self.merge_requests.retain(|mr| mr.project != id);
        self.notes.retain(|_, note| note.merge_request.project != id);
        self.environments.retain(|known| known.project != id);
        self.deployments.retain(|known| known.project != id);
        Ok(())
    }

    fn add_project(
        &mut self,
        id: ProjectId,
        path: &str,
        owner: UserId,
        repo: Repo,
        forked_from: Option<ProjectId>,
    ) {
        let project = Project {
            id,
            path: path.to_owned(),
            former_paths: Vec::new(),
            repo,
            default_branch: "main".to_owned(),
            public: false,
            owner,
            members: [(owner, AccessLevel::Owner)].into(),
            protected_branches: std::collections::BTreeSet::new(),
            forked_from,
            pipeline_size_limit: 0,
            created_at: Timestamp::now(),
        };
        self.projects.insert(id, project);
    }

    /// Finds a project by number or path, if the user may see it. `Err` is GitLab's 404.
    pub(crate) fn visible_project(&self, name: &str, user: UserId) -> Result<ProjectId, Answer> {
        let by_id = name.parse().ok().map(ProjectId).filter(|id| self.projects.contains_key(id));
        let by_path = || self.projects.values().find(|project| project.path == name);
        let id = by_id.or_else(|| by_path().map(|project| project.id));
        let id = id.ok_or_else(|| Answer::not_found("Project"))?;
        self.level(id, user).map(|_| id).ok_or_else(|| Answer::not_found("Project"))
    }

    /// The project that had this path before it was renamed, if the user may see it.
    pub(crate) fn moved_project(&self, path: &str, user: UserId) -> Option<ProjectId> {
        let mut moved = self
            .projects
            .values()
            .filter(|project| project.former_paths.iter().any(|former| former == path));
        moved.find(|project| self.level(project.id, user).is_some()).map(|project| project.id)
    }

    /// The user's role, 0 for a public project seen by a stranger, `None` without any access.
    pub(crate) fn level(&self, project: ProjectId, user: UserId) -> Option<u8> {
        let project = self.projects.get(&project)?;
        let role = project.members.get(&user).map(|level| *level as u8);
        role.or(project.public.then_some(0))
    }

    /// 403 unless the user has at least this role.
    pub(crate) fn need(
        &self,
        project: ProjectId,
        user: UserId,
        level: AccessLevel,
    ) -> Result<(), Answer> {
        if self.level(project, user).is_some_and(|has| has >= level as u8) {
            return Ok(());
        }
        Err(Answer::forbidden())
    }

    /// Reading code, merge requests and statuses: Reporter, or anybody in a public project.
    pub(crate) fn need_read(&self, project: ProjectId, user: UserId) -> Result<(), Answer> {
        if self.projects.get(&project).is_some_and(|project| project.public) {
            return Ok(());
        }
        self.need(project, user, AccessLevel::Reporter)
    }

    pub(crate) fn signature(&self, user: UserId) -> Signature {
        let (name, username) = self
            .users
            .get(&user)
            .map_or(("Ghost", "ghost"), |user| (user.name.as_str(), user.username.as_str()));
        Signature {
            name: name.to_owned(),
            email: format!("{username}@example.test"),
            at: Timestamp::now().as_second(),
        }
    }
}
