//! The run queue as runners see it, over a real store whose clock the test moves.

#![expect(clippy::unwrap_used, reason = "a test whose surroundings fail has failed")]

mod again;
mod announcements;
mod bench;
mod cancels;
mod claims;
mod leases;
mod restarts;
