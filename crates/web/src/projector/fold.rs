//! What all projections share: which events they read, and how a batch of them becomes writes.
//!
//! One event changes one document. A document is written as itself and as an entry of the lists
//! that name it; the entry is made from the document, so it is never read back here.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

use aldis_domain::event::Event;
use aldis_store::{Document, DocumentWrite, Envelope, Position};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ProjectionError;

/// Documents that are remembered between the batches of a rebuild.
const REMEMBERED: usize = 20_000;

/// Scope of documents that stand in no list.
const ONE: &str = "one";

/// An event, and what a fold may read of its envelope.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) event: Event,
    pub(crate) stream: String,
    pub(crate) position: Position,
    /// Microseconds since 1970, UTC.
    pub(crate) at: i64,
    /// It is the first event of its stream.
    pub(crate) first: bool,
}

/// A pure fold from events to documents.
pub(crate) trait Projection {
    const NAME: &'static str;
    /// Raised with every change of what is written: documents of a lower version are made anew.
    const VERSION: u32;
    /// Only events of these kinds are decoded.
    const KINDS: &'static [&'static str];
    /// Whether the first event of a stream is the first of its document, which need not be looked
    /// for then.
    const ONE_PER_STREAM: bool;
    /// What a page shows.
    type Body: Serialize + DeserializeOwned;
    /// What a list shows.
    type Entry: Serialize;

    /// The document that the event belongs to.
    fn key(seen: &Seen) -> Option<String>;

    /// The document after the event; `None`: still none.
    fn apply(body: Option<Self::Body>, key: &str, seen: &Seen) -> Option<Self::Body>;

    /// The lists the document stands in.
    fn listed(body: &Self::Body) -> Option<Listed<Self::Entry>>;
}

/// A document as lists show it.
#[derive(Debug)]
pub(crate) struct Listed<E> {
    /// Lists run downwards.
    pub(crate) sort_key: Position,
    /// `all`, or a project.
    pub(crate) scopes: Vec<String>,
    pub(crate) entry: E,
}

/// Where the document `key` itself is kept.
pub(super) fn one_key(key: &str) -> String {
    listed_key(ONE, key)
}

/// Where the entry of `key` in the list `scope` is kept.
pub(super) fn listed_key(scope: &str, key: &str) -> String {
    format!("{scope}/{key}")
}

/// An event of a batch and the document it belongs to.
pub(super) struct Concern {
    pub(super) key: String,
    pub(super) seen: Seen,
}

/// Decodes what the projection reads and passes over the rest.
pub(super) fn concerns<P: Projection>(envelopes: Vec<Envelope>) -> Vec<Concern> {
    let wanted = envelopes.into_iter().filter(|e| P::KINDS.contains(&e.kind.as_str()));
    wanted.filter_map(concern::<P>).collect()
}

fn concern<P: Projection>(envelope: Envelope) -> Option<Concern> {
    let event = match envelope.event() {
        Ok(event) => event,
        // The fold must go on: one body that cannot be read must not hide all later events.
        Err(error) => {
            let position = envelope.position;
            tracing::error!(position, projection = P::NAME, %error, "event passed over");
            return None;
        }
    };
    let seen = Seen {
        event,
        stream: envelope.stream,
        position: envelope.position,
        at: envelope.recorded_at,
        first: envelope.version == 1,
    };
    Some(Concern { key: P::key(&seen)?, seen })
}

struct Slot<B> {
    body: Option<B>,
    position: Position,
    changed: bool,
}

/// Documents in memory while events are folded into them.
pub(super) struct Batch<P: Projection> {
    slots: BTreeMap<String, Slot<P::Body>>,
    projection: PhantomData<P>,
}

impl<P: Projection> Default for Batch<P> {
    fn default() -> Self {
        Self { slots: BTreeMap::new(), projection: PhantomData }
    }
}

impl<P: Projection> Batch<P> {
    /// Documents that must be remembered before `concerns` can be folded.
    pub(super) fn missing(&mut self, concerns: &[Concern]) -> BTreeSet<String> {
        if self.slots.len() > REMEMBERED {
            self.slots.clear();
        }
        let mut missing = BTreeSet::new();
        for Concern { key, seen } in concerns {
            if self.slots.contains_key(key) || missing.contains(key) {
                continue;
            }
            if P::ONE_PER_STREAM && seen.first {
                let none = Slot { body: None, position: 0, changed: false };
                self.slots.insert(key.clone(), none);
            } else {
                missing.insert(key.clone());
            }
        }
        missing
    }

    /// Takes in what is stored of a document.
    pub(super) fn remember(
        &mut self,
        key: String,
        document: Option<Document>,
    ) -> Result<(), ProjectionError> {
        let position = document.as_ref().map_or(0, |d| d.position);
        let body = document.map(|d| serde_json::from_str(&d.body)).transpose();
        let body = body.map_err(|source| ProjectionError::Document {
            projection: P::NAME,
            key: key.clone(),
            source,
        })?;
        self.slots.insert(key, Slot { body, position, changed: false });
        Ok(())
    }

    /// Takes in the next event.
    pub(super) fn fold(&mut self, Concern { key, seen }: &Concern) {
        let none = || Slot { body: None, position: 0, changed: false };
        let slot = self.slots.entry(key.clone()).or_insert_with(none);
        slot.body = P::apply(slot.body.take(), key, seen);
        slot.position = seen.position;
        slot.changed = slot.body.is_some();
    }

    /// What changed since the last call, in key order.
    pub(super) fn writes(&mut self) -> Vec<DocumentWrite> {
        let mut writes = Vec::new();
        for (key, slot) in &mut self.slots {
            let (Some(body), true) = (&slot.body, std::mem::take(&mut slot.changed)) else {
                continue;
            };
            let put = |scope: &str, sort_key, body| {
                DocumentWrite::Put(Document {
                    key: listed_key(scope, key),
                    scope: scope.to_owned(),
                    sort_key,
                    body,
                    position: slot.position,
                })
            };
            let listed = P::listed(body);
            let sort_key = listed.as_ref().map_or(0, |l| l.sort_key);
            writes.push(put(ONE, sort_key, json(body)));
            if let Some(Listed { scopes, entry, .. }) = listed {
                writes.extend(scopes.iter().map(|scope| put(scope, sort_key, json(&entry))));
            }
        }
        writes
    }
}

fn json<T: Serialize>(body: &T) -> String {
    serde_json::to_string(body).expect("documents hold only strings, numbers and text-keyed maps")
}
