//! The groups of rows. Bot and floor take turns, so that a busy moment of the machine meets both.

pub(crate) mod broker;
pub(crate) mod crowds;
pub(crate) mod disk;
pub(crate) mod ingest;
pub(crate) mod log;
pub(crate) mod memory;
pub(crate) mod open_loop;
pub(crate) mod path;
pub(crate) mod postgres;
pub(crate) mod rebuild;
pub(crate) mod scale;

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::report::Spread;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Turns of bot and floor.
    pub(crate) rounds: usize,
    /// Of one load.
    pub(crate) lasting: Duration,
    /// Deliveries one at a time.
    pub(crate) singles: usize,
    /// Deliveries at once.
    pub(crate) burst: usize,
    /// Events in the log that is read and folded.
    pub(crate) events: usize,
    /// Events in a long log, which is compared with a short one.
    pub(crate) long_log: usize,
    /// Events that are followed and then folded anew.
    pub(crate) folded: usize,
    /// Of a load at a steady rate.
    pub(crate) steady: Duration,
    /// Events that a bot finds at its start and folds anew beside that load.
    pub(crate) unfolded: usize,
}

const QUICK: Plan = Plan {
    rounds: 2,
    lasting: Duration::from_millis(800),
    singles: 6,
    burst: 50,
    events: 40_000,
    long_log: 1_000_000,
    folded: 100_000,
    steady: Duration::from_secs(10),
    unfolded: 600_000,
};
const WHOLE: Plan = Plan {
    rounds: 5,
    lasting: Duration::from_secs(3),
    singles: 30,
    burst: 50,
    events: 400_000,
    long_log: 10_000_000,
    folded: 1_000_000,
    steady: Duration::from_mins(1),
    unfolded: 3_000_000,
};

impl Plan {
    pub(crate) fn new(quick: bool) -> Self {
        if quick { QUICK } else { WHOLE }
    }
}

/// What comes next, for whoever waits.
pub(crate) fn say(what: &str) -> Result<()> {
    Ok(writeln!(std::io::stderr(), "  {what}")?)
}

/// The spread of what was measured at least once.
pub(crate) fn spread(samples: impl IntoIterator<Item = f64>) -> Result<Spread> {
    Spread::of(samples).context("nothing was measured")
}

/// What the peers did beside their floor on the machine where they were measured; a ratio to the
/// peer is made from the floor of this run and these. See `docs/benchmarks.md`.
pub(crate) mod peers {
    /// Deliveries acknowledged per second: Buildbot, Flask with Celery, and the floor.
    pub(crate) const ACKS: [f64; 3] = [63.0, 404.0, 25_583.0];
    /// Milliseconds to the first status, one at a time.
    pub(crate) const FIRST: [f64; 3] = [47.4, 8.8, 1.4];
    /// Milliseconds to the final status, one at a time, with a checkout.
    pub(crate) const FINAL: [f64; 3] = [1023.0, 70.2, 39.9];
    /// Final statuses per second in a burst, with a checkout.
    pub(crate) const FINALS: [f64; 3] = [1.03, 25.5, 43.0];
    /// Milliseconds of processor time per delivery, with a checkout.
    pub(crate) const CPU: [f64; 3] = [580.0, 55.0, 28.0];

    /// `factor` times a peer, as a factor of the floor.
    pub(crate) fn times(factor: f64, peer: f64, of: [f64; 3]) -> f64 {
        factor * peer / of[2]
    }
}
