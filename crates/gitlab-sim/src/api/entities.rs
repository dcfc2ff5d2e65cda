//! Rows as the API shows them.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::git::{Commit, DiffEntry};
use crate::ids::{ProjectId, UserId};
use crate::state::{
    AccessLevel, Deployment, Environment, Job, JobKind, JobState, MergeRequest, Note, Pipeline,
    Project, State, Token,
};

pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

pub(super) fn user(state: &State, id: UserId) -> Value {
    let known = state.users.get(&id);
    json!({
        "id": id.0,
        "username": state.username(id),
        "name": known.map_or("Ghost User", |user| user.name.as_str()),
        "state": "active",
        "locked": false,
        "avatar_url": null,
        "web_url": format!("{}/{}", state.url, state.username(id)),
    })
}

pub(super) fn token(token: &Token) -> Value {
    let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.as_str()).collect();
    json!({
        "id": token.id,
        "name": "token",
        "revoked": token.revoked,
        "created_at": time(token.created_at),
        "description": null,
        "scopes": scopes,
        "user_id": token.user.0,
        "active": !token.revoked,
        "expires_at": token.expires_at.map(|date| date.to_string()),
    })
}

pub(super) fn project(state: &State, project: &Project, viewer: UserId) -> Value {
    let web = state.project_url(project.id);
    let level = project
        .members
        .get(&viewer)
        .map(|level| json!({ "access_level": *level as u8, "notification_level": 3 }));
    let upstream = project.forked_from.and_then(|id| state.projects.get(&id));
    json!({
        "id": project.id.0,
        "description": null,
        "name": project.name(),
        "name_with_namespace": format!("{} / {}", project.namespace(), project.name()),
        "path": project.name(),
        "path_with_namespace": project.path,
        "created_at": time(project.created_at),
        "default_branch": project.default_branch,
        "ssh_url_to_repo": format!("git@gitlab.test:{}.git", project.path),
        "http_url_to_repo": format!("{web}.git"),
        "web_url": web,
        "namespace": {
            "name": project.namespace(),
            "path": project.namespace(),
            "kind": "group",
            "full_path": project.namespace(),
        },
        "empty_repo": project.repo.refs().is_ok_and(|refs| refs.is_empty()),
        "archived": false,
        "visibility": if project.public { "public" } else { "private" },
        "builds_access_level": "enabled",
        "merge_requests_enabled": true,
        "creator_id": project.owner.0,
        "forked_from_project": upstream.map(|upstream| json!({
            "id": upstream.id.0,
            "path_with_namespace": upstream.path,
        })),
        "permissions": { "project_access": level, "group_access": null },
    })
}

pub(super) fn member(state: &State, id: UserId, level: AccessLevel) -> Value {
    let mut member = user(state, id);
    member["access_level"] = json!(level as u8);
    member["expires_at"] = Value::Null;
    member["membership_state"] = json!("active");
    member
}

pub(super) fn merge_request(state: &State, mr: &MergeRequest, single: bool) -> Value {
    let web = state.project_url(mr.project);
    let sha = mr.prepared.then(|| mr.head());
    let version = mr.versions.last().filter(|_| mr.prepared);
    let status = match mr.state {
        "opened" if !mr.prepared => "preparing",
        "opened" if mr.draft() => "draft_status",
        "opened" => "mergeable",
        _ => "not_open",
    };
    let mut body = json!({
        "id": mr.id,
        "iid": mr.iid,
        "project_id": mr.project.0,
        "title": mr.title,
        "description": mr.description,
        "state": mr.state,
        "created_at": time(mr.created_at),
        "updated_at": time(mr.updated_at),
        "prepared_at": mr.prepared.then(|| time(mr.created_at)),
        "target_branch": mr.target_branch,
        "source_branch": mr.source_branch,
        "author": user(state, mr.author),
        "assignees": [],
        "assignee": null,
        "reviewers": [],
        "source_project_id": mr.source_project.0,
        "target_project_id": mr.project.0,
        "labels": mr.labels,
        "draft": mr.draft(),
        "work_in_progress": mr.draft(),
        "milestone": null,
        "merge_status": "can_be_merged",
        "detailed_merge_status": status,
        "sha": sha,
        "merge_commit_sha": mr.merge_commit,
        "squash_commit_sha": null,
        "user_notes_count": state.notes.values()
            .filter(|note| note.merge_request == mr.reference() && !note.system).count(),
        "reference": format!("!{}", mr.iid),
        "web_url": format!("{web}/-/merge_requests/{}", mr.iid),
        "has_conflicts": false,
    });
    if single {
        body["changes_count"] = json!(version.map(|version| version.files.to_string()));
        body["diff_refs"] = json!({
            "base_sha": version.map(|version| &version.base),
            "head_sha": version.map(|version| &version.head),
            "start_sha": version.map(|version| &version.start),
        });
        body["head_pipeline"] =
            state.head_pipeline(mr).map_or(Value::Null, |found| pipeline(state, found, true));
        body["diverged_commits_count"] = json!(0);
    }
    body
}

