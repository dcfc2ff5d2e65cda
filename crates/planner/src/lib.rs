//! From a delivery to the decision which stacks run, and why.
//!
//! Gathers facts from GitLab, lets `aldis_domain` decide, appends. Nothing in a payload is trusted
//! beyond "look there": heads, diffs, config and rights are read again. Never here: HTTP handlers,
//! commit statuses, job execution.

mod admit;
mod command;
mod delivery;
mod error;
mod gather;
mod plan;
mod project;

use std::time::Duration;

use aldis_bus::{Baton, Bus, Step};
use aldis_domain::planning;
use aldis_domain::touch::WorkKind;
use aldis_gitlab::GitLab;
use aldis_store::{Claimed, Meta, Release, Store, StoreError};

pub use error::PlanError;
use gather::Files;
use project::Projects;

/// Longest time one piece of planning may take before somebody else may take it over.
const LEASE: Duration = Duration::from_secs(90);
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

    /// Plans the most urgent due item, if there is one.
    pub async fn step(&self, baton: &Baton) -> Result<Step, StoreError> {
        let claimed = self.store.claim(WorkKind::Plan, &self.owner, LEASE, 1).await?;
        let Some(claimed) = claimed.into_iter().next() else {
            return Ok(Step::Idle { next_due: self.store.next_due(WorkKind::Plan).await? });
        };
        if claimed.more {
            baton.pass();
        }
        let mut closed = Duration::ZERO;
        let release = match self.handle(&claimed).await {
            Ok(()) => Release::Done,
            Err(PlanError::NotReady(pause)) => Release::Failed(pause),
            Err(error) => {
                closed = error.retry_after().unwrap_or_default().min(MOST_CLOSED);
                put_off(&claimed, error)?
            }
        };
        self.store.release(&claimed, release).await?;
        // GitLab takes no calls now: the next item would only be put off as well.
        tokio::time::sleep(closed).await;
        Ok(Step::Worked)
    }

    /// Plans what the work item names: a delivery, or a change whose runs moved on.
    pub async fn handle(&self, claimed: &Claimed) -> Result<(), PlanError> {
        let key = claimed.key.key.as_str();
        if let Some(change) = key.strip_prefix("change-").and_then(|c| c.parse().ok()) {
            let meta = Meta::from_source("planner");
            return self.decide_by(&meta, |ledger| planning::look_at_needs(ledger, &change)).await;
        }
        self.plan_delivery(claimed).await
    }
}

fn put_off(claimed: &Claimed, error: PlanError) -> Result<Release, StoreError> {
    let pause = FIRST_PAUSE.saturating_mul(1 << claimed.attempts.min(10)).min(LONGEST_PAUSE);
    let pause = error.retry_after().unwrap_or(Duration::ZERO).max(pause);
    match error {
        PlanError::Store(StoreError::FencedOff) => Ok(Release::Done),
        PlanError::Store(error) if !error.is_retryable() => Err(error),
        error => {
            let (item, seconds) = (&claimed.key.key, pause.as_secs_f32());
            tracing::warn!(item, seconds, %error, "planning is put off");
            Ok(Release::Failed(pause))
        }
    }
}
