//! A change's page: its plans, newest first, each with the run or the rule that said no. The
//! sticky note links here.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use aldis_domain::event::change::PlanVerdict;
use aldis_domain::id::ChangeKey;
use aldis_domain::{stream, text};
use aldis_store::{Store, StoreError};
use serde::Serialize;

use super::delivery::{StackView, person, stacks};
use super::{answer, now};
use crate::access::not_found;
use crate::links::{Link, Names};
use crate::projector::changes::{ChangePage, Changes, CommandEntry, PlanEntry};
use crate::projector::{document, of_stream};
use crate::state::State;
use crate::view::{self, Page};
use crate::words::{self, Moment};

/// What the page of a change shows.
#[derive(Debug, Serialize)]
pub(crate) struct ChangeView {
    title: String,
    merge_request: bool,
    gitlab: Option<String>,
    project: Link,
    project_runs: String,
    branches: Option<(String, String)>,
    draft: bool,
    ended: Option<String>,
    head: Option<Link>,
    /// Newest first.
    plans: Vec<PlanView>,
    commands: Vec<CommandView>,
}

#[derive(Debug, Serialize)]
struct PlanView {
    when: Moment,
    commit: Link,
    verdict: String,
    findings: Vec<String>,
    trust: Option<&'static str>,
    changed: String,
    config: String,
    stacks: Vec<StackView>,
}

#[derive(Debug, Serialize)]
struct CommandView {
    when: Moment,
    command: String,
    by: String,
    refused: Option<String>,
}

/// `GET /changes/{change}`
pub(super) async fn show(state: web::Data<State>, key: web::Path<String>) -> HttpResponse {
    let missing =
        || not_found("Nothing is known of this change yet. Its page appears with its first plan.");
    let Ok(key) = key.parse::<ChangeKey>() else { return missing() };
    answer(
        gather(&state.store, &key, now()).await,
        |view| view::respond(StatusCode::OK, &Page::Change(view)),
        missing,
    )
}

async fn gather(
    store: &Store,
    key: &ChangeKey,
    now: i64,
) -> Result<Option<ChangeView>, StoreError> {
    let change = match document::<Changes>(store, &key.to_string()).await? {
        Some(change) => Some(change),
        None => of_stream::<Changes>(store, &stream::change(key)).await?,
    };
    let Some(change) = change else { return Ok(None) };
    let names = Names::of(store, [key.project()]).await?;
    let mut plans = Vec::new();
    for entry in change.plans.iter().rev() {
        let stacks = stacks(store, &entry.plan.stacks).await?;
        plans.push(plan_view(entry, stacks, &names, key, now));
    }
    let mut commands = Vec::new();
    for entry in change.commands.iter().rev() {
        let by = person(store, key.project(), entry.handled.actor).await?;
        commands.push(command_view(entry, by, now));
    }
    Ok(Some(view(&change, plans, commands, &names)))
}

fn view(
    change: &ChangePage,
    plans: Vec<PlanView>,
    commands: Vec<CommandView>,
    names: &Names,
) -> ChangeView {
    let project = change.key.project();
    let facts = change.merge_request.as_ref();
    ChangeView {
        title: Names::change(&change.key),
        merge_request: change.key.merge_request().is_some(),
        gitlab: names.change_url(&change.key),
        project: names.project(project),
        project_runs: format!("/?project={project}"),
        branches: facts.map(|mr| (mr.source_branch.clone(), mr.target_branch.clone())),
        draft: facts.is_some_and(|mr| mr.draft),
        ended: change.ended.as_ref().map(text::end_reason),
        head: change.head.as_ref().map(|sha| names.commit(project, sha)),
        plans,
        commands,
    }
}

fn plan_view(
    entry: &PlanEntry,
    stacks: Vec<StackView>,
    names: &Names,
    key: &ChangeKey,
    now: i64,
) -> PlanView {
    let plan = &entry.plan;
    let findings = match &plan.verdict {
        PlanVerdict::ConfigError { findings } => findings.clone(),
        _ => Vec::new(),
    };
    let member = plan.trust == aldis_domain::event::change::Trust::Member;
    PlanView {
        when: words::moment(entry.at, now),
        commit: names.commit(key.project(), &plan.sha),
        verdict: words::plan_verdict(&plan.verdict),
        findings,
        trust: (!member).then(|| words::trust(plan.trust)),
        changed: match plan.changed_paths {
            Some(count) => text::counted(count, "changed file"),
            None => "which files changed is not known".to_owned(),
        },
        config: match &plan.config.at {
            Some(at) if at.len() >= 40 => format!("config from {}", text::one_line(at, 9)),
            Some(at) => format!("config from {at}"),
            None => "no config file".to_owned(),
        },
        stacks,
    }
}

fn command_view(entry: &CommandEntry, by: String, now: i64) -> CommandView {
    CommandView {
        when: words::moment(entry.at, now),
        command: words::command(&entry.handled.command),
        by,
        refused: entry.handled.refused.clone(),
    }
}
