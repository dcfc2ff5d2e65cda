//! Executes runs: workspace, sandbox, output, reports.
//!
//! Called by the binary with a [`Dispatcher`](aldis_protocol::Dispatcher); talks to nobody else. [`Remote`] is the
//! one of a runner that has its machine to itself.
//! Never here: a decision about what to run, a database, a GitLab API call. A secret never enters
//! the sandbox, a URL, a process argument or a file, and no step shares the host's network.

mod clock;
mod executor;
mod job;
mod lease;
mod limits;
mod output;
mod preflight;
mod programs;
mod quota;
mod remote;
mod reports;
mod room;
mod settings;
mod slot;
mod steps;
mod workspace;

pub use preflight::{Capabilities, PreflightError, preflight};
pub use remote::{Remote, RemoteError, Server, ready};
pub use settings::{Limits, Settings};
pub use slot::{Runner, Slot, Stop, Turn};
