//! Which deliveries are authentic, and what is read of them.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking, its parts too")]

mod authentic;
mod payload;
