//! Every call against a real socket: what goes out, what is read, and which error follows.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking, its parts too")]

mod calls;
mod errors;
mod limits;
mod paging;
mod server;
