//! What a failed call to GitLab means for the resource.

use std::time::Duration;

use aldis_domain::event::resource::RefusalClass;
use aldis_gitlab::Error;
use aldis_store::StoreError;

/// Why a pass did not come to an end. All of these put it off.
#[derive(Debug, thiserror::Error)]
pub enum FeedbackError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    GitLab(#[from] Error),
    /// The write was intended too long ago to be sent safely.
    #[error("this process was held up; what was intended is looked at again")]
    HeldUp,
}

impl FeedbackError {
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::GitLab(error) => error.retry_after(),
            _ => None,
        }
    }
}

/// What became of a write that failed.
pub(crate) enum Failure {
    /// Not done; the same write may be tried later.
    NotDone(Error),
    /// Nobody knows: read before writing again.
    InDoubt(Error),
    /// GitLab shows another state than we thought.
    Differs(Error),
    Refused(RefusalClass, String),
}

/// Sorts a write's error by what is to be done about it.
pub(crate) fn failure(error: Error) -> Failure {
    if error.is_in_doubt() {
        return Failure::InDoubt(error);
    }
    let said = error.context().message.clone();
    match error {
        error @ Error::CannotTransition(_) => Failure::Differs(error),
        Error::Forbidden { .. } => Failure::Refused(RefusalClass::Forbidden, said),
        Error::NotFound(_) => Failure::Refused(RefusalClass::Gone, said),
        Error::Limit(_) => Failure::Refused(RefusalClass::Full, said),
        Error::Invalid { .. } | Error::TooLong(_) | Error::CommandsOnly(_) => {
            Failure::Refused(RefusalClass::Invalid, said)
        }
        error => Failure::NotDone(error),
    }
}
