//! The run queue that runners talk to: the service behind [`Dispatcher`].
//!
//! A run is leased from the store; each attempt has an epoch, and whatever comes with an older one
//! is refused. Never here: GitLab's API, a decision that `aldis_domain::run` could make.

mod announce;
mod assignment;
mod claim;
mod http;

use std::time::Duration;

use aldis_bus::{Bus, Topic};
use aldis_domain::event::Event;
use aldis_domain::id::RunId;
use aldis_domain::run::{Rejection, Run, RunCommand, decide};
use aldis_domain::stream;
use aldis_domain::touch::WorkKind;
use aldis_protocol::{
    Announced, Assignment, ClaimRequest, Directive, DispatchError, Dispatcher, Finish, LogChunk,
    Ticket,
};
use aldis_store::{Fence, Meta, Store, StoreError, WorkKey, transact};

pub use assignment::GitAccess;
pub use http::{Api, DEFAULT_POOL};

/// Lease of a test run. A runner that is not heard of for so long is given up.
pub const LEASE: Duration = Duration::from_secs(45);
/// Lease of a tracked run: nobody may deploy twice, so it is given up late, but before people do. See
/// `docs/adr/0014-a-deployment-is-given-up-within-two-minutes.md`.
pub const TRACKED_LEASE: Duration = Duration::from_secs(100);
/// How often a cancel is looked for when no hint comes.
const CANCEL_LOOK: Duration = Duration::from_secs(10);

/// The run queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Dispatch {
    store: Store,
    bus: Bus,
    git: GitAccess,
    base_url: String,
}

/// Why an attempt's message was not taken.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Rejected(#[from] Rejection),
}

impl Dispatch {
    /// `base_url`: our own public address, for the links a job may print.
    pub fn new(store: Store, bus: Bus, git: GitAccess, base_url: String) -> Self {
        Self { store, bus, git, base_url }
    }

    fn fence(ticket: &Ticket) -> Fence {
        Fence { key: work_key(&ticket.run), epoch: ticket.epoch }
    }

    async fn run(&self, run: &RunId) -> Result<Run, StoreError> {
        self.store.fold(&stream::run(run)).await
    }

    /// Takes a test run back, as if the attempt had never been: the next one may take it at once.
    async fn take_back(&self, ticket: &Ticket) -> Result<(), Trouble> {
        let stream = stream::run(&ticket.run);
        let fence = Self::fence(ticket);
        let is_over: Result<bool, Trouble> = transact!(self.store, Meta::from_source("dispatch"), unit => {
            let run: Run = unit.fold(&stream).await?;
            // Nobody may deploy twice: how it went is for the runner to tell.
            if run.tracked() {
                return Err(Rejection::Stale.into());
            }
            let events = decide(&run, RunCommand::Lose { epoch: ticket.epoch, counts: false })?;
            let is_over = events.iter().any(|event| matches!(event, Event::RunFinished(_)));
            unit.fence(fence.clone());
            if is_over {
                unit.finish(fence.key.clone());
            }
            for event in events {
                unit.append(&stream, event);
            }
            Ok(is_over)
        });
        if !is_over? {
            self.store.extend(&fence, Duration::ZERO).await?;
            self.bus.hint(Topic::Run);
        }
        Ok(())
    }

    /// Ends the attempt. Nobody asks for the lease: until the next attempt has begun this is the
    /// run's last one, and whoever has claimed the row meanwhile finds the run over.
    async fn end(&self, finish: &Finish) -> Result<(), Trouble> {
        let ticket = &finish.ticket;
        let stream = stream::run(&ticket.run);
        let meta = Meta::from_source("dispatch");
        transact!(self.store, meta, unit => {
            let run: Run = unit.fold(&stream).await?;
            let events = decide(
                &run,
                RunCommand::Finish {
                    epoch: ticket.epoch,
                    outcome: finish.outcome,
                    report: finish.report.clone(),
                },
            )?;
            unit.finish(work_key(&ticket.run));
            for event in events {
                unit.append(&stream, event);
            }
            Ok(())
        })
    }
}

/// The work row of a run.
fn work_key(run: &RunId) -> WorkKey {
    WorkKey::new(WorkKind::Run, run.as_str())
}

fn lease(tracked: bool) -> Duration {
    if tracked { TRACKED_LEASE } else { LEASE }
}

fn unavailable(error: &StoreError) -> DispatchError {
    match error {
        StoreError::FencedOff => DispatchError::Stale,
        other => DispatchError::Unavailable(other.to_string()),
    }
}

impl From<Trouble> for DispatchError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Store(error) => unavailable(&error),
            Trouble::Rejected(_) => Self::Stale,
        }
    }
}

impl Dispatcher for Dispatch {
    async fn claim(&self, request: ClaimRequest) -> Result<Option<Assignment>, DispatchError> {
        Ok(self.next_assignment(&request).await?)
    }

    async fn announced(&self, after: Option<i64>) -> Announced {
        self.next_announced(after).await
    }

    async fn heartbeat(&self, ticket: &Ticket) -> Result<Directive, DispatchError> {
        let run = self.run(&ticket.run).await.map_err(|e| unavailable(&e))?;
        let awaited = run.awaits(ticket.epoch);
        let kept = awaited
            && self
                .store
                .extend(&Self::fence(ticket), lease(run.tracked()))
                .await
                .map_err(|e| unavailable(&e))?;
        // Nobody else begins a tracked run, so its steps go on without the lease.
        match (kept || (awaited && run.tracked()), &run.cancel) {
            (false, _) => Err(DispatchError::Stale),
            (true, Some(_)) => Ok(Directive::Cancel),
            (true, None) => Ok(Directive::Go),
        }
    }

    async fn canceled(&self, ticket: &Ticket) {
        let mut listener = self.bus.listen(Topic::Cancel);
        loop {
            match self.run(&ticket.run).await {
                Ok(run) if run.cancel.is_some() && run.epoch == Some(ticket.epoch) => return,
                Ok(_) => {}
                Err(error) => tracing::warn!(run = %ticket.run, %error, "cannot look for a cancel"),
            }
            listener.wait(CANCEL_LOOK).await;
        }
    }

    async fn log(&self, chunk: LogChunk) -> Result<(), DispatchError> {
        let Ticket { run, epoch } = chunk.ticket;
        let stored = aldis_store::LogChunk { seq: chunk.seq, step: chunk.step, bytes: chunk.bytes };
        let kept = self.store.add_log(run.as_str(), epoch, vec![stored]).await;
        kept.map_err(|e| unavailable(&e))
    }

    async fn hand_back(&self, ticket: &Ticket) -> Result<(), DispatchError> {
        match self.take_back(ticket).await {
            Ok(()) | Err(Trouble::Rejected(Rejection::Over)) => Ok(()),
            Err(trouble) => Err(trouble.into()),
        }
    }

    async fn finish(&self, finish: Finish) -> Result<(), DispatchError> {
        match self.end(&finish).await {
            // `Over`: told twice, the first answer was lost on the way.
            Ok(()) | Err(Trouble::Rejected(Rejection::Over)) => Ok(()),
            Err(trouble) => Err(trouble.into()),
        }
    }
}
