//! Whole runs: a queue in memory, real git repositories, real sandboxes.

mod isolation;
mod leases;
mod limits;
mod sources;
mod steps;
mod support;
