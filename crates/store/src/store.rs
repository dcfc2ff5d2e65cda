//! The port. Services call this; what they mean is the same with every engine.
//!
//! A method never waits for anything but the database. Dropping a method's future does not undo
//! what was already begun; an append whose turn has not come is left out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::append::{Answer, Append};
use crate::document::{Checkpoint, Document, Entry, Writes};
use crate::envelope::{Breach, Envelope, Head, Position, Verified};
use crate::error::StoreError;
use crate::moving::Export;
use crate::postgres::{self, Postgres};
use crate::settings::Settings;
use crate::sqlite::Sqlite;
use crate::verify::verify;
use crate::work::{Backlog, Bells, Claimed, Claims, Due, Fence, Release, WorkKey, WorkKind};

type Result<T> = std::result::Result<T, StoreError>;

/// The store. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Store {
    engine: Engine,
}

#[derive(Debug, Clone)]
enum Engine {
    Sqlite(Arc<Sqlite>),
    Postgres(Arc<Postgres>),
}

macro_rules! engine {
    ($self:ident, $engine:ident => $call:expr) => {
        match &$self.engine {
            Engine::Sqlite($engine) => $call,
            Engine::Postgres($engine) => $call,
        }
    };
}

/// Asks, and does not wait for ever: a server that has gone into a black hole says nothing.
macro_rules! ask {
    ($self:ident, $engine:ident => $call:expr) => {
        match &$self.engine {
            Engine::Sqlite($engine) => $call.await,
            Engine::Postgres($engine) => postgres::within($call).await,
        }
    };
}

mod beside;

/// Opening and closing.
impl Store {
    /// Opens the store, makes it if there is none, and migrates it. All leases of a former life of
    /// the embedded store are void; on Postgres others may live, and leases run out.
    pub async fn open(settings: &Settings) -> Result<Self> {
        let engine = match &settings.postgres {
            None => Engine::Sqlite(Arc::new(Sqlite::open(settings).await?)),
            Some(url) => Engine::Postgres(Arc::new(Postgres::open(settings, url).await?)),
        };
        Ok(Self { engine })
    }

    /// Opens a store for reading, also beside a process that writes to it. Whatever writes is
    /// answered with [`StoreError::Closed`].
    pub async fn open_read_only(settings: &Settings) -> Result<Self> {
        let engine = match &settings.postgres {
            None => Engine::Sqlite(Arc::new(Sqlite::open_read_only(settings).await?)),
            Some(url) => Engine::Postgres(Arc::new(Postgres::open_read_only(settings, url).await?)),
        };
        Ok(Self { engine })
    }

    /// Finishes what was handed over, then closes the files. Later calls of all clones are
    /// answered with [`StoreError::Closed`].
    pub async fn close(&self) {
        engine!(self, e => e.close().await);
    }
}

/// The log.
impl Store {
    /// Appends, or says why not. When this returns [`Answer::Appended`], it is on disk.
    pub async fn append(&self, append: Append) -> Result<Answer> {
        engine!(self, e => e.append(append).await)
    }

    /// All events of a stream; none if there is no such stream.
    pub async fn load(&self, stream: &str) -> Result<Vec<Envelope>> {
        self.load_from(stream, 0).await
    }

    /// The events of a stream after `version`.
    pub async fn load_from(&self, stream: &str, version: u64) -> Result<Vec<Envelope>> {
        let events = ask!(self, e => e.load(stream, version))?;
        self.has_read(stream, events.last().map_or(version, |event| event.version));
        Ok(events)
    }

    /// All events of several streams, as they were at one moment. Unknown streams are left out.
    pub async fn load_many(&self, streams: &[String]) -> Result<HashMap<String, Vec<Envelope>>> {
        if streams.is_empty() {
            return Ok(HashMap::new());
        }
        let loaded = ask!(self, e => e.load_many(streams))?;
        for stream in streams {
            let last = loaded.get(stream).and_then(|events| events.last());
            self.has_read(stream, last.map_or(0, |event| event.version));
        }
        Ok(loaded)
    }

    /// Whoever reads a stream may append to it.
    fn has_read(&self, stream: &str, version: u64) {
        if let Engine::Postgres(engine) = &self.engine {
            engine.has_read(stream, version);
        }
    }

    /// At most `limit` events after `after`, in order and without gaps.
    pub async fn read(&self, after: Position, limit: usize) -> Result<Vec<Envelope>> {
        ask!(self, e => e.read(after, limit))
    }

    /// The end of the log.
    pub async fn head(&self) -> Result<Head> {
        ask!(self, e => e.head())
    }

    /// Moves when a commit of this process is on the disk. Another process's commits are not seen: wait for
    /// this or a timer.
    pub fn subscribe(&self) -> watch::Receiver<Position> {
        engine!(self, e => e.subscribe())
    }

    /// Rings when this process made work due. Another process's work is not heard: wait for this
    /// or a timer.
    pub fn bells(&self) -> watch::Receiver<Bells> {
        engine!(self, e => e.bells())
    }

    /// Reads the whole log and checks chain, positions, head and versions. `progress` is told
    /// the position reached, now and then. [`StoreError::Broken`] names the first bad event.
    pub async fn verify(&self, progress: impl FnMut(Position) + Send) -> Result<Verified> {
        verify(self, progress).await
    }

