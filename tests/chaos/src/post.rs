//! The post between GitLab and the bot: it is late, comes twice, and in another order.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use aldis_gitlab_sim::{Attempt, Delivery, DeliveryState, Order};
use aldis_tests::HOOK_SECRET;

use crate::crew::Crew;
use crate::dice::Dice;

/// One round: so long everything goes out as it comes …
const IN_ORDER: Duration = Duration::from_millis(1600);
/// … and so long it is kept back and then sent in another order: a fifth of the time.
const KEPT_BACK: Duration = Duration::from_millis(400);
/// Of a hundred deliveries so many come once more.
const DOUBLED: u64 = 20;

/// What was done to the post.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Mangled {
    /// Sent again under the same key.
    pub(crate) doubled: u64,
    /// Sent again under a key of its own, as a second hook would.
    pub(crate) copied: u64,
    pub(crate) shuffled: u64,
    /// Was not answered, and sent again by hand: GitLab does not do it.
    pub(crate) resent: u64,
}

/// Mangles the post.
pub(crate) struct Post {
    crew: Arc<Crew>,
    dice: Dice,
    seen: HashSet<String>,
    client: reqwest::Client,
    pub(crate) mangled: Mangled,
}

impl Post {
    pub(crate) fn new(crew: Arc<Crew>, seed: u64) -> anyhow::Result<Self> {
        let client =
            reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build()?;
        let dice = Dice::new(seed, 2);
        Ok(Self { crew, dice, seen: HashSet::new(), client, mangled: Mangled::default() })
    }

    /// One round.
    pub(crate) async fn round(&mut self) {
        tokio::time::sleep(IN_ORDER).await;
        let crew = Arc::clone(&self.crew);
        crew.sim.hold_deliveries();
        tokio::time::sleep(KEPT_BACK).await;
        self.mangled.shuffled += crew.sim.held_deliveries().len() as u64;
        // It cannot fail: all that is held goes out.
        let _ = crew.sim.release_deliveries(&Order::Shuffled(self.dice.next()));
        for delivery in crew.sim.deliveries() {
            self.again(&delivery).await;
        }
    }

    /// Sends again what nobody answered. False: there was nothing.
    pub(crate) fn resend(&mut self) -> bool {
        let mut any = false;
        for delivery in self.crew.sim.deliveries() {
            if unanswered(&delivery) {
                self.mangled.resent += 1;
                any |= self.crew.sim.redeliver(delivery.id).is_ok();
            }
        }
        any
    }

    async fn again(&mut self, delivery: &Delivery) {
        if unanswered(delivery) {
            self.mangled.resent += 1;
            let _ = self.crew.sim.redeliver(delivery.id);
            return;
        }
        let answered = delivery.attempts.iter().any(Attempt::ok);
        if !answered || !self.seen.insert(delivery.key.clone()) || !self.dice.percent(DOUBLED) {
            return;
        }
        if self.dice.percent(50) {
            self.mangled.doubled += 1;
            let _ = self.crew.sim.redeliver(delivery.id);
        } else {
            self.mangled.copied += u64::from(self.copy(delivery).await);
        }
    }

    /// Nobody must take it: that it came once is enough.
    async fn copy(&self, delivery: &Delivery) -> bool {
        let copy = self
            .client
            .post(self.crew.webhook_url())
            .header("content-type", "application/json")
            .header("x-gitlab-event", delivery.trigger.event())
            .header("x-gitlab-token", HOOK_SECRET)
            .header("idempotency-key", format!("copy-{}", delivery.key))
            .body(delivery.body.to_vec());
        copy.send().await.is_ok_and(|answer| answer.status().is_success())
    }
}

fn unanswered(delivery: &Delivery) -> bool {
    delivery.state == DeliveryState::Sent && !delivery.attempts.iter().any(Attempt::ok)
}
