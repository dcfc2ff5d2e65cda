//! The post between GitLab and the bot: it is late, comes twice, and in another order, and with it
//! comes what is not from GitLab or cannot be read.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use aldis_gitlab_sim::{Attempt, Delivery, DeliveryId, DeliveryState, Order};
use aldis_tests::HOOK_SECRET;

use crate::crew::Crew;
use crate::dice::Dice;

/// One round: so long everything goes out as it comes …
const IN_ORDER: Duration = Duration::from_millis(1200);
/// … and so long it is kept back and then sent in another order …
const KEPT_BACK: Duration = Duration::from_millis(600);
/// … or for so long, while too few of all have come in another order.
const KEPT_BACK_LONGER: Duration = Duration::from_millis(1800);
/// At least so many of a hundred deliveries come twice, and so many in another order.
const SHARE: u64 = 20;
/// What is aimed at, so that what is sent at the very end changes nothing.
const AIM: u64 = 25;
/// Of a hundred deliveries so many come once more.
const DOUBLED: u64 = 28;
/// In every so many-th round a stranger comes.
const STRANGERS: u64 = 3;
/// Old deliveries that come once more when all is done.
const LATE: usize = 200;

/// What was done to the post.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Mangled {
    /// Sent again under the same key.
    pub(crate) doubled: u64,
    /// Sent again under a key of its own, as a second hook would.
    pub(crate) copied: u64,
    /// Came behind one that was fired later.
    pub(crate) overtaken: u64,
    /// Was not answered, and sent again by hand: GitLab does not do it.
    pub(crate) resent: u64,
    /// Sent again when all was done.
    pub(crate) late: u64,
    /// All.
    pub(crate) fired: u64,
}

impl Mangled {
    /// Of which mischief there was too little.
    pub(crate) fn shortfalls(&self) -> Vec<String> {
        let shares = [("twice", self.doubled + self.copied), ("in another order", self.overtaken)];
        let few = shares.into_iter().filter(|(_, count)| count * 100 < self.fired * SHARE);
        few.map(|(how, count)| format!("only {count} of {} webhooks came {how}", self.fired))
            .collect()
    }
}

/// Mangles the post.
pub(crate) struct Post {
    crew: Arc<Crew>,
    dice: Dice,
    rounds: u64,
    seen: HashSet<String>,
    client: reqwest::Client,
    pub(crate) mangled: Mangled,
}

impl Post {
    pub(crate) fn new(crew: Arc<Crew>, seed: u64) -> anyhow::Result<Self> {
        let client =
            reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build()?;
        let (dice, seen, mangled) = (Dice::new(seed, 2), HashSet::new(), Mangled::default());
        Ok(Self { crew, dice, rounds: 0, seen, client, mangled })
    }

    /// One round.
    pub(crate) async fn round(&mut self) {
        tokio::time::sleep(IN_ORDER).await;
        let crew = Arc::clone(&self.crew);
        let is_behind = self.mangled.overtaken * 100 < crew.sim.deliveries_fired() * AIM;
        crew.sim.hold_deliveries();
        tokio::time::sleep(if is_behind { KEPT_BACK_LONGER } else { KEPT_BACK }).await;
        self.shuffle();
        for delivery in crew.sim.deliveries() {
            self.again(&delivery).await;
        }
        if self.rounds.is_multiple_of(STRANGERS) {
            self.stranger().await;
        }
        self.rounds += 1;
        self.mangled.fired = crew.sim.deliveries_fired();
    }

    /// What is held goes out in another order; what comes from now on, at once.
    fn shuffle(&mut self) {
        let held = self.crew.sim.held_deliveries();
        let mut ids: Vec<DeliveryId> = held.iter().map(|delivery| delivery.id).collect();
        if ids.len() < 4 {
            // Chance would leave most of so few as they are.
            ids.reverse();
        } else {
            self.dice.shuffle(&mut ids);
        }
        let mut newest = None;
        for id in &ids {
            self.mangled.overtaken += u64::from(newest > Some(*id));
            newest = newest.max(Some(*id));
        }
        // They cannot fail: all of these are held, and then all that is left.
        let _ = self.crew.sim.release_deliveries(&Order::Chosen(ids));
        let _ = self.crew.sim.release_deliveries(&Order::AsFired);
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

    /// Some of the whole day come once more, in any order, under keys of their own.
    pub(crate) async fn late_copies(&mut self) {
        let mut all = self.crew.sim.deliveries();
        self.dice.shuffle(&mut all);
        for delivery in all.iter().take(LATE) {
            self.mangled.late += u64::from(self.copy(delivery, "late").await);
        }
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
            self.mangled.copied += u64::from(self.copy(delivery, "copy").await);
        }
    }

    /// Nobody must take it: that it came once is enough.
    async fn copy(&self, delivery: &Delivery, how: &str) -> bool {
        let key = format!("{how}-{}", delivery.key);
        self.post(delivery.trigger.event(), HOOK_SECRET, key, delivery.body.to_vec()).await
    }

    /// Somebody who does not know the secret, and something that nobody can read.
    async fn stranger(&self) {
        let key = format!("stranger-{}", self.rounds);
        let mut posts = [("a guess", "{}"), (HOOK_SECRET, "{")];
        // Ingresses take turns; each is to see either.
        if (self.rounds / STRANGERS).is_multiple_of(2) {
            posts.reverse();
        }
        for (secret, body) in posts {
            self.post("Push Hook", secret, key.clone(), body.into()).await;
        }
    }

    async fn post(&self, event: &str, secret: &str, key: String, body: Vec<u8>) -> bool {
        let request = self
            .client
            .post(self.crew.webhook_url())
            .header("content-type", "application/json")
            .header("x-gitlab-event", event)
            .header("x-gitlab-token", secret)
            .header("idempotency-key", key)
            .body(body);
        request.send().await.is_ok_and(|answer| answer.status().is_success())
    }
}

fn unanswered(delivery: &Delivery) -> bool {
    delivery.state == DeliveryState::Sent && !delivery.attempts.iter().any(Attempt::ok)
}
