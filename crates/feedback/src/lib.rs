//! Brings GitLab to the state the log asks for: statuses, notes, environments, deployments.
//!
//! Level-triggered: each pass folds what should stand, reads GitLab where an earlier answer was
//! lost, and makes the next write. Each write is intended in the log before it is sent. Never here:
//! a decision what to run, or what a status should say.

mod capability;
mod deployment;
mod failure;
mod note;
mod statuses;
mod view;

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aldis_bus::{Baton, Step};
use aldis_domain::event::Event;
use aldis_domain::fold::Fold;
use aldis_domain::note::{CALL_SECONDS, SEND_WITHIN_SECONDS};
use aldis_domain::statuses::Runs;
use aldis_domain::stream;
use aldis_domain::touch::{URGENT, WorkKind};
use aldis_gitlab::GitLab;
use aldis_store::{Claimed, Claims, Due, Envelope, Meta, Release, Store, StoreError, transact};
use futures_util::future::join_all;
use rustix::time::{ClockId, clock_gettime};

pub use failure::FeedbackError;
use view::View;

/// Longest time a pass may take before somebody else may take over: a few calls of at most 10 s.
const LEASE: Duration = Duration::from_secs(45);
/// Commits whose statuses are written together when they are urgent: what is appended at once shares
/// the store's work.
const URGENT_AT_ONCE: usize = 16;
/// A write is sent only within this time after its intent was written down.
const SEND_WITHIN: Duration = Duration::from_secs(SEND_WITHIN_SECONDS);
// Else what was sent last could land after the quiet period.
const _: () = assert!(aldis_gitlab::CALL_TIMEOUT.as_secs() <= CALL_SECONDS);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// The reconciler. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Feedback {
    store: Store,
    gitlab: GitLab,
    /// Our own public address, no slash at its end: where statuses and notes link to.
    base_url: String,
    /// User id of the bot's token.
    own_user: u64,
    owner: String,
}

impl Feedback {
    /// `owner`: a name for leases.
    pub fn new(
        store: Store,
        gitlab: GitLab,
        base_url: String,
        own_user: u64,
        owner: String,
    ) -> Self {
        Self { store, gitlab, base_url, own_user, owner }
    }

    /// Brings the most urgent resource that is `due` up to date, if there is one.
    pub async fn step(&self, due: Due, baton: &Baton) -> Result<Step, StoreError> {
        let most = if due.upto == URGENT { URGENT_AT_ONCE } else { 1 };
        let Claims { items: claimed, next_due } =
            self.store.claims(due, &self.owner, LEASE, most).await?;
        let Some(first) = claimed.first() else { return Ok(Step::Idle { next_due }) };
        if first.more {
            baton.pass();
        }
        let mut views = HashMap::new();
        if claimed.len() > 1 {
            // What cannot be read now is read, and put off, one by one.
            views = self.views(&claimed).await.unwrap_or_else(|error| {
                tracing::debug!(%error, "commits are read one by one");
                HashMap::new()
            });
        }
        let taken = claimed.iter().map(|claimed| self.take(claimed, views.remove(&claimed.key)));
        let taken = join_all(taken).await;
        taken.into_iter().collect::<Result<(), _>>()?;
        Ok(Step::Worked)
    }

    /// Works on a resource and ends its lease.
    async fn take(&self, claimed: &Claimed, view: Option<View>) -> Result<(), StoreError> {
        let release = match self.handle(claimed, view).await {
            Ok(release) => release,
            Err(FeedbackError::Store(StoreError::FencedOff)) => return Ok(()),
            Err(FeedbackError::Store(error)) if !error.is_retryable() => return Err(error),
            Err(error) => {
                let pause = FIRST_PAUSE.saturating_mul(1 << claimed.attempts.min(10));
                let pause = pause.min(LONGEST_PAUSE).max(error.retry_after().unwrap_or_default());
                let (kind, key) = (claimed.key.kind.as_str(), &claimed.key.key);
                let seconds = pause.as_secs_f32();
                tracing::warn!(kind, key, seconds, %error, "feedback is put off");
                Release::Failed(pause)
            }
        };
        self.store.release(claimed, release).await
    }

    /// Works on one resource until it shows what it should, or has to wait.
    async fn handle(
        &self,
        claimed: &Claimed,
        view: Option<View>,
    ) -> Result<Release, FeedbackError> {
        match claimed.key.kind {
            WorkKind::Statuses => self.statuses(claimed, view).await,
            WorkKind::Note => self.note(claimed).await,
            WorkKind::Deployment => self.deployment(claimed).await,
            _ => Ok(Release::Done),
        }
    }

    /// Appends facts about a resource, if the lease still stands.
    async fn tell(
        &self,
        claimed: &Claimed,
        name: &str,
        event: impl Into<Event>,
    ) -> Result<(), StoreError> {
        self.tell_all(claimed, name, [event.into()]).await
    }

    /// As [`Feedback::tell`]; without events nothing happens.
    async fn tell_all(
        &self,
        claimed: &Claimed,
        name: &str,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<(), StoreError> {
        let events: Vec<Event> = events.into_iter().collect();
        transact!(self.store, Meta::from_source("feedback"), unit => {
            unit.fence(claimed.fence());
            for event in &events {
                unit.append(name, event.clone());
            }
            Ok(())
        })
    }

    async fn load_runs(
        &self,
        ids: impl IntoIterator<Item = aldis_domain::id::RunId>,
    ) -> Result<Runs, StoreError> {
        let ids: Vec<_> = ids.into_iter().collect();
        let names: Vec<String> = ids.iter().map(stream::run).collect();
        let mut streams = self.store.load_many(&names).await?;
        let runs = ids.into_iter().zip(&names);
        Ok(runs.map(|(id, name)| (id, fold(&streams.remove(name).unwrap_or_default()))).collect())
    }
}

/// State from stored events; what a newer Aldis wrote is passed over.
fn fold<S: Fold>(envelopes: &[Envelope]) -> S {
    let mut state = S::default();
    for envelope in envelopes {
        match envelope.event() {
            Ok(event) => state.apply(&event),
            Err(error) => {
                tracing::warn!(stream = envelope.stream, %error, "an event is passed over");
            }
        }
    }
    state
}

/// Time since boot. It goes on while the machine sleeps, as an intent's age must.
fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Whether what was intended at `since`, by [`since_boot`], may still be sent.
fn may_send(since: Duration) -> bool {
    since_boot().saturating_sub(since) <= SEND_WITHIN
}

/// Age of the newest event that `wanted` picks, by the clock of this machine.
fn age_of(envelopes: &[Envelope], wanted: impl Fn(&Event) -> bool) -> Option<Duration> {
    let newest = envelopes.iter().rev().find(|e| e.event().is_ok_and(|event| wanted(&event)))?;
    Some(age(newest))
}

fn age(envelope: &Envelope) -> Duration {
    let recorded = Duration::from_micros(u64::try_from(envelope.recorded_at).unwrap_or(0));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(recorded)
}
