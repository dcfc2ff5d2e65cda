//! Registrations of hooks. Secrets go in and never come out.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Request, entities, paging};
use crate::answer::{Answer, Reply};
use crate::error::SimError;
use crate::hooks::{Hook, Secret, Trigger};
use crate::ids::{HookId, ProjectId};
use crate::state::{AccessLevel, State};

pub(super) fn list(state: &mut State, request: &Request<'_>) -> Reply {
    let project = managed(state, request)?;
    let hooks = state.hooks.values();
    let rows: Vec<&Hook> = hooks.filter(|hook| belongs(hook, project)).collect();
    paging::page(state, request, &rows, |hook| entity(hook))
}

pub(super) fn get(state: &mut State, request: &Request<'_>) -> Reply {
    let id = find(state, request)?;
    shown(state, 200, id)
}

/// Pushes are on unless said otherwise, everything else is off. Nothing keeps two hooks from
/// having the same URL.
pub(super) fn create(state: &mut State, request: &Request<'_>) -> Reply {
    let project = managed(state, request)?;
    let url = request.required("url")?;
    let secret = Secret::from_parts(given(request, "token"), given(request, "signing_token"));
    let triggers = triggers(request, &BTreeSet::from([Trigger::Push]))?;
    let id = state.add_hook(project, &url, secret, triggers, false).map_err(unprocessable)?;
    shown(state, 201, id)
}

/// A new URL without a token forgets the old token.
pub(super) fn update(state: &mut State, request: &Request<'_>) -> Reply {
    let id = find(state, request)?;
    let old = state.hooks.get(&id).ok_or_else(|| Answer::message(404, "404 Not found"))?.clone();
    let changed = request.text("url").filter(|url| *url != old.url);
    let parameters = ["url", "token", "signing_token", "enable_ssl_verification"];
    let any = parameters.iter().any(|name| request.has(name))
        || Trigger::ALL.iter().any(|trigger| request.has(trigger.flag()));
    if !any {
        return Err(Answer::bad_params("No parameters provided"));
    }
    let keep = |old: Option<&str>| old.filter(|_| changed.is_none()).map(str::to_owned);
    let token =
        if request.has("token") { given(request, "token") } else { keep(old.secret.token()) };
    let signing = if request.has("signing_token") {
        given(request, "signing_token")
    } else {
        old.secret.signing().map(str::to_owned)
    };
    let url = changed.clone().unwrap_or_else(|| old.url.clone());
    let triggers = triggers(request, &old.triggers)?;
    let secret = Secret::from_parts(token, signing);
    let new = state
        .add_hook(old.project, &url, secret, triggers, old.group_level)
        .map_err(unprocessable)?;
    if let Some(mut row) = state.hooks.remove(&new) {
        row.id = id;
        row.created_at = old.created_at;
        state.hooks.insert(id, row);
    }
    shown(state, 200, id)
}

pub(super) fn delete(state: &mut State, request: &Request<'_>) -> Reply {
    let id = find(state, request)?;
    state.hooks.remove(&id);
    Ok(Answer::empty(204))
}

/// Managing hooks takes a Maintainer.
fn managed(state: &State, request: &Request<'_>) -> Result<ProjectId, Answer> {
    let project = request.project(state)?;
    state.need(project, request.user, AccessLevel::Maintainer)?;
    Ok(project)
}

fn belongs(hook: &Hook, project: ProjectId) -> bool {
    hook.project == project && !hook.group_level
}

fn find(state: &State, request: &Request<'_>) -> Result<HookId, Answer> {
    let project = managed(state, request)?;
    let id = HookId(request.arg_number(1, "Not found")?);
    let found = state.hooks.get(&id).filter(|hook| belongs(hook, project));
    found.map(|hook| hook.id).ok_or_else(|| Answer::message(404, "404 Not found"))
}

fn given(request: &Request<'_>, name: &str) -> Option<String> {
    request.text(name).filter(|text| !text.is_empty())
}

fn triggers(
    request: &Request<'_>,
    before: &BTreeSet<Trigger>,
) -> Result<BTreeSet<Trigger>, Answer> {
    let mut triggers = before.clone();
    for trigger in Trigger::ALL {
        match request.flag(trigger.flag())? {
            Some(true) => triggers.insert(*trigger),
            Some(false) => triggers.remove(trigger),
            None => continue,
        };
    }
    Ok(triggers)
}

fn unprocessable(error: SimError) -> Answer {
    match error {
        SimError::Refused(why) => Answer::json(422, &json!({ "error": why })),
        other => other.into(),
    }
}

fn shown(state: &State, status: u16, id: HookId) -> Reply {
    let hook = state.hooks.get(&id).ok_or_else(|| Answer::message(404, "404 Not found"))?;
    Ok(Answer::json(status, &entity(hook)))
}

fn entity(hook: &Hook) -> Value {
    let mut body = json!({
        "id": hook.id.0,
        "url": hook.url,
        "name": null,
        "description": null,
        "project_id": hook.project.0,
        "created_at": entities::time(hook.created_at),
        "push_events_branch_filter": "",
        "branch_filter_strategy": "wildcard",
        "custom_webhook_template": null,
        "custom_headers": [],
        "url_variables": [],
        "alert_status": "executable",
        "disabled_until": null,
        "enable_ssl_verification": true,
        "repository_update_events": false,
        "token_present": hook.secret.token().is_some(),
        "signing_token_present": hook.secret.signing().is_some(),
    });
    for trigger in Trigger::ALL {
        body[trigger.flag()] = json!(hook.triggers.contains(trigger));
    }
    body
}
