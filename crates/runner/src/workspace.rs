//! Brings a commit into a run directory.
//!
//! Called by the job. Never here: a credential in a URL, an argument, a file or a run directory;
//! two fetchers in one mirror; a ref per fetched commit.

mod askpass;
mod fetch;
mod git;
mod mirror;
mod run_dir;

pub(crate) use git::Git;
pub(crate) use mirror::{Mirror, Mirrors, Wanted, sweep_mirrors};
pub(crate) use run_dir::{RunDir, ensure_dir, give, make_dir, sweep};

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
    /// Something on this machine.
    #[error("{0}")]
    Local(String),
}

impl WorkspaceError {
    pub(crate) fn local(what: &str, error: &std::io::Error) -> Self {
        Self::Local(format!("cannot {what}: {error}; check the runner's data directory"))
    }
}