pub(super) fn note(state: &State, note: &Note) -> Value {
    let mr = state.merge_request(note.merge_request).ok();
    json!({
        "id": note.id.0,
        "type": null,
        "body": note.body,
        "author": user(state, note.author),
        "created_at": time(note.created_at),
        "updated_at": time(note.updated_at),
        "system": note.system,
        "noteable_id": mr.map(|mr| mr.id),
        "noteable_type": "MergeRequest",
        "project_id": note.merge_request.project.0,
        "commit_id": null,
        "resolvable": false,
        "confidential": note.internal,
        "internal": note.internal,
        "imported": false,
        "noteable_iid": note.merge_request.iid,
        "commands_changes": {},
    })
}

pub(super) fn status(state: &State, job: &Job) -> Value {
    let sha = state.pipelines.get(&job.pipeline).map(|pipeline| &pipeline.sha);
    json!({
        "id": job.id,
        "sha": sha,
        "ref": job.git_ref,
        "status": job.state.as_str(),
        "name": job.name,
        "target_url": job.target_url,
        "description": job.description,
        "created_at": time(job.created_at),
        "started_at": job.started_at.map(time),
        "finished_at": job.finished_at.map(time),
        "allow_failure": false,
        "coverage": job.coverage,
        "pipeline_id": job.pipeline.0,
        "author": user(state, job.user),
    })
}

pub(super) fn job(state: &State, job: &Job) -> Value {
    let mut body = status(state, job);
    body["stage"] = json!(if job.kind == JobKind::Build { "test" } else { "external" });
    body["user"] = user(state, job.user);
    body
}

pub(super) fn pipeline(state: &State, pipeline: &Pipeline, detailed: bool) -> Value {
    let web = state.project_url(pipeline.project);
    let mut body = json!({
        "id": pipeline.id.0,
        "iid": pipeline.iid,
        "project_id": pipeline.project.0,
        "sha": pipeline.sha,
        "ref": pipeline.git_ref,
        "status": pipeline.status.as_str(),
        "source": pipeline.source,
        "created_at": time(pipeline.created_at),
        "updated_at": time(pipeline.updated_at),
        "web_url": format!("{web}/-/pipelines/{}", pipeline.id),
        "name": null,
    });
    if detailed {
        let text =
            if pipeline.status == JobState::Success { "passed" } else { pipeline.status.as_str() };
        body["before_sha"] = json!(crate::git::ZERO_SHA);
        body["tag"] = json!(pipeline.tag);
        body["yaml_errors"] = Value::Null;
        body["user"] = user(state, pipeline.user);
        body["finished_at"] = json!(pipeline.status.is_final().then(|| time(pipeline.updated_at)));
        body["detailed_status"] = json!({
            "icon": format!("status_{}", pipeline.status),
            "text": text,
            "label": text,
            "group": pipeline.status.as_str(),
            "has_details": true,
            "details_path": format!("{web}/-/pipelines/{}", pipeline.id),
        });
    }
    body
}

pub(super) fn commit(state: &State, project: ProjectId, commit: &Commit) -> Value {
    json!({
        "id": commit.sha,
        "short_id": &commit.sha[..8],
        "created_at": commit.at,
        "parent_ids": commit.parents,
        "title": commit.title(),
        "message": commit.message,
        "author_name": commit.author,
        "author_email": commit.email,
        "authored_date": commit.at,
        "committer_name": commit.author,
        "committer_email": commit.email,
        "committed_date": commit.at,
        "trailers": {},
        "web_url": format!("{}/-/commit/{}", state.project_url(project), commit.sha),
    })
}

pub(super) fn diff(entry: &DiffEntry) -> Value {
    json!({
        "diff": entry.patch,
        "collapsed": false,
        "too_large": false,
        "new_path": entry.new_path,
        "old_path": entry.old_path,
        "a_mode": entry.old_mode,
        "b_mode": entry.new_mode,
        "new_file": entry.kind == 'A',
        "renamed_file": entry.kind == 'R',
        "deleted_file": entry.kind == 'D',
        "generated_file": null,
    })
}

pub(super) fn environment(state: &State, environment: &Environment, single: bool) -> Value {
    let mut body = json!({
        "id": environment.id,
        "name": environment.name,
        "slug": environment.slug,
        "external_url": environment.external_url,
        "created_at": time(environment.created_at),
        "updated_at": time(environment.updated_at),
        "tier": environment.tier,
        "state": if environment.stopped { "stopped" } else { "available" },
        "auto_stop_at": null,
        "auto_stop_setting": "always",
        "description": null,
    });
    if single {
        let last = state.last_success(environment.id);
        body["last_deployment"] = last.map_or(Value::Null, |last| deployment(state, last));
    }
    body
}

pub(super) fn deployment(state: &State, deployment: &Deployment) -> Value {
    let place = state.environments.iter().find(|known| known.id == deployment.environment);
    json!({
        "id": deployment.id,
        "iid": deployment.iid,
        "ref": deployment.git_ref,
        "sha": deployment.sha,
        "tag": deployment.tag,
        "created_at": time(deployment.created_at),
        "updated_at": time(deployment.updated_at),
        "finished_at": deployment.finished_at.map(time),
        "user": user(state, deployment.user),
        "environment": place.map(|place| environment(state, place, false)),
        "deployable": null,
        "status": deployment.status,
    })
}
