//! The unit of work: load, decide, append, and again if somebody else was faster.

use std::collections::{BTreeMap, HashSet};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use aldis_domain::event::{Event, EventError};
use aldis_domain::fold::Fold;
use aldis_domain::touch::touches;

use crate::append::{Answer, ApiCall, Append, Expected, Person, StreamWrite};
use crate::envelope::{Envelope, Meta, NewEvent};
use crate::error::StoreError;
use crate::store::Store;
use crate::work::{Fence, WorkKey, WorkTouch};

/// How often a unit is tried before its caller is told to come back later.
const TRIES: u32 = 8;

/// What one pass of [`transact!`](crate::transact) has read and wants to write.
#[derive(Debug)]
pub struct Unit {
    store: Store,
    streams: BTreeMap<String, StreamState>,
    append: Append,
}

/// What a unit knows of a stream.
#[derive(Debug, Default)]
struct StreamState {
    /// Events as they were loaded. `None`: not loaded.
    loaded: Option<Vec<Event>>,
    expected: Option<Expected>,
    guarded: bool,
    new: Vec<NewEvent>,
}

impl Store {
    /// The state of `stream` as it is now. To decide by it and append, use
    /// [`transact!`](crate::transact).
    pub async fn fold<S: Fold>(&self, stream: &str) -> Result<S, StoreError> {
        Ok(S::of(&events(&self.load(stream).await?)?))
    }

    /// Begins a unit of work; see [`transact!`](crate::transact).
    pub fn tries(&self, meta: Meta) -> Tries {
        Tries { store: self.clone(), meta, tried: 0, contended: String::new() }
    }
}

/// The tries of one unit of work. Used by [`transact!`](crate::transact) only.
#[derive(Debug)]
pub struct Tries {
    store: Store,
    meta: Meta,
    tried: u32,
    contended: String,
}

impl Tries {
    /// A fresh unit, or [`StoreError::Contended`] after the last try.
    pub async fn unit(&mut self) -> Result<Unit, StoreError> {
        if self.tried == TRIES {
            return Err(StoreError::Contended(std::mem::take(&mut self.contended)));
        }
        if self.tried > 0 {
            tokio::time::sleep(jitter(self.tried)).await;
        }
        self.tried += 1;
        Ok(Unit::new(self.store.clone(), self.meta.clone()))
    }

    /// Appends what the unit asks for, all or nothing. False: somebody else was faster.
    pub async fn commit(&mut self, unit: Unit) -> Result<bool, StoreError> {
        let Some(append) = unit.into_append() else { return Ok(true) };
        match self.store.append(append).await? {
            Answer::Appended { .. } | Answer::Seen => Ok(true),
            Answer::FencedOff => Err(StoreError::FencedOff),
            Answer::Conflict { stream, .. } => {
                self.contended = stream;
                Ok(false)
            }
        }
    }
}

/// `transact!(store, meta, unit => { … Ok(value) })`: runs the block and appends what it asks of
/// `unit`, a `&mut` [`Unit`], all or nothing. If a stream that it wrote to or guards was changed
/// meanwhile, the block runs again with a fresh unit, at most eight times. Hence it must do nothing
/// but read, decide and call the unit. Its error ends it, and nothing is written. The whole is a
/// `Result` with the block's error type, which must be made from [`StoreError`].
///
/// A macro, because the future of a function that takes an async closure is not `Send`.
#[macro_export]
macro_rules! transact {
    ($store:expr, $meta:expr, $unit:ident => $work:block) => {{
        let mut tries = $store.tries($meta);
        loop {
            let mut fresh = match tries.unit().await {
                Ok(unit) => unit,
                Err(error) => break Err(error.into()),
            };
            let $unit = &mut fresh;
            let value = match async { $work }.await {
                Ok(value) => value,
                Err(error) => break Err(error),
            };
            match tries.commit(fresh).await {
                Ok(true) => break Ok(value),
                Ok(false) => {}
                Err(error) => break Err(error.into()),
            }
        }
    }};
}

impl Unit {
    fn new(store: Store, meta: Meta) -> Self {
        Self { store, streams: BTreeMap::new(), append: Append::new(meta) }
    }

    /// The state of `stream`, with what this unit has appended to it. Later appends to it expect
    /// that nobody else has changed it.
    pub async fn fold<S: Fold>(&mut self, stream: &str) -> Result<S, StoreError> {
        self.load(stream).await?;
        Ok(S::of(self.known(stream)))
    }

    /// The events of `stream`, with what this unit has appended to it; else as [`Unit::fold`].
    pub async fn events(&mut self, stream: &str) -> Result<Vec<Event>, StoreError> {
        self.load(stream).await?;
        Ok(self.known(stream).cloned().collect())
    }

