//! A delivery's page: what came, how it proved itself, and what was decided per stack.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use aldis_domain::event::change::StackDecision;
use aldis_domain::event::delivery::DeliveryPlan;
use aldis_domain::id::ProjectKey;
use aldis_domain::trigger::Trigger;
use aldis_store::{Store, StoreError};
use serde::Serialize;

use super::run::badge;
use super::{answer, now};
use crate::access::not_found;
use crate::links::{self, Link, Names};
use crate::projector::deliveries::{Deliveries, Delivery, DeliveryState, REFUSED, STREAM};
use crate::projector::{of_event, of_stream};
use crate::state::State;
use crate::view::{self, Page};
use crate::words::{self, Badge, Moment};

/// What the page of a delivery shows.
#[derive(Debug, Serialize)]
pub(crate) struct DeliveryView {
    badge: Badge,
    what: String,
    sentence: String,
    when: Moment,
    decided_after: Option<String>,
    project: Option<Link>,
    project_runs: Option<String>,
    actor: Option<String>,
    plans: Vec<PlanView>,
    facts: Vec<(&'static str, String)>,
}

#[derive(Debug, Serialize)]
struct PlanView {
    change: Link,
    commit: Link,
    absorbed: bool,
    stacks: Vec<StackView>,
}

/// One stack's decision, as deliveries and changes show it.
#[derive(Debug, Serialize)]
pub(crate) struct StackView {
    stack: String,
    /// The rule in a sentence.
    rule: String,
    tracked: bool,
    run: Option<RunLink>,
}

#[derive(Debug, Serialize)]
struct RunLink {
    href: String,
    badge: Option<Badge>,
}

/// `GET /deliveries/{delivery}`
pub(super) async fn show(state: web::Data<State>, id: web::Path<String>) -> HttpResponse {
    answer(
        gather(&state.store, &id, now()).await,
        |view| view::respond(StatusCode::OK, &Page::Delivery(view)),
        || {
            not_found(
                "There is no such delivery. Check the address, or look for it on the first page.",
            )
        },
    )
}

async fn gather(store: &Store, id: &str, now: i64) -> Result<Option<DeliveryView>, StoreError> {
    let refused = id.strip_prefix(REFUSED).and_then(|position| position.parse().ok());
    let delivery = match refused {
        Some(position) => of_event::<Deliveries>(store, position).await?,
        None => of_stream::<Deliveries>(store, &format!("{STREAM}{id}")).await?,
    };
    let Some(delivery) = delivery else { return Ok(None) };
    let trigger = delivery.trigger.as_ref();
    let project = trigger.and_then(Trigger::project);
    let planned = delivery.plans.iter().map(|plan| plan.change.project());
    let names = Names::of(store, planned.chain(project)).await?;
    let mut plans = Vec::new();
    for plan in &delivery.plans {
        plans.push(plan_view(store, plan, &names).await?);
    }
    let actor = match (project, trigger.and_then(actor)) {
        (Some(project), Some(id)) => Some(person(store, project, id).await?),
        _ => None,
    };
    Ok(Some(view(&delivery, plans, actor, project, &names, now)))
}

fn view(
    delivery: &Delivery,
    plans: Vec<PlanView>,
    actor: Option<String>,
    project: Option<ProjectKey>,
    names: &Names,
    now: i64,
) -> DeliveryView {
    let runs = delivery.plans.iter().flat_map(|plan| &plan.stacks);
    let decided_after = match &delivery.state {
        DeliveryState::Decided { at, .. } => Some(words::between(delivery.received_at, *at)),
        _ => None,
    };
    let what = delivery.trigger.as_ref().map(words::trigger);
    DeliveryView {
        badge: words::delivery_badge(
            &delivery.state,
            runs.map(|s| u64::from(s.run.is_some())).sum(),
        ),
        what: what.unwrap_or_else(|| delivery.event.clone()),
        sentence: words::delivery_sentence(&delivery.state),
        when: words::moment(delivery.received_at, now),
        decided_after,
        project: project.map(|project| names.project(project)),
        project_runs: project.map(|project| format!("/?project={project}")),
        actor,
        plans,
        facts: facts(delivery),
    }
}

fn facts(delivery: &Delivery) -> Vec<(&'static str, String)> {
    let optional = [
        ("Webhook id", delivery.webhook_id.clone()),
        ("Sent from", delivery.source_ip.clone()),
        ("Size", delivery.bytes.map(|bytes| format!("{bytes} bytes"))),
        ("Payload (SHA-256)", delivery.payload.clone()),
    ];
    let mut facts = vec![
        ("GitLab event", delivery.event.clone()),
        ("Hook", delivery.hook.clone()),
        ("Verified by", words::verification(delivery.verified, delivery.previous_secret)),
    ];
    facts.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
    facts
}

async fn plan_view(
    store: &Store,
    plan: &DeliveryPlan,
    names: &Names,
) -> Result<PlanView, StoreError> {
    Ok(PlanView {
        change: Link::new(Names::change(&plan.change), Some(links::change(&plan.change))),
        commit: names.commit(plan.change.project(), &plan.sha),
        absorbed: !plan.new_runs && plan.stacks.iter().any(|stack| stack.run.is_some()),
        stacks: stacks(store, &plan.stacks).await?,
    })
}

/// What was decided on each stack, and how its run stands now.
pub(super) async fn stacks(
    store: &Store,
    decisions: &[StackDecision],
) -> Result<Vec<StackView>, StoreError> {
    let mut views = Vec::new();
    for decision in decisions {
        let run = match &decision.run {
            None => None,
            Some(id) => Some(RunLink { href: links::run(id), badge: badge(store, id).await? }),
        };
        views.push(StackView {
            stack: decision.stack.clone(),
            rule: decision.rule.explain(),
            tracked: decision.tracked,
            run,
        });
    }
    Ok(views)
}

/// Who it was: the name if it is known, else the number.
pub(super) async fn person(
    store: &Store,
    project: ProjectKey,
    id: u64,
) -> Result<String, StoreError> {
    let person = store.person(project.instance, id).await?;
    Ok(person.map_or_else(|| format!("user {id}"), |person| person.name))
}

fn actor(trigger: &Trigger) -> Option<u64> {
    match trigger {
        Trigger::Push(push) | Trigger::Tag(push) => Some(push.actor),
        Trigger::MergeRequest(mr) => Some(mr.actor),
        Trigger::Note(note) => Some(note.actor),
        Trigger::Pipeline(_) | Trigger::Other { .. } => None,
    }
}
