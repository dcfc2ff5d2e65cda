//! Why planning did not come to an end, by what is done about it.

use std::time::Duration;

use aldis_domain::run::Rejection;
use aldis_store::StoreError;

/// All of these put the work off; nothing is lost by it.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    GitLab(#[from] aldis_gitlab::Error),
    #[error("a run is not as it was: {0}")]
    Run(#[from] Rejection),
    /// GitLab has not finished preparing the merge request.
    #[error("GitLab is not ready yet")]
    NotReady(Duration),
    /// What GitLab said may be older than what the log knows now.
    #[error("somebody else was faster")]
    Outrun,
}

impl PlanError {
    /// How long GitLab asks to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::GitLab(error) => error.retry_after(),
            Self::NotReady(pause) => Some(*pause),
            _ => None,
        }
    }
}

/// Turns "it is not there" into `None`; anything else stays an error.
pub(crate) fn found<T>(
    answer: Result<T, aldis_gitlab::Error>,
) -> Result<Option<T>, aldis_gitlab::Error> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(aldis_gitlab::Error::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
