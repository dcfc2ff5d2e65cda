//! Environments and deployments, after `lib/api/environments.rb`, `lib/api/deployments.rb` and
//! the models behind them in GitLab.

use jiff::Timestamp;
use serde_json::json;

use super::{AccessLevel, Deployment, Environment, State};
use crate::answer::Answer;
use crate::hooks::{Trigger, payload};
use crate::ids::{ProjectId, UserId};

/// Parameters for making an environment.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewEnvironment {
    pub(crate) name: String,
    pub(crate) external_url: Option<String>,
    pub(crate) tier: Option<String>,
}

/// Parameters for making a deployment.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewDeployment {
    pub(crate) environment: String,
    pub(crate) sha: String,
    pub(crate) git_ref: String,
    pub(crate) tag: bool,
    pub(crate) status: String,
}

impl State {
    pub(crate) fn create_environment(
        &mut self,
        project: ProjectId,
        user: UserId,
        new: &NewEnvironment,
    ) -> Result<u64, Answer> {
        self.need(project, user, AccessLevel::Developer)?;
        check_name(&new.name)?;
        check_url(new.external_url.as_deref())?;
        check_tier(new.tier.as_deref())?;
        if self.environment_named(project, &new.name).is_some() {
            return Err(Answer::field("name", "has already been taken"));
        }
        Ok(self.add_environment(project, new))
    }

    pub(crate) fn environment_named(&self, project: ProjectId, name: &str) -> Option<&Environment> {
        self.environments.iter().find(|known| known.project == project && known.name == name)
    }

    fn add_environment(&mut self, project: ProjectId, new: &NewEnvironment) -> u64 {
        let id = self.next_id("environment");
        let now = Timestamp::now();
        let tier = new.tier.clone().unwrap_or_else(|| guess_tier(&new.name).to_owned());
        self.environments.push(Environment {
            id,
            project,
            name: new.name.clone(),
            slug: slug(&new.name, id),
            external_url: new.external_url.clone(),
            tier,
            stopped: false,
            created_at: now,
            updated_at: now,
        });
        let line = format!("{} environment {}: created", self.path(project), new.name);
        self.tell(line);
        id
    }

    /// Changes URL or tier. The name cannot be changed.
    pub(crate) fn update_environment(
        &mut self,
        project: ProjectId,
        user: UserId,
        id: u64,
        external_url: Option<String>,
        tier: Option<String>,
    ) -> Result<(), Answer> {
        self.need(project, user, AccessLevel::Developer)?;
        let environment = self.environment_mut(project, id)?;
        check_url(external_url.as_deref())?;
        check_tier(tier.as_deref())?;
        if external_url.is_some() {
            environment.external_url = external_url;
        }
        if let Some(tier) = tier {
            environment.tier = tier;
        }
        environment.updated_at = Timestamp::now();
        Ok(())
    }

    pub(crate) fn stop_environment(
        &mut self,
        project: ProjectId,
        user: UserId,
        id: u64,
    ) -> Result<(), Answer> {
        self.need(project, user, AccessLevel::Developer)?;
        let environment = self.environment_mut(project, id)?;
        if environment.stopped {
            return Ok(());
        }
        environment.stopped = true;
        environment.updated_at = Timestamp::now();
        let name = environment.name.clone();
        let line = format!("{} environment {name}: stopped", self.path(project));
        self.tell(line);
        Ok(())
    }

    pub(crate) fn delete_environment(
        &mut self,
        project: ProjectId,
        user: UserId,
        id: u64,
    ) -> Result<(), Answer> {
        self.need(project, user, AccessLevel::Developer)?;
        if !self.environment_mut(project, id)?.stopped {
            return Err(Answer::forbidden());
        }
        self.environments.retain(|known| known.id != id);
        self.deployments.retain(|known| known.environment != id);
        Ok(())
    }

    fn environment_mut(&mut self, project: ProjectId, id: u64) -> Result<&mut Environment, Answer> {
        let mut known = self.environments.iter_mut();
        let found = known.find(|known| known.project == project && known.id == id);
        found.ok_or_else(|| Answer::not_found("Environment"))
    }

    /// Makes a deployment and, if need be, its environment. A repeated `success` of the newest
    /// successful deployment gives that deployment back.
    pub(crate) fn create_deployment(
        &mut self,
        project: ProjectId,
        user: UserId,
        new: &NewDeployment,
    ) -> Result<u64, Answer> {
        self.need(project, user, AccessLevel::Developer)?;
        let repo = self.project(project)?.repo.clone();
        let named = ["refs/heads/", "refs/tags/"]
            .iter()
            .any(|prefix| repo.ref_target(&format!("{prefix}{}", new.git_ref)).is_some());
        if !named {
            return Err(Answer::field("ref", "The branch or tag does not exist"));
        }
        let known = self.environment_named(project, &new.environment).map(|known| known.id);
        let environment = if let Some(id) = known {
            id
        } else {
            check_name(&new.environment)?;
            let name = new.environment.clone();
            self.add_environment(project, &NewEnvironment { name, ..Default::default() })
        };
        let sha = repo.resolve(&new.sha).filter(|sha| *sha == new.sha);
        let sha = sha.ok_or_else(|| Answer::field("sha", "The commit does not exist"))?;
        if let Some(known) = self.last_success(environment)
            && (&known.sha, &known.git_ref, known.tag) == (&sha, &new.git_ref, new.tag)
            && new.status == "success"
        {
            return Ok(known.id);
        }
        let id = self.next_id("deployment");
        let iid = 1 + self.deployments.iter().filter(|d| d.project == project).count() as u64;
        let now = Timestamp::now();
        self.deployments.push(Deployment {
            id,
            iid,
            project,
            environment,
            sha,
            git_ref: new.git_ref.clone(),
            tag: new.tag,
            status: "created".to_owned(),
            user,
            created_at: now,
            updated_at: now,
            finished_at: None,
        });
        self.move_deployment(id, &new.status);
        Ok(id)
    }

