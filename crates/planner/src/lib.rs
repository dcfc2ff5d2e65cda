//! From a delivery to the decision which stacks run, and why.
//!
//! Gathers facts from GitLab, lets `aldis_domain` decide, appends. Nothing in a payload is trusted
//! beyond "look there": heads, diffs, config and rights are read again. Never here: HTTP handlers,
//! commit statuses, job execution.

mod admit;
mod command;
mod crowd;
mod delivery;
mod error;
mod gather;
mod glance;
mod plan;
mod project;

use std::time::Duration;

use aldis_bus::{Baton, Bus, Step};
use aldis_domain::planning;
use aldis_domain::touch::{URGENT, WorkKind};
use aldis_gitlab::GitLab;
use aldis_store::{Claimed, Claims, Due, Meta, Release, Store, StoreError};
use futures_util::future::join_all;

pub use crowd::let_first_statuses_pass;
pub use error::PlanError;
use gather::Files;
use glance::Glance;
use project::Projects;

/// After this time without a sign of its planner somebody else may take a piece of planning over.
const LEASE: Duration = Duration::from_secs(30);
/// How often a planner that waits for GitLab gives such a sign.
const SIGN_EVERY: Duration = Duration::from_secs(10);
/// Deliveries that are announced together: what is appended at once shares the store's work.
const ANNOUNCED_AT_ONCE: usize = 64;
/// First pause after a failure; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// Longest time that a loop does nothing at all because GitLab takes no calls; also how long it may
/// take to notice that the bot is to end.
const MOST_CLOSED: Duration = Duration::from_secs(1);

/// Plans deliveries and changes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Planner {
    store: Store,
    bus: Bus,
    gitlab: GitLab,
    projects: Projects,
    files: Files,
    /// The bot's own user id: its notes are no commands.
    own_user: u64,
    owner: String,
}

impl Planner {
    /// `own_user`: the user id of the bot's token; `owner`: a name for leases.
    pub fn new(store: Store, bus: Bus, gitlab: GitLab, own_user: u64, owner: String) -> Self {
        Self {
            store,
            bus,
            gitlab,
            projects: Projects::default(),
            files: Files::default(),
            own_user,
            owner,
        }
    }

    /// Handles the most urgent item that is due, if there is one. With `upto` [`URGENT`] nothing is
    /// planned, and hardly ever GitLab asked.
    ///
    /// [`URGENT`]: aldis_domain::touch::URGENT
    pub async fn step(&self, upto: u8, baton: &Baton) -> Result<Step, StoreError> {
        let due = Due { kind: WorkKind::Plan, upto };
        let most = if upto == URGENT { ANNOUNCED_AT_ONCE } else { 1 };
        let Claims { items: claimed, next_due } =
            self.store.claims(due, &self.owner, LEASE, most).await?;
        let Some(first) = claimed.first() else { return Ok(Step::Idle { next_due }) };
        if first.more {
            baton.pass();
            if upto != URGENT {
                let_first_statuses_pass(&self.store).await;
            }
        }
        // What cannot be read now is read, and put off, one by one.
        let glance = self.glance(&claimed).await.unwrap_or_default();
        let taken = join_all(claimed.iter().map(|claimed| self.take(claimed, &glance))).await;
        let mut closed = Duration::ZERO;
        for pause in taken {
            closed = closed.max(pause?);
        }
        // GitLab takes no calls now: the next item would only be put off as well.
        tokio::time::sleep(closed).await;
        Ok(Step::Worked)
    }

    /// Handles an item and ends its lease. Returns for how long GitLab takes no calls.
    async fn take(&self, claimed: &Claimed, glance: &Glance) -> Result<Duration, StoreError> {
        let mut closed = Duration::ZERO;
        let release = match self.keeping(claimed, Box::pin(self.handle(claimed, glance))).await {
            Ok(release) => release,
            // Somebody else has the item.
            Err(PlanError::Store(StoreError::FencedOff)) => None,
            Err(PlanError::NotReady(pause)) => Some(Release::Failed(pause)),
            Err(error) => {
                closed = error.retry_after().unwrap_or_default().min(MOST_CLOSED);
                Some(put_off(claimed, error)?)
            }
        };
        if let Some(release) = release {
            self.store.release(claimed, release).await?;
        }
        Ok(closed)
    }

    /// Keeps the lease as long as the work goes on. If it is lost, the decision is refused, and the
    /// plan unless nobody has told of the change meanwhile: then it is as good as another's.
    async fn keeping<T>(&self, claimed: &Claimed, mut work: impl Future<Output = T> + Unpin) -> T {
        loop {
            if let Ok(done) = tokio::time::timeout(SIGN_EVERY, &mut work).await {
                return done;
            }
            if let Err(error) = self.store.extend(&claimed.fence(), LEASE).await {
                tracing::warn!(item = claimed.key.key, %error, "a lease cannot be kept");
            }
        }
    }

    /// Does what is next for the work item: announces a delivery, or plans one that is announced, or
    /// looks at a change whose runs moved on. Returns how its lease is to end, unless that has
    /// happened.
    async fn handle(
        &self,
        claimed: &Claimed,
        glance: &Glance,
    ) -> Result<Option<Release>, PlanError> {
        let key = claimed.key.key.as_str();
        if let Some(change) = key.strip_prefix("change-").and_then(|c| c.parse().ok()) {
            let meta = Meta::from_source("planner");
            self.decide_by(&meta, |ledger| planning::look_at_needs(ledger, &change)).await?;
        } else if claimed.class == URGENT {
            return self.announce_delivery(claimed, glance).await;
        } else {
            return self.plan_delivery(claimed).await;
        }
        Ok(Some(Release::Done))
    }
}

fn put_off(claimed: &Claimed, error: PlanError) -> Result<Release, StoreError> {
    let pause = FIRST_PAUSE.saturating_mul(1 << claimed.attempts.min(10)).min(LONGEST_PAUSE);
    let pause = error.retry_after().unwrap_or(Duration::ZERO).max(pause);
    match error {
        PlanError::Store(error) if !error.is_retryable() => Err(error),
        error => {
            let (item, seconds) = (&claimed.key.key, pause.as_secs_f32());
            tracing::warn!(item, seconds, %error, "planning is put off");
            Ok(Release::Failed(pause))
        }
    }
}
