//! Facts from GitLab that a plan is made of.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use aldis_domain::change::{ConfigFound, DEVELOPER, asks_to_skip, trust};
use aldis_domain::config::{Config, effective, read};
use aldis_domain::event::change::{ConfigBasis, MergeRequestFacts, Trust};
use aldis_domain::id::{ProjectKey, Sha};
use aldis_gitlab::{FileChange, MergeRequest};

use aldis_domain::planning::Facts;

use crate::project::Project;
use crate::{PlanError, Planner};

/// The config file's name at the repository's root.
pub(crate) const CONFIG_FILE: &str = ".aldis.yml";
/// More is not read: the reader refuses files over 256 KiB, and says so.
const CONFIG_LIMIT: usize = 300 * 1024;
const REMEMBERED_FILES: usize = 64;

/// Config files by commit. A file at a commit never changes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Files(Arc<Mutex<VecDeque<ConfigFile>>>);

#[derive(Debug)]
struct ConfigFile {
    project: ProjectKey,
    sha: Sha,
    /// `None`: there is none at this commit.
    text: Option<Vec<u8>>,
}

/// What is remembered of a file.
enum Remembered {
    Unknown,
    Known(Option<Vec<u8>>),
}

impl Planner {
    /// The config file at a commit, or at a branch; `None`: there is none.
    pub(crate) async fn config_file(
        &self,
        project: ProjectKey,
        at: &str,
    ) -> Result<Option<Vec<u8>>, PlanError> {
        let sha = at.parse::<Sha>().ok();
        if let Some(sha) = &sha
            && let Remembered::Known(text) = self.files.recent(project, sha)
        {
            return Ok(text);
        }
        let answer = self.gitlab.project(project.id).file(CONFIG_FILE, at, CONFIG_LIMIT).await;
        let file = match answer {
            // Longer than we read: the reader says so in its own words.
            Err(aldis_gitlab::Error::TooLong(_)) => Some(vec![b'#'; CONFIG_LIMIT]),
            other => other?.map(|bytes| bytes.to_vec()),
        };
        if let Some(sha) = sha {
            self.files.remember(project, sha, file.clone());
        }
        Ok(file)
    }

    /// What is planned for a branch or tag: everything at its own commit, by people who may push.
    /// `skip`: it asks to be skipped, by the commit that the caller has read.
    pub(crate) async fn ref_facts(
        &self,
        project: &Project,
        name: &str,
        head: &Sha,
        before: Option<&Sha>,
        skip: bool,
    ) -> Result<Facts, PlanError> {
        let short = aldis_domain::stream::short_name(name);
        let tag = name.starts_with("refs/tags/");
        let (file, changed) = tokio::join!(self.config_file(project.key, head.as_str()), async {
            if tag { Ok(None) } else { self.pushed_paths(project, short, before, head).await }
        },);
        let file = file?;
        Ok(Facts {
            head: head.clone(),
            merge_request: None,
            trust: Trust::Member,
            access_level: DEVELOPER,
            basis: basis(head.as_str(), file.as_deref()),
            config: found(file.as_deref()),
            changed: changed?,
            skip,
            posting_project: project.key,
            lane: short.to_owned(),
            git_ref: name.to_owned(),
            default_branch: project.default_branch.clone().unwrap_or_default(),
        })
    }

    /// What is planned for a merge request. From outside, everything comes from the target branch.
    pub(crate) async fn merge_request_facts(
        &self,
        project: &Project,
        mr: &MergeRequest,
        head: &Sha,
        diff_ready: bool,
    ) -> Result<Facts, PlanError> {
        let facts = MergeRequestFacts {
            source_project: mr.source_project_id,
            source_branch: mr.source_branch.clone(),
            target_branch: mr.target_branch.clone(),
            draft: mr.draft,
            author: mr.author.as_ref().map_or(0, |author| author.id),
        };
        let key = project.key;
        let (level, at_head, at_target, commit, changed) = tokio::join!(
            self.access_level(key, facts.author),
            self.config_file(key, head.as_str()),
            self.config_file(key, &mr.target_branch),
            self.commit_message(key, head),
            self.merge_request_paths(key, mr, diff_ready),
        );
        let (level, at_head, at_target) = (level?, at_head?, at_target?);
        let trust = trust(key, &facts, level);
        let (config, basis) = if trust == Trust::Member {
            let basis = basis(head.as_str(), at_head.as_deref());
            (with_target(found(at_head.as_deref()), at_target.as_deref()), basis)
        } else {
            (found(at_target.as_deref()), basis(&mr.target_branch, at_target.as_deref()))
        };
        let (posting_project, lane) = if facts.source_project == Some(key.id) {
            (key, facts.source_branch.clone())
        } else {
            self.outside_lane(key, mr, head).await?
        };
        Ok(Facts {
            head: head.clone(),
            trust,
            access_level: level,
            config,
            basis,
            changed: changed?,
            skip: asks_to_skip(&commit?),
            posting_project,
            lane,
            git_ref: format!("refs/merge-requests/{}/head", mr.iid),
            default_branch: project.default_branch.clone().unwrap_or_default(),
            merge_request: Some(facts),
        })
    }

