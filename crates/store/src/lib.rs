//! The event log and what stands beside it: work items, documents, payloads, secrets. All SQL of
//! Aldis is in this crate, and nothing of it shows outside.
//!
//! Every service calls [`Store`]; most write through [`transact!`](crate::transact). Never here: a
//! decision about GitLab or runs, HTTP, a message to the broker.

mod ahead;
mod append;
mod clock;
mod digest;
mod document;
mod envelope;
mod error;
mod failpoint;
mod judge;
mod migrations;
mod moving;
mod number;
mod postgres;
mod rows;
mod run_log;
mod runner;
mod secret;
mod settings;
mod sql;
mod sqlite;
mod store;
pub mod unit;
mod value;
mod verify;
mod work;

pub use ahead::Ahead;
pub use append::{Answer, ApiCall, Append, Expected, Person, StreamWrite};
pub use clock::Clock;
pub use digest::{sha256, sha256_hex};
pub use document::{Checkpoint, Document, Entry, Writes};
pub use envelope::{Breach, Envelope, Head, Meta, NewEvent, Position, Verified};
pub use error::StoreError;
pub use failpoint::Failpoint;
pub use moving::{Export, Import, Outline, Record};
pub use run_log::LogChunk;
pub use runner::Runner;
pub use settings::Settings;
pub use store::Store;
pub use unit::Unit;
pub use work::{
    Backlog, Bells, Claimed, Claims, Due, Fence, Release, WorkKey, WorkKind, WorkTouch,
};
