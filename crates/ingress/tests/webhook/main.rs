//! The webhook endpoint over HTTP, with a store of its own: what is answered, and what is kept.

#![expect(clippy::unwrap_used, reason = "a test whose surroundings fail has failed")]

mod answers;
mod authentic;
mod bodies;
mod endpoint;
mod keys;
mod limits;
mod outage;
mod post;
mod spool;
mod triggers;
