//! Bodies of deliveries, field by field as `lib/gitlab/data_builder` of GitLab makes them.

mod blocks;

use serde_json::{Value, json};

pub(crate) use blocks::labels;
use blocks::{commit, merge_request_block, project_block, time, user_block};

use crate::error::SimError;
use crate::git::ZERO_SHA;
use crate::ids::{MergeRequestRef, NoteId, PipelineId, ProjectId, UserId};
use crate::state::{JobKind, RefUpdate, State};

/// A push payload lists at most this many commits, the newest.
const MOST_COMMITS: usize = 20;

/// `push` and `tag_push`.
pub(crate) fn push(
    state: &State,
    project: ProjectId,
    user: UserId,
    update: &RefUpdate,
) -> Result<Value, SimError> {
    let known = state.project(project)?;
    let (repo, web) = (&known.repo, state.project_url(project));
    let tag = update.name.starts_with("refs/tags/");
    let kind = if tag { "tag_push" } else { "push" };
    let created = update.before == ZERO_SHA;
    let deleted = update.after == ZERO_SHA;
    let (mut commits, mut count, mut checkout, mut message) = (Vec::new(), 0, None, None);
    if !deleted {
        checkout = repo.resolve(&update.after);
        if tag {
            message = repo.tag_message(&update.after);
        } else {
            // A new branch lists what the default branch does not have yet.
            let default = repo.ref_target(&format!("refs/heads/{}", known.default_branch));
            let from = if created { default } else { Some(update.before.clone()) };
            let from = from.filter(|from| !(created && *from == update.after));
            let nothing_new = created && repo.branches_containing(&update.after).len() > 1;
            if !nothing_new {
                commits = repo.log(from.as_deref(), &update.after, MOST_COMMITS)?;
                commits.reverse();
                count = repo.count(from.as_deref(), &update.after);
            }
        }
    }
    let branch = update.name.trim_start_matches("refs/heads/");
    let person = state.users.get(&user);
    Ok(json!({
        "object_kind": kind,
        "event_name": kind,
        "before": update.before,
        "after": update.after,
        "ref": update.name,
        "ref_protected": known.protected_branches.contains(branch),
        "checkout_sha": checkout,
        "message": message,
        "user_id": user.0,
        "user_name": person.map(|person| &person.name),
        "user_username": state.username(user),
        "user_email": null,
        "user_avatar": null,
        "project_id": project.0,
        "project": project_block(state, project, true),
        "commits": commits.iter().map(|c| commit(&web, c, true)).collect::<Vec<_>>(),
        "total_commits_count": count,
        "push_options": {},
        "repository": blocks::repository(state, project),
    }))
}

/// `merge_request`. `oldrev` only when new code came.
pub(crate) fn merge_request(
    state: &State,
    reference: MergeRequestRef,
    user: UserId,
    action: &str,
    oldrev: Option<&str>,
    changes: &Value,
) -> Result<Value, SimError> {
    let mr = state.merge_request(reference)?;
    let mut attributes = merge_request_block(state, mr);
    attributes["action"] = json!(action);
    if let Some(oldrev) = oldrev {
        attributes["oldrev"] = json!(oldrev);
    }
    Ok(json!({
        "object_kind": "merge_request",
        "event_type": "merge_request",
        "user": user_block(state, user),
        "project": project_block(state, reference.project, true),
        "object_attributes": attributes,
        "labels": labels(reference.project, &mr.labels),
        "changes": changes,
        "repository": blocks::repository(state, reference.project),
        "assignees": [],
        "reviewers": [],
    }))
}

/// `note` on a merge request; `action` is `create` or `update`.
pub(crate) fn note(state: &State, id: NoteId, action: &str) -> Result<Value, SimError> {
    let note = state.notes.get(&id).ok_or_else(|| SimError::unknown("this note"))?;
    let mr = state.merge_request(note.merge_request)?;
    let project = mr.project;
    let url = format!(
        "{}/-/merge_requests/{}#note_{id}",
        state.project_url(project),
        note.merge_request.iid
    );
    Ok(json!({
        "object_kind": "note",
        "event_type": if note.internal { "confidential_note" } else { "note" },
        "user": user_block(state, note.author),
        "project_id": project.0,
        "project": project_block(state, project, true),
        "object_attributes": {
            "attachment": null,
            "author_id": note.author.0,
            "change_position": null,
            "commit_id": null,
            "created_at": time(note.created_at),
            "discussion_id": format!("{:040x}", id.0),
            "id": id.0,
            "internal": note.internal,
            "line_code": null,
            "note": note.body,
            "noteable_id": mr.id,
            "noteable_type": "MergeRequest",
            "original_position": null,
            "position": null,
            "project_id": project.0,
            "resolved_at": null,
            "resolved_by_id": null,
            "resolved_by_push": null,
            "st_diff": null,
            "system": note.system,
            "type": null,
            "updated_at": time(note.updated_at),
            "updated_by_id": null,
            "description": note.body,
            "url": url,
            "action": action,
        },
        "repository": blocks::repository(state, project),
        "merge_request": merge_request_block(state, mr),
    }))
}

