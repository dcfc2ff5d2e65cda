//! The store's clock. Leases compare only this one; events are stamped by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

/// Tells the time.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    /// `offset` turns boot time into the time since 1970 as it was when the store started.
    System {
        offset_micros: i64,
    },
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock. A step of the wall clock moves no lease: leases go by boot time, which
    /// also counts while the machine sleeps.
    pub fn system() -> Self {
        Self(Source::System { offset_micros: wall_micros() - boot_micros() })
    }

    /// A clock for tests, which stands still until it is moved.
    pub fn manual() -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(wall_micros()))))
    }

    /// Moves a manual clock, and all its clones. The machine's clock is not moved.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(now) = &self.0 {
            let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
            now.fetch_add(by, Ordering::SeqCst);
        }
    }

    /// Milliseconds; only for comparing with other values of this function.
    pub(crate) fn lease_millis(&self) -> i64 {
        let micros = match &self.0 {
            Source::System { offset_micros } => boot_micros() + offset_micros,
            Source::Manual(now) => now.load(Ordering::SeqCst),
        };
        micros / 1000
    }

    /// What a test says the time is, in milliseconds; `None`: the database knows.
    pub(crate) fn told_millis(&self) -> Option<i64> {
        self.told_micros().map(|micros| micros / 1000)
    }

    /// As [`Clock::told_millis`], in microseconds.
    pub(crate) fn told_micros(&self) -> Option<i64> {
        match &self.0 {
            Source::System { .. } => None,
            Source::Manual(now) => Some(now.load(Ordering::SeqCst)),
        }
    }

    /// Microseconds since 1970, UTC.
    pub(crate) fn wall_micros(&self) -> i64 {
        match &self.0 {
            Source::System { .. } => wall_micros(),
            Source::Manual(now) => now.load(Ordering::SeqCst),
        }
    }
}

fn wall_micros() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn boot_micros() -> i64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1000
}
