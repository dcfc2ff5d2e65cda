//! The data directory, the database in it, and which projects its log knows.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

use aldis_domain::event::Event;
use aldis_store::{Store, StoreError};

use super::report::Report;
use crate::settings::Settings;

/// Events that are read at once.
const STRIDE: usize = 5_000;

/// What can be looked at further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Data {
    /// Nothing: the directory cannot be used.
    Unusable,
    /// The directory, but no log is in it that can be read.
    NoLog,
    /// All of it.
    Log,
}

pub(super) async fn check(report: &mut Report, settings: &Settings) -> Data {
    let dir = &settings.data_dir;
    let shown = dir.display();
    match writable(dir) {
        Ok(()) => report.ok("data directory", format!("{shown} can be written to")),
        Err(error) => {
            let found = format!("{shown} cannot be written to: {error}");
            report.fail(
                "data directory",
                found,
                "give it to the bot's user, or set ALDIS_DATA_DIR",
            );
            return Data::Unusable;
        }
    }
    let running = if in_use(dir) { ", in use by a running Aldis" } else { "" };
    let opened = match Store::open_read_only(&settings.store()).await {
        Ok(store) => {
            let head = store.head().await;
            store.close().await;
            head
        }
        Err(StoreError::Files { .. }) => {
            report.ok("database", "there is none yet; `aldis serve` makes it");
            return Data::NoLog;
        }
        Err(StoreError::Older) => {
            report.ok("database", "of an older Aldis; `aldis serve` brings it up to date");
            return Data::NoLog;
        }
        Err(error) => Err(error),
    };
    match opened {
        Ok(head) => {
            report.ok("database", format!("{} events{running}", head.position));
            Data::Log
        }
        Err(error @ (StoreError::Refused(_) | StoreError::Unavailable(_))) => {
            report.fail(
                "database",
                error.to_string(),
                "see to it that ALDIS_DATABASE_URL leads there",
            );
            Data::NoLog
        }
        Err(error) => {
            report.fail("database", error.to_string(), "restore a backup if nothing else helps");
            Data::NoLog
        }
    }
}

fn writable(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    tempfile::tempfile_in(dir).map(drop)
}

/// Whether somebody holds the lock that the store takes for writing. A lock that is got is given
/// back at once.
fn in_use(dir: &Path) -> bool {
    let lock = File::open(dir.join("aldis.lock"));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Projects of one GitLab that deliveries came from: number and path.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<u64, String>);

impl Known {
    /// Reads the whole log. Nothing is known if that fails: [`check`] has told why.
    pub(super) async fn read(settings: &Settings, gitlab: &str) -> Self {
        let Ok(store) = Store::open_read_only(&settings.store()).await else {
            return Self::default();
        };
        let known = observed(&store, gitlab).await;
        store.close().await;
        Self(known.unwrap_or_default())
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = u64> {
        self.0.keys().copied()
    }

    pub(super) fn contains(&self, id: u64) -> bool {
        self.0.contains_key(&id)
    }

    /// The project that had this path when it was last seen.
    pub(super) fn by_path(&self, path: &str) -> Option<u64> {
        self.0.iter().find(|(_, known)| *known == path).map(|(id, _)| *id)
    }
}

async fn observed(store: &Store, gitlab: &str) -> Result<BTreeMap<u64, String>, StoreError> {
    let instances = store.instances().await?;
    let instance = instances.into_iter().find(|(_, url)| url == gitlab).map(|(number, _)| number);
    let mut known = BTreeMap::new();
    let mut position = 0;
    loop {
        let events = store.read(position, STRIDE).await?;
        let Some(last) = events.last() else { return Ok(known) };
        position = last.position;
        for event in events.iter().filter(|event| event.kind == "project_observed") {
            if let Ok(Event::ProjectObserved(seen)) = event.event()
                && Some(seen.project.instance) == instance
            {
                known.insert(seen.project.id, seen.path);
            }
        }
    }
}
