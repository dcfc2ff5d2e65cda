//! Keeps the lease of one attempt and learns whether to go on.
//!
//! The deadline is the runner's own: it counts from before a heartbeat was sent, on a clock that
//! goes on while the machine sleeps, so a job ends before the queue gives the run to another.

use std::sync::Arc;
use std::time::Duration;

use aldis_protocol::{Directive, DispatchError, Dispatcher, Ticket};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::clock::since_boot;

/// Why the steps must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// On request: finish as canceled.
    Canceled,
    /// This runner itself is being stopped: hand back, or finish as canceled.
    Stopped,
    /// The run is no longer ours: say nothing more.
    Lost,
}

/// A lease being kept. Dropping it ends the keeping.
pub(crate) struct Lease {
    interrupt: watch::Sender<Option<Interrupt>>,
    /// To be rung by whoever else learns that the lease is stale.
    pub(crate) stale: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Lease {
    /// Starts the heartbeat, every 1/4.5 of `length` (10 s of 45 s). `claimed_at` is from
    /// [`since_boot`], taken before the claim was sent.
    pub(crate) fn keep<D: Dispatcher>(
        dispatcher: D,
        ticket: Ticket,
        length: Duration,
        tracked: bool,
        claimed_at: Duration,
    ) -> Self {
        let (interrupt, _) = watch::channel(None);
        let stale = Arc::new(Notify::new());
        let beat = Beat { dispatcher, ticket, length, tracked, renewed: claimed_at };
        let told = interrupt.clone();
        let rung = Arc::clone(&stale);
        let task = tokio::spawn(async move {
            let canceling = beat.dispatcher.clone();
            let ticket = beat.ticket.clone();
            let reason = tokio::select! {
                reason = beat.until_interrupted() => reason,
                () = canceling.canceled(&ticket) => Interrupt::Canceled,
                () = rung.notified() => Interrupt::Lost,
            };
            told.send_replace(Some(reason));
        });
        Self { interrupt, stale, task }
    }

    /// Ends the job because the runner is being stopped.
    pub(crate) fn stop(&self) {
        self.interrupt.send_if_modified(|now| {
            let first = now.is_none();
            now.get_or_insert(Interrupt::Stopped);
            first
        });
    }

    /// Resolves when the steps must end.
    pub(crate) async fn interrupted(&self) -> Interrupt {
        let mut seen = self.interrupt.subscribe();
        match seen.wait_for(Option::is_some).await {
            Ok(reason) => reason.unwrap_or(Interrupt::Lost),
            Err(_) => Interrupt::Lost,
        }
    }
}

struct Beat<D> {
    dispatcher: D,
    ticket: Ticket,
    length: Duration,
    tracked: bool,
    /// When the last heartbeat that was answered had been sent.
    renewed: Duration,
}

impl<D: Dispatcher> Beat<D> {
    async fn until_interrupted(mut self) -> Interrupt {
        let interval = self.length.mul_f64(1.0 / 4.5);
        let mut next = self.renewed + interval;
        loop {
            let wake = if self.tracked { next } else { next.min(self.end()) };
            tokio::time::sleep(wake.saturating_sub(since_boot())).await;
            let sent = since_boot();
            if !self.tracked && sent >= self.end() {
                tracing::warn!(run = %self.ticket.run, "the lease ran out without an answer");
                return Interrupt::Lost;
            }
            let patience =
                if self.tracked { interval } else { interval.min(self.end().saturating_sub(sent)) };
            let answer =
                tokio::time::timeout(patience, self.dispatcher.heartbeat(&self.ticket)).await;
            match answer {
                Ok(Ok(Directive::Go)) => self.renewed = sent,
                Ok(Ok(Directive::Cancel)) => return Interrupt::Canceled,
                Ok(Err(DispatchError::Stale)) => return Interrupt::Lost,
                Ok(Err(DispatchError::Unavailable(_))) | Err(_) => {
                    next = since_boot() + interval / 5;
                    continue;
                }
            }
            next = sent + interval;
        }
    }

    /// When a job must begin to end, so that nothing of it lives when the lease is over: 10 s of a
    /// lease of 45 s before its end.
    fn end(&self) -> Duration {
        self.renewed + self.length.mul_f64(35.0 / 45.0)
    }
}
