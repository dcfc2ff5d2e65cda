//! Which deliveries wait, and in which order they leave.

use std::collections::BTreeSet;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use super::State;
use crate::error::SimError;
use crate::hooks::{Attempt, Delivery, DeliveryState, Hook, Order, Secret, Trigger};
use crate::ids::{DeliveryId, HookId, ProjectId};

impl State {
    pub(crate) fn add_hook(
        &mut self,
        project: ProjectId,
        url: &str,
        secret: Secret,
        triggers: BTreeSet<Trigger>,
        group_level: bool,
    ) -> Result<HookId, SimError> {
        self.project(project)?;
        check_secret(&secret)?;
        let web = url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !web {
            return Err(SimError::refused("Invalid url given"));
        }
        let id = HookId(self.next_id("hook"));
        let hook = Hook {
            id,
            project,
            group_level,
            url: url.to_owned(),
            secret,
            triggers,
            created_at: Timestamp::now(),
        };
        self.hooks.insert(id, hook);
        Ok(id)
    }

    pub(crate) fn set_hook_secret(&mut self, id: HookId, secret: Secret) -> Result<(), SimError> {
        check_secret(&secret)?;
        let hook = self.hooks.get_mut(&id);
        hook.ok_or_else(|| SimError::unknown(format!("hook {id}")))?.secret = secret;
        Ok(())
    }

    /// Makes one delivery for every hook that wants this event. The body is made only then.
    pub(crate) fn fire(
        &mut self,
        project: ProjectId,
        trigger: Trigger,
        make: impl FnOnce(&Self) -> Result<Value, SimError>,
    ) {
        let wants = |hook: &&Hook| hook.project == project && hook.triggers.contains(&trigger);
        let hooks: Vec<HookId> = self.hooks.values().filter(wants).map(|hook| hook.id).collect();
        if hooks.is_empty() {
            return;
        }
        let body = match make(self) {
            Ok(body) => body,
            Err(error) => {
                tracing::error!(%error, event = trigger.event(), "no payload could be made");
                return;
            }
        };
        // GitLab escapes these three; in JSON they can only stand inside strings.
        let body = body
            .to_string()
            .replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026");
        let body = Bytes::from(body);
        for hook in hooks {
            let id = DeliveryId(self.next_id("delivery"));
            let delivery = Delivery {
                id,
                hook,
                project,
                trigger,
                key: uuid::Uuid::now_v7().to_string(),
                body: body.clone(),
                state: DeliveryState::Held,
                attempts: Vec::new(),
            };
            self.deliveries.insert(id, delivery);
            if !self.holding {
                self.enqueue(id);
            }
        }
    }

    fn enqueue(&mut self, id: DeliveryId) {
        if let Some(delivery) = self.deliveries.get_mut(&id) {
            delivery.state = DeliveryState::Queued;
            self.outgoing.push_back(id);
            self.touch();
        }
    }

    pub(crate) fn delivery(&self, id: DeliveryId) -> Result<&Delivery, SimError> {
        self.deliveries.get(&id).ok_or_else(|| SimError::unknown(format!("delivery {id}")))
    }

    /// Sends a delivery once more, whatever became of it before.
    pub(crate) fn redeliver(&mut self, id: DeliveryId) -> Result<(), SimError> {
        self.delivery(id)?;
        self.enqueue(id);
        Ok(())
    }

    pub(crate) fn drop_delivery(&mut self, id: DeliveryId) -> Result<(), SimError> {
        self.delivery(id)?;
        self.outgoing.retain(|waiting| *waiting != id);
        if let Some(delivery) = self.deliveries.get_mut(&id) {
            delivery.state = DeliveryState::Dropped;
        }
        self.touch();
        Ok(())
    }

    pub(crate) fn held(&self) -> impl DoubleEndedIterator<Item = &Delivery> {
        self.deliveries.values().filter(|delivery| delivery.state == DeliveryState::Held)
    }

    /// Queues held deliveries. Later ones are held too unless the order is of all of them.
    pub(crate) fn release(&mut self, order: &Order) -> Result<(), SimError> {
        let ids: Vec<DeliveryId> = match order {
            Order::AsFired => self.held().map(|delivery| delivery.id).collect(),
            Order::Reversed => self.held().rev().map(|delivery| delivery.id).collect(),
            Order::Shuffled(seed) => shuffled(self.held().map(|delivery| delivery.id), *seed),
            Order::Chosen(ids) => ids.clone(),
        };
        for id in ids {
            self.delivery(id)?;
            self.enqueue(id);
        }
        if !matches!(order, Order::Chosen(_)) {
            self.holding = false;
        }
        Ok(())
    }

    /// Takes the next delivery off the queue together with its hook.
    pub(crate) fn next_delivery(&mut self) -> Option<(Delivery, Hook)> {
        loop {
            let id = self.outgoing.pop_front()?;
            let delivery = self.deliveries.get(&id).cloned();
            let Some(delivery) = delivery else { continue };
            if let Some(hook) = self.hooks.get(&delivery.hook).cloned() {
                self.sending += 1;
                return Some((delivery, hook));
            }
            // The hook was deleted meanwhile.
            if let Some(delivery) = self.deliveries.get_mut(&id) {
                delivery.state = DeliveryState::Dropped;
            }
            self.touch();
        }
    }

    pub(crate) fn delivered(&mut self, id: DeliveryId, attempt: Attempt) {
        self.sending -= 1;
        let queued_again = self.outgoing.contains(&id);
        if let Some(delivery) = self.deliveries.get_mut(&id) {
            delivery.attempts.push(attempt);
            if !queued_again {
                delivery.state = DeliveryState::Sent;
            }
        }
        self.touch();
    }
}

fn check_secret(secret: &Secret) -> Result<(), SimError> {
    if secret.signing().is_some_and(|token| crate::hooks::decode_key(token).is_none()) {
        let text = "a signing token is whsec_ and the base64 of 32 bytes";
        return Err(SimError::refused(text));
    }
    Ok(())
}

/// Draws from the ids until none is left; the same seed draws the same way.
fn shuffled(ids: impl Iterator<Item = DeliveryId>, seed: u64) -> Vec<DeliveryId> {
    let mut left: Vec<DeliveryId> = ids.collect();
    let mut drawn = Vec::with_capacity(left.len());
    let mut state = seed;
    while !left.is_empty() {
        // Knuth's MMIX generator; its high bits are the good ones.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = usize::try_from(state >> 33).unwrap_or(0) % left.len();
        drawn.push(left.swap_remove(at));
    }
    drawn
}
