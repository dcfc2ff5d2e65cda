//! Webhook deliveries: what came, how it proved itself, what it means and what was decided.

use aldis_domain::event::Event;
use aldis_domain::event::delivery::{
    DeliveryPlan, DeliveryQuarantined, DeliveryReceived, DeliveryRefused, DeliveryVerdict, Refusal,
    Verification,
};
use aldis_domain::id::{ChangeKey, ProjectKey};
use aldis_domain::trigger::Trigger;
use aldis_store::Position;
use serde::{Deserialize, Serialize};

use super::fold::{Home, Listed, Projection, Seen};

/// What every delivery's stream begins with; the rest is the id in its page's address.
pub(crate) const STREAM: &str = "delivery-";

/// What the id of a refused delivery begins with; the rest is the position of its only event.
pub(crate) const REFUSED: &str = "refused-";

/// The projection.
pub(crate) struct Deliveries;

/// A delivery as its page shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Delivery {
    pub(crate) position: Position,
    /// Microseconds since 1970, UTC; so are all times in documents.
    pub(crate) received_at: i64,
    pub(crate) hook: String,
    pub(crate) webhook_id: Option<String>,
    /// `X-Gitlab-Event`.
    pub(crate) event: String,
    pub(crate) verified: Option<Verification>,
    #[serde(default)]
    pub(crate) previous_secret: bool,
    pub(crate) source_ip: Option<String>,
    pub(crate) bytes: Option<u64>,
    pub(crate) payload: Option<String>,
    pub(crate) trigger: Option<Trigger>,
    pub(crate) state: DeliveryState,
    pub(crate) plans: Vec<DeliveryPlan>,
}

/// How far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum DeliveryState {
    /// On disk, not looked at yet.
    Waiting,
    Refused {
        reason: Refusal,
        times: u64,
    },
    Quarantined {
        problem: String,
    },
    Decided {
        at: i64,
        decision: DeliveryVerdict,
    },
}

/// A delivery as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeliveryEntry {
    pub(crate) received_at: i64,
    pub(crate) event: String,
    pub(crate) trigger: Option<Trigger>,
    pub(crate) state: DeliveryState,
    /// Runs that its plans name.
    pub(crate) runs: u64,
    /// Stacks that its plans decided on.
    pub(crate) stacks: u64,
    /// The only change that it planned, else the one its trigger names.
    pub(crate) change: Option<ChangeKey>,
}

impl Projection for Deliveries {
    const NAME: &'static str = "deliveries";
    const VERSION: u32 = 1;
    const KINDS: &'static [&'static str] =
        &["delivery_received", "delivery_refused", "delivery_quarantined", "delivery_decided"];
    const HOME: Home = Home::Stream;
    type Body = Delivery;
    type Entry = DeliveryEntry;

    fn key(seen: &Seen) -> Option<String> {
        match &seen.event {
            // Refusals may share a stream; each is a record of its own.
            Event::DeliveryRefused(_) => Some(format!("{REFUSED}{}", seen.position)),
            _ => seen.stream.strip_prefix(STREAM).map(str::to_owned),
        }
    }

    fn begins(seen: &Seen) -> bool {
        seen.first || matches!(seen.event, Event::DeliveryRefused(_))
    }

    fn apply(body: Option<Delivery>, _key: &str, seen: &Seen) -> Option<Delivery> {
        match &seen.event {
            Event::DeliveryReceived(event) => body.or_else(|| Some(received(event, seen))),
            Event::DeliveryRefused(event) => body.or_else(|| Some(refused(event, seen))),
            Event::DeliveryQuarantined(event) => body.or_else(|| Some(quarantined(event, seen))),
            Event::DeliveryDecided(decided) => body.map(|mut body| {
                let decision = decided.verdict.clone();
                body.state = DeliveryState::Decided { at: seen.at, decision };
                body.plans.clone_from(&decided.plans);
                body
            }),
            _ => body,
        }
    }

    fn listed(body: &Delivery) -> Option<Listed<DeliveryEntry>> {
        let stacks = body.plans.iter().flat_map(|plan| &plan.stacks);
        let change = match body.plans.as_slice() {
            [only] => Some(only.change.clone()),
            _ => body.trigger.as_ref().and_then(Trigger::change),
        };
        let project = body.trigger.as_ref().and_then(Trigger::project);
        let scopes = project.map(|p: ProjectKey| p.to_string());
        Some(Listed {
            sort_key: body.position,
            scopes: ["all".to_owned()].into_iter().chain(scopes).collect(),
            entry: DeliveryEntry {
                received_at: body.received_at,
                event: body.event.clone(),
                trigger: body.trigger.clone(),
                state: body.state.clone(),
                runs: stacks.clone().map(|s| u64::from(s.run.is_some())).sum(),
                stacks: stacks.map(|_| 1).sum(),
                change,
            },
        })
    }
}

fn received(event: &DeliveryReceived, seen: &Seen) -> Delivery {
    Delivery {
        position: seen.position,
        received_at: seen.at,
        hook: event.hook.clone(),
        webhook_id: event.key.clone(),
        event: event.event.clone(),
        verified: Some(event.verified),
        previous_secret: event.previous_secret,
        source_ip: event.source_ip.clone(),
        bytes: Some(event.bytes),
        payload: Some(event.payload.clone()),
        trigger: Some(event.trigger.clone()),
        state: DeliveryState::Waiting,
        plans: Vec::new(),
    }
}

fn refused(event: &DeliveryRefused, seen: &Seen) -> Delivery {
    Delivery {
        position: seen.position,
        received_at: seen.at,
        hook: event.hook.clone(),
        webhook_id: None,
        event: event.event.clone(),
        verified: None,
        previous_secret: false,
        source_ip: event.source_ip.clone(),
        bytes: None,
        payload: None,
        trigger: None,
        state: DeliveryState::Refused { reason: event.reason, times: event.times },
        plans: Vec::new(),
    }
}

fn quarantined(event: &DeliveryQuarantined, seen: &Seen) -> Delivery {
    Delivery {
        position: seen.position,
        received_at: seen.at,
        hook: event.hook.clone(),
        webhook_id: event.key.clone(),
        event: event.event.clone(),
        verified: Some(event.verified),
        previous_secret: false,
        source_ip: None,
        bytes: Some(event.bytes),
        payload: Some(event.payload.clone()),
        trigger: None,
        state: DeliveryState::Quarantined { problem: event.problem.clone() },
        plans: Vec::new(),
    }
}
