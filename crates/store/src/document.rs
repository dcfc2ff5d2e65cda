//! Documents: what projections make of the log for pages and APIs.

use crate::envelope::Position;

/// A read model's entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub key: String,
    /// What a list is made of; one projection may keep several kinds of lists apart with it.
    pub scope: String,
    /// Lists run downwards.
    pub sort_key: i64,
    /// JSON.
    pub body: String,
    /// Of the event that was folded in last.
    pub position: Position,
}

/// A change of a read model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocumentWrite {
    /// Inserts, or replaces the one with the same key.
    Put(Document),
    /// Deletes by key.
    Delete(String),
}

/// How far a projection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Of the projection's code: one that differs asks for a rebuild.
    pub version: u32,
    pub position: Position,
    /// Hash of the event at `position`. If the log has another one there, it is another log.
    pub hash: [u8; 32],
}