/// `pipeline`. Commit statuses are not builds, so an external pipeline lists none.
pub(crate) fn pipeline(state: &State, id: PipelineId) -> Result<Value, SimError> {
    let pipeline = state.pipeline(id)?;
    let project = pipeline.project;
    let web = state.project_url(project);
    let mr = pipeline.merge_request.and_then(|mr| state.merge_request(mr).ok());
    let git_ref = mr.map_or(&pipeline.git_ref, |mr| &mr.source_branch);
    let tip = state.project(project)?.repo.commit_at(&pipeline.sha)?;
    let builds = state.latest_jobs(id).filter(|job| job.kind == JobKind::Build);
    let builds: Vec<Value> = builds.map(|job| blocks::build(state, job)).collect();
    let finished = pipeline.status.is_final().then(|| time(pipeline.updated_at));
    Ok(json!({
        "object_kind": "pipeline",
        "object_attributes": {
            "id": id.0,
            "iid": pipeline.iid,
            "name": null,
            "ref": git_ref,
            "tag": pipeline.tag,
            "sha": pipeline.sha,
            "before_sha": ZERO_SHA,
            "source": pipeline.source,
            "status": pipeline.status.as_str(),
            "detailed_status": blocks::detailed(pipeline.status),
            "stages": if builds.is_empty() { json!(["external"]) } else { json!(["test"]) },
            "created_at": time(pipeline.created_at),
            "finished_at": finished,
            "duration": null,
            "queued_duration": null,
            "protected_ref": false,
            "variables": [],
            "url": format!("{web}/-/pipelines/{id}"),
        },
        "merge_request": mr.map(|mr| json!({
            "id": mr.id,
            "iid": mr.iid,
            "title": mr.title,
            "source_branch": mr.source_branch,
            "source_project_id": mr.source_project.0,
            "target_branch": mr.target_branch,
            "target_project_id": mr.project.0,
            "state": mr.state,
            "merge_status": "can_be_merged",
            "detailed_merge_status": "mergeable",
            "url": format!("{}/-/merge_requests/{}", state.project_url(mr.project), mr.iid),
        })),
        "user": user_block(state, pipeline.user),
        "project": project_block(state, project, false),
        "commit": commit(&web, &tip, false),
        "builds": builds,
    }))
}

/// `deployment` made through the API: nothing deployable behind it.
pub(crate) fn deployment(state: &State, id: u64) -> Result<Value, SimError> {
    let missing = || SimError::unknown("this deployment");
    let deployment = state.deployments.iter().find(|known| known.id == id);
    let deployment = deployment.ok_or_else(missing)?;
    let mut environments = state.environments.iter();
    let environment = environments.find(|known| known.id == deployment.environment);
    let environment = environment.ok_or_else(missing)?;
    let project = deployment.project;
    let web = state.project_url(project);
    let tip = state.project(project)?.repo.commit_at(&deployment.sha)?;
    Ok(json!({
        "object_kind": "deployment",
        "status": deployment.status,
        "status_changed_at": time(deployment.updated_at),
        "deployment_id": id,
        "deployable_id": null,
        "deployable_url": null,
        "environment": environment.name,
        "environment_tier": environment.tier,
        "environment_slug": environment.slug,
        "environment_external_url": environment.external_url,
        "project": project_block(state, project, true),
        "short_sha": &deployment.sha[..8],
        "user": user_block(state, deployment.user),
        "user_url": format!("{}/{}", state.url, state.username(deployment.user)),
        "commit_url": format!("{web}/-/commit/{}", deployment.sha),
        "commit_title": tip.title(),
        "ref": deployment.git_ref,
    }))
}
