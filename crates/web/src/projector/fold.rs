//! What all projections share: which events they read, and how a batch of them becomes writes.
//!
//! One event changes one document. A document is kept, or folded from its stream whenever it is
//! asked for; the entries of the lists that name it are made from it, so they are never read back.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use aldis_domain::event::Event;
use aldis_store::{Checkpoint, Document, Entry, Envelope, Position, Store, Writes};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ProjectionError;

/// Documents that are remembered between the steps of a rebuild.
const REMEMBERED: usize = 20_000;

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

/// Where a document is found again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Home {
    /// It is kept as it was folded last.
    Documents,
    /// It is not kept: each has a stream of its own, which is short.
    Stream,
}

/// A pure fold from events to documents.
pub(crate) trait Projection {
    const NAME: &'static str;
    /// Raised with every change of what is written: documents of a lower version are made anew.
    const VERSION: u32;
    /// Only events of these kinds are decoded.
    const KINDS: &'static [&'static str];
    const HOME: Home;
    /// What a page shows.
    type Body: Serialize + DeserializeOwned;
    /// What a list shows.
    type Entry: Serialize;

    /// The document that the event belongs to.
    fn key(seen: &Seen) -> Option<String>;

    /// Whether the event is the first of its document, which need not be looked for then.
    fn begins(seen: &Seen) -> bool {
        seen.first
    }

    /// The document after the event; `None`: still none.
    fn apply(body: Option<Self::Body>, key: &str, seen: &Seen) -> Option<Self::Body>;

    /// The lists the document stands in.
    fn listed(body: &Self::Body) -> Option<Listed<Self::Entry>>;
}

/// A document as lists show it.
#[derive(Debug)]
pub(crate) struct Listed<E> {
    /// Lists run downwards. The same for all of a document's life.
    pub(crate) sort_key: Position,
    /// `all`, or a project.
    pub(crate) scopes: Vec<String>,
    pub(crate) entry: E,
}

/// An event of a batch and the document it belongs to.
pub(super) struct Concern {
    pub(super) key: String,
    pub(super) seen: Seen,
}

/// Decodes what the projection reads and passes over the rest.
pub(super) fn concerns<'a, P: Projection>(
    envelopes: impl IntoIterator<Item = &'a Envelope>,
) -> Vec<Concern> {
    let wanted = envelopes.into_iter().filter(|e| P::KINDS.contains(&e.kind.as_str()));
    wanted.filter_map(concern::<P>).collect()
}

fn concern<P: Projection>(envelope: &Envelope) -> Option<Concern> {
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
        stream: envelope.stream.clone(),
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
    /// How far they are folded.
    reached: Option<Checkpoint>,
    slots: BTreeMap<String, Slot<P::Body>>,
    projection: PhantomData<P>,
}

impl<P: Projection> Default for Batch<P> {
    fn default() -> Self {
        Self { reached: None, slots: BTreeMap::new(), projection: PhantomData }
    }
}

impl<P: Projection> Batch<P> {
    /// Forgets everything if it was not here that the projection came as far as `checkpoint`.
    pub(super) fn resume(&mut self, checkpoint: Option<Checkpoint>) {
        if self.reached != checkpoint {
            *self = Self { reached: checkpoint, ..Self::default() };
        }
    }

    /// What was folded is written, up to `checkpoint`.
    pub(super) fn reach(&mut self, checkpoint: Checkpoint) {
        self.reached = Some(checkpoint);
    }

    /// Takes in what was folded up to `reached` of the documents that `concerns` are about.
    pub(super) async fn gather(
        &mut self,
        store: &Store,
        concerns: &[Concern],
        reached: Position,
    ) -> Result<(), ProjectionError> {
        let missing = self.missing(concerns);
        match P::HOME {
            Home::Documents => {
                for key in missing.into_keys() {
                    let document = store.document(P::NAME, &key).await?;
                    self.remember(key, document)?;
                }
            }
            Home::Stream if missing.is_empty() => {}
            Home::Stream => {
                let streams: Vec<_> = missing.values().cloned().collect();
                let loaded = store.load_many(&streams).await?;
                for (key, stream) in missing {
                    self.refold(key, loaded.get(&stream), reached);
                }
            }
        }
        Ok(())
    }

    /// Keys of documents that are not in memory, and the stream that was seen of each.
    fn missing(&mut self, concerns: &[Concern]) -> BTreeMap<String, String> {
        if self.slots.len() > REMEMBERED {
            self.slots.clear();
        }
        let mut missing = BTreeMap::new();
        for Concern { key, seen } in concerns {
            if self.slots.contains_key(key) || missing.contains_key(key) {
                continue;
            }
            if P::begins(seen) {
                let none = Slot { body: None, position: 0, changed: false };
                self.slots.insert(key.clone(), none);
            } else {
                missing.insert(key.clone(), seen.stream.clone());
            }
        }
        missing
    }

    fn refold(&mut self, key: String, stream: Option<&Vec<Envelope>>, reached: Position) {
        let known = stream.into_iter().flatten().filter(|event| event.position <= reached);
        let known = concerns::<P>(known);
        let body = known
            .into_iter()
            .filter(|concern| concern.key == key)
            .fold(None, |body, concern| P::apply(body, &key, &concern.seen));
        self.slots.insert(key, Slot { body, position: reached, changed: false });
    }

    fn remember(&mut self, key: String, document: Option<Document>) -> Result<(), ProjectionError> {
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
    pub(super) fn writes(&mut self) -> Writes {
        let mut writes = Writes::default();
        for (key, slot) in &mut self.slots {
            let (Some(body), true) = (&slot.body, std::mem::take(&mut slot.changed)) else {
                continue;
            };
            if P::HOME == Home::Documents {
                let (key, position) = (key.clone(), slot.position);
                writes.documents.push(Document { key, body: json(body), position });
            }
            if let Some(Listed { scopes, entry, sort_key }) = P::listed(body) {
                let body = json(&entry);
                writes.entries.extend(scopes.into_iter().map(|scope| Entry {
                    scope,
                    sort_key,
                    key: key.clone(),
                    body: body.clone(),
                }));
            }
        }
        writes
    }
}

fn json<T: Serialize>(body: &T) -> String {
    serde_json::to_string(body).expect("documents hold only strings, numbers and text-keyed maps")
}
