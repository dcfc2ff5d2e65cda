//! The envelope around an event, and the hash chain through all envelopes.

use std::sync::Arc;

use aldis_domain::event::{Event, EventError};
use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Place of an event in the log: 1, 2, 3 … without gaps, in commit order. 0 is before the first.
pub type Position = i64;

/// An event that is to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Version 7, made once per event: an append that is tried again carries the same ids.
    pub id: Uuid,
    pub event: Event,
    /// The raw webhook body that the event tells of, lz4. It is kept outside the chain, under the
    /// event's position.
    pub payload: Option<Arc<[u8]>>,
}

/// Why and by whom events were appended. One for all events of an append.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// The event that started it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Uuid>,
    /// The event that led to these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation: Option<Uuid>,
    /// A person's `instance.id` or a part of Aldis; never a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The service that appended, for example `ingress`.
    pub source: String,
}

/// A stored event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    pub position: Position,
    pub id: Uuid,
    pub stream: String,
    /// 1 for the first event of the stream.
    pub version: u64,
    /// See [`Event::kind`].
    pub kind: String,
    pub schema_version: u32,
    /// The text that was hashed.
    pub body: String,
    /// [`Meta`] as it was hashed.
    pub meta: String,
    /// Microseconds since 1970, UTC. Never less than that of the event before.
    pub recorded_at: i64,
    pub prev_hash: [u8; 32],
    pub hash: [u8; 32],
}

impl NewEvent {
    /// `event` with an id of its own.
    pub fn new(event: impl Into<Event>) -> Self {
        Self { id: Uuid::now_v7(), event: event.into(), payload: None }
    }

    /// Keeps a webhook body (lz4) beside the event.
    #[must_use]
    pub fn with_payload(self, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { payload: Some(bytes.into()), ..self }
    }
}

impl Meta {
    /// What `source` does of itself.
    pub fn from_source(source: impl Into<String>) -> Self {
        Self { source: source.into(), ..Self::default() }
    }

    /// What `source` does because of `cause`: same correlation, next causation.
    pub fn caused_by(source: impl Into<String>, cause: &Envelope) -> Self {
        let correlation = cause.meta().ok().and_then(|meta| meta.correlation);
        Self {
            correlation: Some(correlation.unwrap_or(cause.id)),
            causation: Some(cause.id),
            ..Self::from_source(source)
        }
    }

    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).expect("meta holds only strings")
    }
}

impl Envelope {
    /// The event itself. [`EventError::UnknownKind`] comes from a newer Aldis and may be skipped.
    pub fn event(&self) -> Result<Event, EventError> {
        Event::decode(&self.kind, self.schema_version, &self.body)
    }

    /// Why and by whom it was appended.
    pub fn meta(&self) -> Result<Meta, serde_json::Error> {
        serde_json::from_str(&self.meta)
    }

    /// The hash that this envelope must have: SHA-256 over all other columns, each preceded by its
    /// length as eight bytes. Numbers are eight bytes; most significant first.
    pub fn computed_hash(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        let mut column = |bytes: &[u8]| {
            context.update(&(bytes.len() as u64).to_be_bytes());
            context.update(bytes);
        };
        column(&self.position.to_be_bytes());
        column(self.id.as_bytes());
        column(self.stream.as_bytes());
        column(&self.version.to_be_bytes());
        column(self.kind.as_bytes());
        column(&u64::from(self.schema_version).to_be_bytes());
        column(self.body.as_bytes());
        column(self.meta.as_bytes());
        column(&self.recorded_at.to_be_bytes());
        column(&self.prev_hash);
        context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
    }
}

/// The end of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub position: Position,
    /// Hash of the last event; all zero for an empty log.
    #[serde(with = "crate::digest::hex")]
    pub hash: [u8; 32],
}

/// A log that was found whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    pub events: u64,
    pub head: Head,
}

/// Why the log is not whole. Nothing repairs this: restore a backup, or find out who wrote to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Breach {
    /// There is another event, or none, where this position should be.
    #[error("the event at position {position} is missing")]
    Missing { position: Position },
    #[error("the event at position {position} was changed: its hash does not fit its columns")]
    Changed { position: Position },
    #[error("the event at position {position} does not follow the one before: prev_hash differs")]
    Unlinked { position: Position },
    #[error("a column of the event at position {position} cannot be read: {why}")]
    Unreadable { position: Position, why: String },
    #[error("log_head says position {position}, but the last event there is another one")]
    Head { position: Position },
    #[error("the events of stream `{stream}` do not have the versions 1 to {version}")]
    Stream { stream: String, version: u64 },
}
