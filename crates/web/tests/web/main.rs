//! The pages as a browser sees them, over a store that real events have filled.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking, its parts too")]

mod access;
mod hostile;
mod log;
mod pages;
mod projector;
mod site;
