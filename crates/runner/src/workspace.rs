//! Brings a commit into a run directory.
//!
//! Called by the job. Never here: a credential in a URL, an argument, a file or a run directory;
//! two fetchers in one mirror; a ref per fetched commit.

mod askpass;
mod direct;
mod fetch;
mod git;
mod leftovers;
mod mirror;
mod run_dir;
mod upload_pack;

use std::io::ErrorKind;

pub(crate) use git::Git;
pub(crate) use leftovers::sweep_mirrors;
pub(crate) use mirror::{Mirror, Mirrors, Wanted};
pub(crate) use run_dir::{RunDir, ensure_dir, give, make_dir, spread, sweep};

/// Why a commit could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WorkspaceError {
    /// The server does not hand out this commit by its sha; it may by a ref.
    #[error("the commit is no longer in the repository")]
    Gone,
    /// Asking again will not help: the project is gone, the token is refused.
    #[error("{0}")]
    Refused(String),
    /// May pass by itself.
    #[error("{0}")]
    Network(String),
    /// The mirror is damaged; a new one may help.
    #[error("{0}")]
    Corrupt(String),
    /// The disk or a quota is used up.
    #[error("{0}")]
    NoRoom(String),
    /// Something else on this machine.
    #[error("{0}")]
    Local(String),
}

impl WorkspaceError {
    pub(crate) fn local(what: &str, error: &std::io::Error) -> Self {
        let words = format!("cannot {what}: {error}; check the runner's data directory");
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::NoRoom(words),
            _ => Self::Local(words),
        }
    }
}
