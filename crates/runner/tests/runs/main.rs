//! Whole runs: a queue in memory, real git repositories, real sandboxes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod https;
mod isolation;
mod leases;
mod limits;
mod one_request;
mod room;
mod sources;
mod steps;
mod support;