    pub(crate) fn update_deployment(
        &mut self,
        project: ProjectId,
        user: UserId,
        id: u64,
        status: &str,
    ) -> Result<(), Answer> {
        self.need(project, user, AccessLevel::Developer)?;
        let found = self.deployments.iter().find(|d| d.project == project && d.id == id);
        let now = found.ok_or_else(|| Answer::not_found("Deployment"))?.status.as_str();
        let (event, legal) = match status {
            "running" => ("run", now == "created" || now == "blocked"),
            "success" => ("succeed", now != status),
            "failed" => ("drop", now != status),
            "canceled" => ("cancel", now != status),
            _ => return Err(Answer::bad_params("status does not have a valid value")),
        };
        if !legal {
            let text = format!("cannot transition via \"{event}\"");
            return Err(Answer::json(400, &json!({ "message": { "status": [text] } })));
        }
        self.move_deployment(id, status);
        Ok(())
    }

    fn move_deployment(&mut self, id: u64, status: &str) {
        let now = Timestamp::now();
        let Some(deployment) = self.deployments.iter_mut().find(|d| d.id == id) else { return };
        status.clone_into(&mut deployment.status);
        deployment.updated_at = now;
        deployment.finished_at = (status != "running").then_some(now);
        let (project, environment) = (deployment.project, deployment.environment);
        let (sha, git_ref) = (deployment.sha.clone(), deployment.git_ref.clone());
        let mut name = String::new();
        if let Some(known) = self.environments.iter_mut().find(|e| e.id == environment) {
            name.clone_from(&known.name);
            known.stopped &= status != "success";
        }
        let line = format!("{} deployment {name} {sha} {git_ref}: {status}", self.path(project));
        self.tell(line);
        self.fire(project, Trigger::Deployment, |state| payload::deployment(state, id));
    }

    pub(crate) fn delete_deployment(
        &mut self,
        project: ProjectId,
        user: UserId,
        id: u64,
    ) -> Result<(), Answer> {
        self.need(project, user, AccessLevel::Maintainer)?;
        let found = self.deployments.iter().find(|d| d.project == project && d.id == id);
        let found = found.ok_or_else(|| Answer::not_found("Deployment"))?;
        if found.status == "running" {
            return Err(Answer::message(400, "Cannot destroy running deployment"));
        }
        if self.last_success(found.environment).is_some_and(|last| last.id == id) {
            return Err(Answer::message(400, "Deployment currently deployed to environment"));
        }
        self.deployments.retain(|known| known.id != id);
        Ok(())
    }

    /// What runs in an environment now.
    pub(crate) fn last_success(&self, environment: u64) -> Option<&Deployment> {
        let mut newest_first = self.deployments.iter().rev();
        newest_first.find(|d| d.environment == environment && d.status == "success")
    }
}

fn check_name(name: &str) -> Result<(), Answer> {
    if name.trim().is_empty() {
        return Err(Answer::bad_params("environment is empty"));
    }
    if name.chars().count() > 255 {
        return Err(Answer::field("name", "is too long (maximum is 255 characters)"));
    }
    let good = |c: char| c.is_ascii_alphanumeric() || "-_/${}. ".contains(c);
    if !name.chars().all(good) || name.starts_with('/') || name.ends_with('/') {
        let text = "can contain only letters, digits, '-', '_', '/', '$', '{', '}', '.', and \
                    spaces, but it cannot start or end with '/'";
        return Err(Answer::field("name", text));
    }
    Ok(())
}

fn check_url(url: Option<&str>) -> Result<(), Answer> {
    match url {
        Some(url)
            if !url.is_empty() && !url.starts_with("http://") && !url.starts_with("https://") =>
        {
            let text = "is blocked: Only allowed schemes are http, https";
            Err(Answer::field("external_url", text))
        }
        Some(url) if url.chars().count() > 255 => {
            Err(Answer::field("external_url", "is too long (maximum is 255 characters)"))
        }
        _ => Ok(()),
    }
}

fn check_tier(tier: Option<&str>) -> Result<(), Answer> {
    let known = ["production", "staging", "testing", "development", "other"];
    match tier {
        Some(tier) if !known.contains(&tier) => {
            Err(Answer::bad_params("tier does not have a valid value"))
        }
        _ => Ok(()),
    }
}

fn guess_tier(name: &str) -> &'static str {
    let name = name.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if has(&["dev", "review", "trunk"]) {
        "development"
    } else if has(&["test", "tst", "int", "acc", "qa", "qc", "control", "quality"]) {
        "testing"
    } else if has(&["st", "pre", "demo", "model"]) {
        "staging"
    } else if has(&["pr", "live"]) {
        "production"
    } else {
        "other"
    }
}

/// At most 24 characters, with a suffix whenever it differs from the name.
fn slug(name: &str, id: u64) -> String {
    let lower = name.to_ascii_lowercase();
    let plain: String =
        lower.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    if plain == name && plain.len() <= 24 {
        return plain;
    }
    let head: String = plain.chars().take(17).collect();
    format!("{}-{id:06x}", head.trim_matches('-'))
}