    fn known(&self, stream: &str) -> impl Iterator<Item = &Event> {
        let known = self.streams.get(stream);
        let loaded = known.and_then(|known| known.loaded.as_deref()).unwrap_or_default();
        let new = known.map(|known| known.new.as_slice()).unwrap_or_default();
        loaded.iter().chain(new.iter().map(|new| &new.event))
    }

    /// Reads several streams at once that will probably be asked for. Those that are not do not count
    /// as looked at.
    pub async fn read_ahead(&mut self, streams: &[String]) -> Result<(), StoreError> {
        let mut loaded = self.store.load_many(streams).await?;
        for stream in streams {
            self.take_in(stream, &loaded.remove(stream).unwrap_or_default())?;
        }
        Ok(())
    }

    async fn load(&mut self, stream: &str) -> Result<(), StoreError> {
        if self.streams.get(stream).is_none_or(|known| known.loaded.is_none()) {
            let envelopes = self.store.load(stream).await?;
            self.take_in(stream, &envelopes)?;
        }
        Ok(())
    }

    fn take_in(&mut self, stream: &str, envelopes: &[Envelope]) -> Result<(), StoreError> {
        let known = self.streams.entry(stream.to_owned()).or_default();
        known.expected.get_or_insert(match envelopes.last() {
            Some(last) => Expected::Version(last.version),
            None => Expected::NoStream,
        });
        known.loaded = Some(events(envelopes)?);
        Ok(())
    }

    /// Appends to `stream`, with the work rows that follow from `event`. A stream that was not
    /// folded is appended to whatever it holds.
    pub fn append(&mut self, stream: &str, event: impl Into<Event>) {
        let new = NewEvent::new(event);
        let due = touches(&new.event, stream, new.id.simple());
        self.append.touches.extend(due.into_iter().map(WorkTouch::from));
        self.streams.entry(stream.to_owned()).or_default().new.push(new);
    }

    /// Expects that `stream` has no events, without loading it.
    pub fn expect_new(&mut self, stream: &str) {
        let known = self.streams.entry(stream.to_owned()).or_default();
        known.expected = Some(Expected::NoStream);
        known.guarded = true;
    }

    /// Makes the commit depend on `stream` being still as it was folded, though nothing is
    /// appended to it.
    pub fn guard(&mut self, stream: &str) {
        self.streams.entry(stream.to_owned()).or_default().guarded = true;
    }

    /// Makes work due.
    pub fn touch(&mut self, touch: WorkTouch) {
        self.append.touches.push(touch);
    }

    /// Commits only under this lease.
    pub fn fence(&mut self, fence: Fence) {
        self.append.fence = Some(fence);
    }

    /// Deletes a work row, before the unit's touches are made.
    pub fn finish(&mut self, key: WorkKey) {
        self.append.finished.push(key);
    }

    /// Keeps an audit row.
    pub fn call(&mut self, call: ApiCall) {
        self.append.calls.push(call);
    }

    /// Remembers what a person is called.
    pub fn person(&mut self, person: Person) {
        self.append.people.push(person);
    }

    /// Who appends and why, for this pass; set it when the cause is known only after reading.
    pub fn meta(&mut self) -> &mut Meta {
        &mut self.append.meta
    }

    /// `None`: nothing is to be written.
    fn into_append(self) -> Option<Append> {
        let mut append = self.append;
        for (stream, known) in self.streams {
            if known.guarded || !known.new.is_empty() {
                let expected = known.expected.unwrap_or(Expected::Any);
                append.writes.push(StreamWrite { stream, expected, events: known.new });
            }
        }
        let changes = append.writes.iter().any(|write| !write.events.is_empty())
            || !append.touches.is_empty()
            || !append.finished.is_empty()
            || !append.calls.is_empty()
            || !append.people.is_empty();
        changes.then_some(append)
    }
}

/// Decodes; what a newer Aldis wrote is passed over, and said once per kind.
pub(crate) fn events(envelopes: &[Envelope]) -> Result<Vec<Event>, StoreError> {
    static SAID: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
    let mut events = Vec::with_capacity(envelopes.len());
    for envelope in envelopes {
        match envelope.event() {
            Ok(event) => events.push(event),
            Err(EventError::UnknownKind(kind)) => {
                let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
                if said.insert(kind.clone()) {
                    tracing::warn!(kind, "passing over events that a newer Aldis wrote");
                }
            }
            Err(error) => {
                let at = envelope.position;
                return Err(StoreError::Corrupt(format!("event at position {at}: {error}")));
            }
        }
    }
    Ok(events)
}

/// Up to 2, 4, 8 … milliseconds, so that contenders part.
fn jitter(attempt: u32) -> Duration {
    let mut byte = [0];
    // Without randomness contenders merely meet again.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    Duration::from_micros((2000 << attempt.min(6)) * u64::from(byte[0]) / 256)
}
