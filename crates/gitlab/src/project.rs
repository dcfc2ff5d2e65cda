//! The calls about one project, one module per resource of GitLab's API.
//!
//! Answers hold only the fields Aldis reads; a field GitLab leaves out or sends as `null` is no
//! error unless it is an id.

pub(crate) mod access;
pub(crate) mod delivery;
pub(crate) mod deployment;
pub(crate) mod environment;
pub(crate) mod merge_request;
pub(crate) mod note;
pub(crate) mod pipeline;
pub(crate) mod repository;
pub(crate) mod status;

use crate::client::GitLab;
use crate::error::Error;

/// The calls about one project, by its numeric id (ids survive a rename; paths do not).
#[derive(Debug, Clone, Copy)]
pub struct Project<'a> {
    pub(crate) gitlab: &'a GitLab,
    pub(crate) id: u64,
}

/// A missing thing is an answer, not an error.
pub(crate) fn found<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