    /// Where statuses of a merge request from a fork may stand: in the fork, if the bot may write
    /// there; else in a pipeline that the target project made for the merge request; else nowhere
    /// (an empty lane), and only the note tells. A status on the target project with a branch's
    /// name would be invisible (`app/finders/ci/pipelines_for_merge_request_finder.rb`).
    async fn outside_lane(
        &self,
        target: ProjectKey,
        mr: &MergeRequest,
        head: &Sha,
    ) -> Result<(ProjectKey, String), PlanError> {
        let fork = mr.source_project_id.map(|id| ProjectKey::new(target.instance, id));
        if let Some(fork) = fork {
            let level = match self.access_level(fork, self.own_user).await {
                Err(PlanError::GitLab(aldis_gitlab::Error::Forbidden { .. })) => 0,
                other => other?,
            };
            if level >= DEVELOPER {
                return Ok((fork, mr.source_branch.clone()));
            }
        }
        let own = format!("refs/merge-requests/{}/head", mr.iid);
        let pipelines = self.gitlab.project(target.id).merge_request(mr.iid).pipelines().await?;
        if pipelines.iter().any(|p| p.ref_ == own && p.sha == head.as_str()) {
            return Ok((target, own));
        }
        Ok((fork.unwrap_or(target), String::new()))
    }

    /// 0: no member.
    pub(crate) async fn access_level(
        &self,
        project: ProjectKey,
        user: u64,
    ) -> Result<u32, PlanError> {
        let member = self.gitlab.project(project.id).member(user).await?;
        Ok(member.map_or(0, |m| m.access_level))
    }

    /// Empty if the commit cannot be read: then nothing asks to be skipped.
    async fn commit_message(&self, project: ProjectKey, sha: &Sha) -> Result<String, PlanError> {
        let commit =
            crate::error::found(self.gitlab.project(project.id).commit(sha.as_str()).await)?;
        Ok(commit.map(|c| c.message).unwrap_or_default())
    }

    async fn pushed_paths(
        &self,
        project: &Project,
        branch: &str,
        before: Option<&Sha>,
        head: &Sha,
    ) -> Result<Option<Vec<String>>, PlanError> {
        let api = self.gitlab.project(project.key.id);
        if let Some(before) = before {
            let answer = api.compare(before.as_str(), head.as_str()).await;
            let comparison = crate::error::found(answer)?.filter(|c| !c.compare_timeout);
            // Nothing changed since the common ancestor: the branch was set back. What it holds
            // then is told by its difference from the default branch.
            if let Some(comparison) = comparison.filter(|c| !c.diffs.is_empty()) {
                return Ok(Some(paths(&comparison.diffs)));
            }
        }
        let Some(default) = project.default_branch.as_deref().filter(|d| *d != branch) else {
            return Ok(None);
        };
        let comparison = crate::error::found(api.compare(default, head.as_str()).await)?;
        Ok(comparison.filter(|c| !c.compare_timeout).map(|c| paths(&c.diffs)))
    }

    async fn merge_request_paths(
        &self,
        project: ProjectKey,
        mr: &MergeRequest,
        ready: bool,
    ) -> Result<Option<Vec<String>>, PlanError> {
        // GitLab cuts long lists and says so by a plus sign.
        if !ready || mr.changes_count.as_deref().is_some_and(|count| count.ends_with('+')) {
            return Ok(None);
        }
        let diffs = self.gitlab.project(project.id).merge_request(mr.iid).diffs().await?;
        Ok(Some(paths(&diffs)))
    }
}

/// Both names of a renamed file count.
fn paths(diffs: &[FileChange]) -> Vec<String> {
    let mut paths: Vec<String> =
        diffs.iter().flat_map(|d| [d.old_path.clone(), d.new_path.clone()]).collect();
    paths.sort();
    paths.dedup();
    paths
}

fn found(file: Option<&[u8]>) -> ConfigFound {
    match file.map(read) {
        None => ConfigFound::Missing,
        Some(Ok((config, _))) => ConfigFound::Valid(Box::new(config)),
        Some(Err(findings)) => {
            ConfigFound::Invalid(findings.iter().map(ToString::to_string).collect())
        }
    }
}

/// The safety keys come from the target branch, whatever the merge request says.
fn with_target(head: ConfigFound, target: Option<&[u8]>) -> ConfigFound {
    let ConfigFound::Valid(config) = head else { return head };
    let target: Option<Config> = target.and_then(|file| read(file).ok()).map(|(config, _)| config);
    ConfigFound::Valid(Box::new(effective(&config, target.as_ref())))
}

fn basis(at: &str, file: Option<&[u8]>) -> ConfigBasis {
    ConfigBasis { at: file.map(|_| at.to_owned()), digest: file.map(aldis_store::sha256_hex) }
}

impl Files {
    fn recent(&self, project: ProjectKey, sha: &Sha) -> Remembered {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match files.iter().find(|file| file.project == project && file.sha == *sha) {
            Some(file) => Remembered::Known(file.text.clone()),
            None => Remembered::Unknown,
        }
    }

    fn remember(&self, project: ProjectKey, sha: Sha, text: Option<Vec<u8>>) {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if files.len() == REMEMBERED_FILES {
            files.pop_front();
        }
        files.push_back(ConfigFile { project, sha, text });
    }
}
