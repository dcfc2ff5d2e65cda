//! Comparison, files, branches and tags.

use serde_json::{Value, json};

use super::{Request, entities};
use crate::answer::{Answer, Reply};
use crate::ids::ProjectId;
use crate::state::{AccessLevel, State};

/// Most commits that a comparison lists.
const MOST_COMMITS: usize = 1_000;

/// From the merge base to `to`, or straight with `straight=true`.
pub(super) fn compare(state: &mut State, request: &Request<'_>) -> Reply {
    let project = request.readable_project(state)?;
    let (from, to) = (request.required("from")?, request.required("to")?);
    let source = match request.number::<u64>("from_project_id")? {
        Some(id) => {
            let other = state.visible_project(&id.to_string(), request.user)?;
            state.need_read(other, request.user)?;
            other
        }
        None => project,
    };
    let repo = &state.project(project)?.repo;
    let from = state.project(source)?.repo.resolve(&from);
    let from = from.filter(|sha| repo.resolve(sha).is_some());
    let missing = || Answer::message(404, "404 Ref Not Found");
    let from = from.ok_or_else(missing)?;
    let to = repo.resolve(&to).ok_or_else(missing)?;
    let straight = request.flag("straight")?.unwrap_or(false);
    let base = if straight { Some(from.clone()) } else { repo.merge_base(&from, &to) };
    let (diffs, commits) = match &base {
        Some(base) => (repo.diff(base, &to)?, repo.log(Some(&from), &to, MOST_COMMITS)?),
        None => (Vec::new(), Vec::new()),
    };
    let shown: Vec<Value> =
        commits.iter().rev().map(|commit| entities::commit(state, project, commit)).collect();
    let body = json!({
        "commit": shown.last(),
        "commits": shown,
        "diffs": diffs.iter().map(entities::diff).collect::<Vec<_>>(),
        "compare_timeout": false,
        "compare_same_ref": from == to,
        "web_url": format!("{}/-/compare/{from}...{to}", state.project_url(project)),
    });
    Ok(Answer::json(200, &body))
}

pub(super) fn raw(state: &mut State, request: &Request<'_>) -> Reply {
    let project = state.project(request.readable_project(state)?)?;
    let name = request.text("ref").unwrap_or_else(|| project.default_branch.clone());
    let name = if name == "HEAD" { project.default_branch.clone() } else { name };
    let sha = project.repo.resolve(&name).ok_or_else(|| Answer::not_found("Commit"))?;
    let bytes = project.repo.file(&sha, request.arg(1));
    let bytes = bytes.ok_or_else(|| Answer::not_found("File"))?;
    Ok(Answer::text(200, "text/plain", bytes)
        .header("X-Gitlab-Commit-Id", sha)
        .header("X-Gitlab-Ref", name)
        .header("X-Gitlab-File-Path", request.arg(1)))
}

pub(super) fn branch(state: &mut State, request: &Request<'_>) -> Reply {
    let id = request.readable_project(state)?;
    let project = state.project(id)?;
    let name = request.arg(1);
    let sha = project.repo.ref_target(&format!("refs/heads/{name}"));
    let sha = sha.ok_or_else(|| Answer::not_found("Branch"))?;
    let protected = project.protected_branches.contains(name);
    let level = if protected { AccessLevel::Maintainer } else { AccessLevel::Developer };
    let body = json!({
        "name": name,
        "commit": commit(state, id, &sha)?,
        "merged": false,
        "protected": protected,
        "developers_can_push": false,
        "developers_can_merge": false,
        "can_push": state.need(id, request.user, level).is_ok(),
        "default": project.default_branch == name,
        "web_url": format!("{}/-/tree/{name}", state.project_url(id)),
    });
    Ok(Answer::json(200, &body))
}

pub(super) fn tag(state: &mut State, request: &Request<'_>) -> Reply {
    let id = request.readable_project(state)?;
    let project = state.project(id)?;
    let name = request.arg(1);
    let target = project.repo.ref_target(&format!("refs/tags/{name}"));
    let target = target.ok_or_else(|| Answer::not_found("Tag"))?;
    let sha = project.repo.resolve(&target).ok_or_else(|| Answer::not_found("Tag"))?;
    let body = json!({
        "name": name,
        "message": project.repo.tag_message(&target).unwrap_or_default(),
        "target": target,
        "commit": commit(state, id, &sha)?,
        "release": null,
        "protected": false,
        "created_at": null,
    });
    Ok(Answer::json(200, &body))
}

fn commit(state: &State, project: ProjectId, sha: &str) -> Result<Value, Answer> {
    let commit = state.project(project)?.repo.commit_at(sha)?;
    Ok(entities::commit(state, project, &commit))
}
