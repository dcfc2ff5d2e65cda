//! Documents and lists: what projections make of the log for pages and APIs.

use crate::envelope::Position;

/// A read model's document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub key: String,
    /// JSON.
    pub body: String,
    /// Of the event that was folded in last.
    pub position: Position,
}

/// What stands in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The list; one projection may keep several.
    pub scope: String,
    /// Lists run downwards. It never changes: under another one the entry would stand twice.
    pub sort_key: i64,
    pub key: String,
    /// JSON.
    pub body: String,
}

/// What a step of a projection inserts, or puts in the place of what has the same key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Writes {
    pub documents: Vec<Document>,
    pub entries: Vec<Entry>,
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
