//! The parts that several payloads share.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::git::Commit;
use crate::ids::{ProjectId, UserId};
use crate::state::{Job, JobState, MergeRequest, State};

/// `2026-11-20 19:28:46 UTC`, as payloads write times.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

pub(super) fn user_block(state: &State, id: UserId) -> Value {
    json!({
        "id": id.0,
        "name": state.users.get(&id).map_or("Ghost User", |user| user.name.as_str()),
        "username": state.username(id),
        "avatar_url": null,
        "email": "[REDACTED]",
    })
}

/// `deprecated` adds the url fields that pipeline payloads leave out.
pub(super) fn project_block(state: &State, id: ProjectId, deprecated: bool) -> Value {
    let Some(project) = state.projects.get(&id) else { return Value::Null };
    let web = state.project_url(id);
    let http = format!("{web}.git");
    let ssh = format!("git@gitlab.test:{}.git", project.path);
    let mut block = json!({
        "id": id.0,
        "name": project.name(),
        "description": null,
        "web_url": web,
        "avatar_url": null,
        "git_ssh_url": ssh,
        "git_http_url": http,
        "namespace": project.namespace(),
        "visibility_level": if project.public { 20 } else { 0 },
        "path_with_namespace": project.path,
        "default_branch": project.default_branch,
        "ci_config_path": null,
    });
    if deprecated {
        block["homepage"] = json!(web);
        block["url"] = json!(ssh);
        block["ssh_url"] = json!(ssh);
        block["http_url"] = json!(http);
    }
    block
}

pub(super) fn repository(state: &State, id: ProjectId) -> Value {
    let Some(project) = state.projects.get(&id) else { return Value::Null };
    let web = state.project_url(id);
    json!({
        "name": project.name(),
        "url": format!("git@gitlab.test:{}.git", project.path),
        "description": null,
        "homepage": web,
        "git_http_url": format!("{web}.git"),
        "git_ssh_url": format!("git@gitlab.test:{}.git", project.path),
        "visibility_level": if project.public { 20 } else { 0 },
    })
}

/// `files` adds the lists of touched paths that only push payloads have.
pub(super) fn commit(web: &str, commit: &Commit, files: bool) -> Value {
    let mut block = json!({
        "id": commit.sha,
        "message": commit.message,
        "title": commit.title(),
        "timestamp": commit.at,
        "url": format!("{web}/-/commit/{}", commit.sha),
        "author": { "name": commit.author, "email": "[REDACTED]" },
    });
    if files {
        block["author"]["email"] = json!(commit.email);
        block["added"] = json!(commit.added);
        block["modified"] = json!(commit.modified);
        block["removed"] = json!(commit.removed);
    }
    block
}

/// Labels with the colours that GitLab gives by default.
pub(crate) fn labels(project: ProjectId, labels: &[String]) -> Value {
    let label = |title: &String| {
        json!({
            "id": title.bytes().fold(7_u64, |id, byte| (id * 31 + u64::from(byte)) % 100_000),
            "title": title,
            "color": "#6699cc",
            "project_id": project.0,
            "created_at": "2026-01-05 09:00:00 UTC",
            "updated_at": "2026-01-05 09:00:00 UTC",
            "template": false,
            "description": null,
            "type": "ProjectLabel",
            "group_id": null,
        })
    };
    labels.iter().map(label).collect()
}

pub(super) fn merge_request_block(state: &State, mr: &MergeRequest) -> Value {
    // The target has the commit too, also when the fork is gone.
    let target = state.projects.get(&mr.project);
    let tip = target.and_then(|project| project.repo.commit_at(mr.head()).ok());
    let web = state.project_url(mr.project);
    let state_id = match mr.state {
        "opened" => 1,
        "closed" => 2,
        _ => 3,
    };
    let mut block = json!({
        "assignee_id": null,
        "assignee_ids": [],
        "author_id": mr.author.0,
        "blocking_discussions_resolved": true,
        "created_at": time(mr.created_at),
        "description": mr.description,
        "draft": mr.draft(),
        "detailed_merge_status": if mr.draft() { "draft_status" } else { "mergeable" },
        "first_contribution": false,
        "head_pipeline_id": state.head_pipeline(mr).map(|pipeline| pipeline.id.0),
        "human_time_estimate": null,
        "human_total_time_spent": null,
        "id": mr.id,
        "iid": mr.iid,
        "labels": labels(mr.project, &mr.labels),
        "last_edited_at": null,
        "last_edited_by_id": null,
        "merge_commit_sha": mr.merge_commit,
        "merge_error": null,
        "merge_params": { "force_remove_source_branch": "1" },
        "merge_status": "can_be_merged",
        "merge_user_id": null,
        "merge_when_pipeline_succeeds": false,
        "milestone_id": null,
    });
    let rest = json!({
        "prepared_at": mr.prepared.then(|| time(mr.created_at)),
        "reviewer_ids": [],
        "source_branch": mr.source_branch,
        "source_project_id": mr.source_project.0,
        "state": mr.state,
        "state_id": state_id,
        "system": false,
        "target_branch": mr.target_branch,
        "target_project_id": mr.project.0,
        "time_estimate": 0,
        "title": mr.title,
        "total_time_spent": 0,
        "updated_at": time(mr.updated_at),
        "updated_by_id": null,
        "url": format!("{web}/-/merge_requests/{}", mr.iid),
        "work_in_progress": mr.draft(),
        "source": project_block(state, mr.source_project, true),
        "target": project_block(state, mr.project, true),
        "last_commit": tip.map(|tip| commit(&state.project_url(mr.source_project), &tip, false)),
    });
    if let (Some(block), Value::Object(rest)) = (block.as_object_mut(), rest) {
        block.extend(rest);
    }
    block
}

pub(super) fn build(state: &State, job: &Job) -> Value {
    json!({
        "id": job.id,
        "stage": "test",
        "name": job.name,
        "status": job.state.as_str(),
        "created_at": time(job.created_at),
        "started_at": job.started_at.map(time),
        "finished_at": job.finished_at.map(time),
        "duration": null,
        "queued_duration": null,
        "failure_reason": (job.state == JobState::Failed).then_some("script_failure"),
        "when": "on_success",
        "manual": job.state == JobState::Manual,
        "allow_failure": false,
        "user": user_block(state, job.user),
        "runner": null,
        "artifacts_file": { "filename": null, "size": null },
        "environment": null,
    })
}

/// GitLab says `passed` where the plain status says `success`.
pub(super) fn detailed(state: JobState) -> &'static str {
    if state == JobState::Success { "passed" } else { state.as_str() }
}
