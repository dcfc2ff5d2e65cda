//! What one append asks for and what it is answered.

use std::collections::HashMap;
use std::time::Duration;

use uuid::Uuid;

use crate::envelope::{Meta, NewEvent, Position};
use crate::work::{Fence, WorkKey, WorkTouch};

/// What a stream must look like for a write to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// It has no events.
    NoStream,
    /// It has just this many events.
    Version(u64),
    Any,
}

/// Events for one stream. Without events it is a guard: the stream must still be as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamWrite {
    pub stream: String,
    pub expected: Expected,
    pub events: Vec<NewEvent>,
}

/// A call to GitLab, for the audit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiCall {
    /// Microseconds since 1970, UTC.
    pub at: i64,
    pub instance: u32,
    /// A fingerprint of the token, never the token.
    pub token: String,
    pub method: String,
    /// The path's template, without ids.
    pub path: String,
    /// HTTP status; `None` if there was no answer.
    pub status: Option<u16>,
    pub took: Duration,
    /// GitLab's id of the request.
    pub request_id: Option<String>,
    /// The event for whose sake the call was made.
    pub cause: Option<Uuid>,
}

/// A person on a GitLab instance. Kept outside the log, so that a person can be erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub instance: u32,
    /// GitLab's numeric user id.
    pub id: u64,
    pub name: String,
    pub avatar: Option<String>,
}

/// One append: all of it happens, or none of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Append {
    /// At most one write per stream.
    pub writes: Vec<StreamWrite>,
    pub meta: Meta,
    /// The lease under which this is written.
    pub fence: Option<Fence>,
    /// Work that is over: the rows are deleted, whoever leases them.
    pub finished: Vec<WorkKey>,
    /// Work that becomes due; what was finished becomes a new row.
    pub touches: Vec<WorkTouch>,
    pub calls: Vec<ApiCall>,
    /// Inserted, or changed if they are known.
    pub people: Vec<Person>,
}

/// What became of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Appended {
        /// Of the last event of this append; the head before it if it had none.
        last: Position,
        /// What each written stream has now.
        versions: HashMap<String, u64>,
        /// Microseconds since 1970, UTC.
        at: i64,
    },
    /// Nothing was written: `stream` is not as expected. `actual` is `None` if it has no events.
    Conflict { stream: String, actual: Option<u64> },
    /// Nothing was written: the lease went to somebody else, or the work is over.
    FencedOff,
    /// Nothing was written now, because the same events were already appended before.
    Seen,
}

impl Append {
    /// An append that has only `meta` yet.
    pub fn new(meta: Meta) -> Self {
        Self { meta, ..Self::default() }
    }

    /// Adds a write; the work rows that follow from its events are added too.
    #[must_use]
    pub fn write(mut self, stream: &str, expected: Expected, events: Vec<NewEvent>) -> Self {
        for new in &events {
            let due = aldis_domain::touch::touches(&new.event, stream, new.id.simple());
            self.touches.extend(due.into_iter().map(WorkTouch::from));
        }
        self.writes.push(StreamWrite { stream: stream.to_owned(), expected, events });
        self
    }
}
