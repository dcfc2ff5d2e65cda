//! Judges the appends of one group in memory, each also against those before it. Pure: an engine's
//! writer brings the facts and writes what comes out.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use aldis_domain::event::Event;
use aldis_domain::touch::RELAXED;
use uuid::Uuid;

use crate::append::{Answer, Append, Expected, StreamWrite};
use crate::envelope::{Envelope, Head, Position};
use crate::work::{Fence, WorkKey, WorkTouch};

/// What the database says, read inside the transaction that writes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// Streams that are written; without those that have no events.
    pub(crate) versions: HashMap<String, u64>,
    /// Rows of fences that are leased, or whose lease ran out: their epoch.
    pub(crate) leases: HashMap<WorkKey, u64>,
    /// Event ids that are already stored.
    pub(crate) known: HashSet<Uuid>,
}

/// A row of `work` to insert, or to merge into the one that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DueRow {
    pub(crate) class: u8,
    /// Milliseconds of the lease clock.
    pub(crate) due_at: i64,
    pub(crate) reset: bool,
}

/// An append with all that can be made of it before its turn, so that the writer need not.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) append: Append,
    /// Of all events of all writes, in order.
    bodies: Vec<String>,
    meta: String,
}

impl From<Append> for Ready {
    fn from(append: Append) -> Self {
        let events = append.writes.iter().flat_map(|write| &write.events);
        let bodies = events.map(|new| new.event.body()).collect();
        let meta = append.meta.text();
        Self { append, bodies, meta }
    }
}

/// What happens to a row of `work`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct WorkChange {
    pub(crate) delete: bool,
    /// After the deletion, if there is one.
    pub(crate) due: Option<DueRow>,
}

/// The judgement of a group, as far as it has come.
#[derive(Debug)]
pub(crate) struct Judgement {
    pub(crate) facts: Facts,
    lease_now: i64,
    pub(crate) recorded_at: i64,
    pub(crate) head: Head,
    /// Of all streams that get events.
    pub(crate) versions: BTreeMap<String, u64>,
    pub(crate) events: Vec<Envelope>,
    /// Bodies, each with the position of its event.
    pub(crate) payloads: Vec<(Position, Arc<[u8]>)>,
    pub(crate) work: BTreeMap<WorkKey, WorkChange>,
}

impl Judgement {
    /// Begins at `head`. `recorded_at` is not earlier than that of the last event.
    pub(crate) fn new(facts: Facts, head: Head, lease_now: i64, recorded_at: i64) -> Self {
        let (versions, events, payloads, work) = Default::default();
        Self { facts, lease_now, recorded_at, head, versions, events, payloads, work }
    }

    /// Takes the append in, or says why not. A refusal leaves no trace.
    pub(crate) fn judge(&mut self, ready: &Ready) -> Answer {
        let append = &ready.append;
        if append.event_ids().any(|id| self.facts.known.contains(&id)) {
            return Answer::Seen;
        }
        if append.fence.as_ref().is_some_and(|fence| !self.holds(fence)) {
            return Answer::FencedOff;
        }
        let mut versions = HashMap::with_capacity(append.writes.len());
        for write in &append.writes {
            let actual =
                versions.get(&write.stream).copied().or_else(|| self.version(&write.stream));
            let fits = match write.expected {
                Expected::NoStream => actual.is_none(),
                Expected::Version(version) => actual.unwrap_or(0) == version,
                Expected::Any => true,
            };
            if !fits {
                return Answer::Conflict { stream: write.stream.clone(), actual };
            }
            if !write.events.is_empty() {
                let version = actual.unwrap_or(0) + write.events.len() as u64;
                versions.insert(write.stream.clone(), version);
            }
        }
        let mut bodies = ready.bodies.iter();
        for write in &append.writes {
            self.take(write, &mut bodies, &ready.meta);
        }
        self.facts.known.extend(append.event_ids());
        append.finished.iter().for_each(|key| self.finish(key));
        append.touches.iter().for_each(|touch| self.touch(touch));
        Answer::Appended { last: self.head.position, versions, at: self.recorded_at }
    }

    fn version(&self, stream: &str) -> Option<u64> {
        self.versions.get(stream).or_else(|| self.facts.versions.get(stream)).copied()
    }

    fn holds(&self, fence: &Fence) -> bool {
        self.facts.leases.get(&fence.key) == Some(&fence.epoch)
    }

    fn take<'a>(
        &mut self,
        write: &StreamWrite,
        bodies: &mut impl Iterator<Item = &'a String>,
        meta: &str,
    ) {
        let mut version = self.version(&write.stream).unwrap_or(0);
        for (new, body) in write.events.iter().zip(bodies) {
            version += 1;
            let mut envelope = Envelope {
                position: self.head.position + 1,
                id: new.id,
                stream: write.stream.clone(),
                version,
                kind: new.event.kind().to_owned(),
                schema_version: Event::SCHEMA_VERSION,
                body: body.clone(),
                meta: meta.to_owned(),
                recorded_at: self.recorded_at,
                prev_hash: self.head.hash,
                hash: [0; 32],
            };
            envelope.hash = envelope.computed_hash();
            self.head = Head { position: envelope.position, hash: envelope.hash };
            self.events.push(envelope);
            let payload = new.payload.iter().cloned();
            self.payloads.extend(payload.map(|bytes| (self.head.position, bytes)));
        }
        if !write.events.is_empty() {
            self.versions.insert(write.stream.clone(), version);
        }
    }

    fn touch(&mut self, touch: &WorkTouch) {
        let due_in = i64::try_from(touch.due_in.as_millis()).unwrap_or(i64::MAX);
        let new = DueRow {
            class: touch.class.min(RELAXED),
            due_at: self.lease_now.saturating_add(due_in),
            reset: touch.reset,
        };
        let change = self.work.entry(touch.key.clone()).or_default();
        change.due = Some(match change.due {
            Some(old) if !new.reset => DueRow {
                class: old.class.min(new.class),
                due_at: old.due_at.min(new.due_at),
                reset: old.reset,
            },
            _ => new,
        });
    }

    fn finish(&mut self, key: &WorkKey) {
        self.work.insert(key.clone(), WorkChange { delete: true, due: None });
        self.facts.leases.remove(key);
    }
}

impl Append {
    /// Ids of all events.
    pub(crate) fn event_ids(&self) -> impl Iterator<Item = Uuid> {
        self.writes.iter().flat_map(|write| &write.events).map(|event| event.id)
    }
}
