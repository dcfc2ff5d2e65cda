//! A whole bot on its way from one database to another, of the same engine or not. `aldis export`
//! and `aldis import` call this, and keep the rows in a file between.
//!
//! Positions, ids, hashes and numbers of leases stay what they are. Never here: a read model, which
//! is folded from the log again.

pub(crate) mod ends;
mod record;
pub(crate) mod table;

use std::collections::BTreeMap;
use std::ptr;

use serde::{Deserialize, Serialize};

use crate::envelope::{Breach, Head};
use crate::error::StoreError;
use crate::secret::Sealer;
use crate::settings::Settings;
use crate::verify::follow;
use crate::{postgres, sqlite};
pub use record::Record;
use table::TABLES;

type Result<T, E = StoreError> = std::result::Result<T, E>;

/// What is known of a bot before its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outline {
    /// `sqlite` or `postgres`.
    pub engine: String,
    pub head: Head,
    /// The highest number of a lease that was given out.
    pub epoch: u64,
    /// Rows of each table.
    pub rows: BTreeMap<String, u64>,
}

/// A bot as it was at one moment. Comes from [`crate::Store::export`].
#[derive(Debug)]
pub struct Export {
    outline: Outline,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Sqlite(sqlite::Snapshot),
    Postgres(postgres::Snapshot),
}

macro_rules! source {
    ($source:expr, $snapshot:ident => $call:expr) => {
        match $source {
            Source::Sqlite($snapshot) => $call,
            Source::Postgres($snapshot) => $call,
        }
    };
}

impl Export {
    pub(crate) async fn of_sqlite(engine: &sqlite::Sqlite) -> Result<Self> {
        Self::begin("sqlite", Source::Sqlite(engine.snapshot().await?)).await
    }

    pub(crate) async fn of_postgres(engine: &postgres::Postgres) -> Result<Self> {
        Self::begin("postgres", Source::Postgres(engine.snapshot().await?)).await
    }

    async fn begin(engine: &str, mut source: Source) -> Result<Self> {
        let (head, epoch) = source!(&mut source, s => s.ends().await?);
        let mut rows = BTreeMap::new();
        for table in TABLES {
            let count = source!(&mut source, s => s.count(table).await?);
            rows.insert(table.name.to_owned(), count);
        }
        Ok(Self { outline: Outline { engine: engine.to_owned(), head, epoch, rows }, source })
    }

    /// What the rows will be.
    pub fn outline(&self) -> &Outline {
        &self.outline
    }

    /// Gives all rows away, one after the other, as they were when the export began. A log that is
    /// not whole is not exported: [`StoreError::Broken`].
    pub async fn rows<E: From<StoreError>>(
        mut self,
        mut take: impl FnMut(Record) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut chain = Chain::default();
        let mut checked = |record: Record| {
            chain.add(&record).map_err(StoreError::from)?;
            take(record)
        };
        for table in TABLES {
            source!(&mut self.source, s => s.rows(table, &mut checked).await?);
        }
        chain.ends_at(self.outline.head).map_err(StoreError::from)?;
        Ok(())
    }
}

/// A bot on its way into an empty database. It is there when [`Import::commit`] returns; before, and
/// without it, nothing is.
#[derive(Debug)]
pub struct Import {
    settings: Settings,
    outline: Outline,
    target: Target,
    chain: Chain,
    /// Opened for the first secret.
    sealer: Option<Sealer>,
}

#[derive(Debug)]
enum Target {
    Sqlite(sqlite::Target),
    Postgres(postgres::Target),
}

macro_rules! target {
    ($target:expr, $engine:ident => $call:expr) => {
        match $target {
            Target::Sqlite($engine) => $call,
            Target::Postgres($engine) => $call,
        }
    };
}

impl Import {
    /// Makes the database if there is none, and keeps others out until the import has ended.
    /// [`StoreError::NotEmpty`]: something is in it.
    pub async fn begin(settings: &Settings, outline: Outline) -> Result<Self> {
        let mut target = match &settings.postgres {
            None => Target::Sqlite(sqlite::Target::open(settings).await?),
            Some(url) => Target::Postgres(postgres::Target::open(settings, url).await?),
        };
        for table in TABLES {
            if target!(&mut target, t => t.count(table).await?) > 0 {
                return Err(StoreError::NotEmpty(table.name));
            }
        }
        let settings = settings.clone();
        Ok(Self { settings, outline, target, chain: Chain::default(), sealer: None })
    }

    /// Takes the next rows, some hundreds at a time. An event that is not the next one is refused,
    /// and so is a secret that the key of this database does not open.
    pub async fn add(&mut self, records: &[Record]) -> Result<()> {
        for record in records {
            self.chain.add(record)?;
            self.check_key(record)?;
        }
        for rows in records.chunk_by(|one, next| ptr::eq(one.table, next.table)) {
            target!(&mut self.target, t => t.insert(rows).await?);
        }
        Ok(())
    }

    fn check_key(&mut self, record: &Record) -> Result<()> {
        let Some((name, sealed)) = record.secret() else { return Ok(()) };
        let sealer = match &mut self.sealer {
            Some(sealer) => sealer,
            none => none.insert(Sealer::open(&self.settings, false)?),
        };
        sealer.open_sealed(name, sealed).map(drop)
    }

    /// Ends the import when the last row was added. When this returns, all of it is on disk.
    pub async fn commit(mut self) -> Result<()> {
        let Outline { head, epoch, .. } = self.outline;
        self.chain.ends_at(head)?;
        if let Some(breach) = target!(&mut self.target, t => t.wrong_versions().await?) {
            return Err(breach.into());
        }
        target!(self.target, t => t.commit(head, epoch).await)
    }
}

/// The chain of events as far as they went by.
#[derive(Debug)]
struct Chain(Head);

impl Default for Chain {
    fn default() -> Self {
        Self(Head { position: 0, hash: [0; 32] })
    }
}

impl Chain {
    fn add(&mut self, record: &Record) -> Result<(), Breach> {
        if let Some(event) = record.event() {
            let position = self.0.position + 1;
            let event =
                event.map_err(|why| Breach::Unreadable { position, why: why.to_owned() })?;
            self.0 = follow(self.0, &event)?;
        }
        Ok(())
    }

    fn ends_at(&self, head: Head) -> Result<(), Breach> {
        if self.0 == head { Ok(()) } else { Err(Breach::Head { position: head.position }) }
    }
}
