//! How a process ends: what runs may finish, for a while.

use std::time::Duration;

use aldis_runner::Stop;
use anyhow::Result;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// The signals that ask a process to end.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on they do not end the process by themselves.
    pub(crate) fn listen() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Resolves at the next one.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Waits for `ended`. Test runs that are not over after `timeout` are handed back; at another
    /// signal all are, and tracked ones are canceled.
    pub(crate) async fn see_off(
        mut self,
        ended: impl Future<Output = ()>,
        runs: &watch::Sender<Stop>,
        timeout: Duration,
    ) {
        tracing::info!(
            seconds = timeout.as_secs(),
            "stopping: what runs may finish for so long; a second signal ends it"
        );
        let mut late = std::pin::pin!(tokio::time::sleep(timeout));
        let mut ended = std::pin::pin!(ended);
        loop {
            let last = *runs.borrow();
            tokio::select! {
                () = &mut ended => return,
                () = self.next() => runs.send_replace(Stop::Cancel),
                () = &mut late, if last < Stop::HandBack => runs.send_replace(Stop::HandBack),
            };
        }
    }
}
