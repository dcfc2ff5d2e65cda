//! What can go wrong with the store, by what a caller does about it.

use std::path::PathBuf;

use sqlx::postgres::PgDatabaseError;

use crate::sqlite;

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("another aldis process uses {}: stop it, or choose another ALDIS_DATA_DIR", .0.display())]
    InUse(PathBuf),
    #[error("{} is not an Aldis database: {why}", path.display())]
    NotADatabase { path: PathBuf, why: String },
    #[error("the database was written by a newer Aldis (migration {0}): run that version")]
    Newer(i64),
    #[error("the database has not been migrated by this Aldis yet: run `aldis migrate`")]
    Older,
    #[error("cannot use {}: {why}", path.display())]
    Files { path: PathBuf, why: String },
    /// Disk full, database busy, input or output error. Nothing was written.
    #[error("the database cannot be used now, try again later: {0}")]
    Unavailable(String),
    #[error("stored data cannot be read, restore a backup or run `aldis log verify`: {0}")]
    Corrupt(String),
    /// What the operator has set does not do.
    #[error("the database cannot be used as it is set up: {0}")]
    Refused(String),
    /// A bot moves only to where there is none.
    #[error("the database is not empty, it has rows in `{0}`: import into a new one")]
    NotEmpty(&'static str),
    #[error("secret `{name}` cannot be opened: {why}")]
    Sealed { name: String, why: String },
    /// Somebody else was faster every time.
    #[error("stream `{0}` was changed by others each time, try again later")]
    Contended(String),
    /// See [`crate::Answer::FencedOff`]. The caller drops what it was doing.
    #[error("the lease went to somebody else, or the work is over")]
    FencedOff,
    #[error("the database refused a statement, please report this: {0}")]
    Unexpected(String),
    #[error("the store was closed")]
    Closed,
    #[error(transparent)]
    Broken(#[from] crate::envelope::Breach),
}

impl StoreError {
    /// Whether the same call can succeed later with nobody doing anything.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Contended(_))
    }

    /// The same for another who waits for the same thing. Only what can come to several at once
    /// keeps its kind.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Unavailable(why) => Self::Unavailable(why.clone()),
            Self::Corrupt(why) => Self::Corrupt(why.clone()),
            Self::Refused(why) => Self::Refused(why.clone()),
            other => Self::Unexpected(other.to_string()),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let text = error.to_string();
        match error {
            sqlx::Error::Database(e) => {
                let code = e.code().unwrap_or_default();
                match e.try_downcast_ref::<PgDatabaseError>() {
                    Some(postgres) => {
                        crate::postgres::from_state(&code, postgres.message().to_owned())
                    }
                    None => sqlite::from_code(&code, text),
                }
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::WorkerCrashed => Self::Unavailable(text),
            sqlx::Error::PoolClosed => Self::Closed,
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::Corrupt(text),
            _ => Self::Unexpected(text),
        }
    }
}
