//! The clock of leases: it goes on while the machine sleeps, and nobody can set it.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Time since boot, suspension included.
pub(crate) fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// A number that differs from process to process and call to call; for names and jitter, not for
/// secrets.
pub(crate) fn any_number() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}
