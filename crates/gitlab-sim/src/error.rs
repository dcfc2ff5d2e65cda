//! What can go wrong when a test or the demo acts on the simulator directly.

/// Why an act of a person, or the start of the simulator, failed.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// No such user, project, branch, merge request, note, hook, delivery or pipeline.
    #[error("the simulator has no {0}: create it first")]
    Unknown(String),
    /// GitLab would refuse this act in its user interface too.
    #[error("GitLab would refuse this: {0}")]
    Refused(String),
    /// A `git` command failed, or the program is missing.
    #[error("git {command} failed: {detail}; is git 2.38 or newer installed?")]
    Git {
        /// The subcommand.
        command: String,
        /// The last lines of its error output.
        detail: String,
    },
    /// The listener, a thread or the temporary directory could not be made.
    #[error("the simulator could not start: {0}")]
    Start(String),
}

impl SimError {
    pub(crate) fn unknown(what: impl Into<String>) -> Self {
        Self::Unknown(what.into())
    }

    pub(crate) fn refused(why: impl Into<String>) -> Self {
        Self::Refused(why.into())
    }
}