    /// A stream whose versions do not run from 1 without gaps.
    pub(crate) async fn wrong_versions(&self) -> Result<Option<Breach>> {
        engine!(self, e => e.wrong_versions().await)
    }
}

/// Moving to another database; see [`crate::Import`] for the way in.
impl Store {
    /// All of the bot but its read models, as it is at one moment.
    pub async fn export(&self) -> Result<Export> {
        match &self.engine {
            Engine::Sqlite(e) => Export::of_sqlite(e).await,
            Engine::Postgres(e) => Export::of_postgres(e).await,
        }
    }

    /// Whether a process has the database open for writing, as far as can be seen. Not meant for
    /// that process itself.
    pub async fn is_served(&self) -> Result<bool> {
        match &self.engine {
            Engine::Sqlite(e) => Ok(e.is_served()),
            Engine::Postgres(e) => postgres::within(e.is_served()).await,
        }
    }
}

/// Work items.
impl Store {
    /// Leases at most `max` due items to `owner`, most urgent class first, then those that are due
    /// longest. An item whose lease ran out is due.
    pub async fn claim(
        &self,
        due: impl Into<Due>,
        owner: &str,
        lease: Duration,
        max: usize,
    ) -> Result<Vec<Claimed>> {
        Ok(self.claims(due, owner, lease, max).await?.items)
    }

    /// As [`Store::claim`]; if there is nothing, also when there will be.
    pub async fn claims(
        &self,
        due: impl Into<Due>,
        owner: &str,
        lease: Duration,
        max: usize,
    ) -> Result<Claims> {
        ask!(self, e => e.claims(due.into(), owner, lease, max))
    }

    /// Leases this item if it is due.
    pub async fn claim_key(
        &self,
        key: &WorkKey,
        owner: &str,
        lease: Duration,
    ) -> Result<Option<Claimed>> {
        ask!(self, e => e.claim_key(key, owner, lease))
    }

    /// The lease that `owner` claimed last, if it still has it: for one who asks again because no
    /// answer came.
    pub async fn held(&self, kind: WorkKind, owner: &str) -> Result<Option<Claimed>> {
        ask!(self, e => e.held(kind, owner))
    }

    /// Lets a lease last until `lease` from now. False: it is no longer the caller's.
    pub async fn extend(&self, fence: &Fence, lease: Duration) -> Result<bool> {
        ask!(self, e => e.extend(fence, lease))
    }

    /// Ends a lease. Nothing happens if it is no longer the caller's.
    pub async fn release(&self, claimed: &Claimed, how: Release) -> Result<()> {
        ask!(self, e => e.release(claimed, how))
    }

    /// When the next item becomes due; zero if one is. `None`: there is none.
    pub async fn next_due(&self, due: impl Into<Due>) -> Result<Option<Duration>> {
        ask!(self, e => e.next_due(due.into()))
    }

    /// Whether so `many` items of `kind` and `class`, at least one, became due `within` the time up to
    /// now and wait. Cheap also where there are many more.
    pub async fn crowds(
        &self,
        kind: WorkKind,
        class: u8,
        within: Duration,
        many: usize,
    ) -> Result<bool> {
        ask!(self, e => e.crowds(kind, class, within, many))
    }

    /// How much of `kind` waits.
    pub async fn backlog(&self, kind: WorkKind) -> Result<Backlog> {
        ask!(self, e => e.backlog(kind))
    }
}

/// Read models. A projection's name is also the name of its documents.
impl Store {
    /// How far each projection has come that has begun.
    pub async fn checkpoints(&self) -> Result<HashMap<String, Checkpoint>> {
        ask!(self, e => e.checkpoints())
    }

    /// How far a projection has come. `None`: it begins.
    pub async fn checkpoint(&self, projection: &str) -> Result<Option<Checkpoint>> {
        Ok(self.checkpoints().await?.remove(projection))
    }

    /// Writes documents and entries, and moves the checkpoint from `expected` to `next`. False: somebody else
    /// has moved it, and nothing was written.
    pub async fn step(
        &self,
        projection: &str,
        expected: Option<Checkpoint>,
        next: Checkpoint,
        writes: Writes,
    ) -> Result<bool> {
        ask!(self, e => e.step(projection, expected, next, writes))
    }

    /// Deletes a projection's documents, its entries and its checkpoint.
    pub async fn drop_projection(&self, projection: &str) -> Result<()> {
        engine!(self, e => e.drop_projection(projection).await)
    }

    /// One document.
    pub async fn document(&self, projection: &str, key: &str) -> Result<Option<Document>> {
        ask!(self, e => e.document(projection, key))
    }

    /// At most `limit` documents after the key `after`, by key.
    pub async fn documents(
        &self,
        projection: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Document>> {
        ask!(self, e => e.documents(projection, after, limit))
    }

    /// At most `limit` entries of a list, highest sort key first. The next page begins after the
    /// (sort key, key) of this page's last one.
    pub async fn entries(
        &self,
        projection: &str,
        scope: &str,
        after: Option<(i64, &str)>,
        limit: usize,
    ) -> Result<Vec<Entry>> {
        ask!(self, e => e.entries(projection, scope, after, limit))
    }
}
