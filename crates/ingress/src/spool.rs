//! Deliveries that wait for the store, in files beside it: on disk before their 202.
//!
//! A thread (`disk`) owns the files; this is the handle to it. Never here: a secret. What is kept
//! is what would be in the database: the event, and the body.

mod disk;
mod segment;

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use tokio::sync::{oneshot, watch};

use crate::delivery::Delivery;
use disk::{Command, Disk};
pub(crate) use segment::Segment;

/// The spool. It is closed when it is dropped.
#[derive(Debug)]
pub struct Spool {
    commands: mpsc::Sender<Command>,
    fill: watch::Sender<Fill>,
    /// Bytes.
    limit: u64,
}

/// What is in the spool, or on its way there.
#[derive(Debug, Clone, Copy)]
struct Fill {
    bytes: u64,
    /// The last delivery did not fit.
    is_full: bool,
}

/// How a spool stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Deliveries wait in it for the store.
    pub holds: bool,
    /// The last delivery that should go to it did not fit.
    pub is_full: bool,
}

/// Why the spool does not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SpoolError {
    #[error(
        "another aldis process keeps deliveries in {}: stop it, or choose another ALDIS_DATA_DIR",
        .0.display()
    )]
    InUse(PathBuf),
    #[error("cannot use {}: {why}", path.display())]
    Files { path: PathBuf, why: String },
    #[error("the spool is full: ALDIS_SPOOL_LIMIT allows no more")]
    Full,
    /// Nothing of it counts as kept.
    #[error("the spool cannot be written: {0}")]
    Disk(String),
    #[error("the spool was closed")]
    Closed,
}

type Result<T> = std::result::Result<T, SpoolError>;

impl Spool {
    /// Opens the spool in `dir`, which is made if there is none, for this process alone. It takes
    /// `limit` bytes.
    pub fn open(dir: impl Into<PathBuf>, limit: u64) -> Result<Self> {
        let dir = dir.into();
        let lock =
            prepare(&dir).map_err(|e| files(&dir, &e))?.ok_or(SpoolError::InUse(dir.clone()))?;
        let (fill, _) = watch::channel(Fill { bytes: 0, is_full: limit == 0 });
        let (commands, queue) = mpsc::channel();
        let disk = Disk::open(dir.clone(), lock, fill.clone()).map_err(|e| files(&dir, &e))?;
        std::thread::Builder::new()
            .name("spool".to_owned())
            .spawn(move || disk.work(&queue))
            .map_err(|e| files(&dir, &e))?;
        Ok(Self { commands, fill, limit })
    }

    /// How it stands.
    pub fn level(&self) -> Level {
        let Fill { bytes, is_full } = *self.fill.borrow();
        Level { holds: bytes > 0, is_full }
    }

    /// Whether anything is in it, or on its way there.
    pub(crate) fn holds(&self) -> bool {
        self.level().holds
    }

    pub(crate) async fn until_it_holds(&self) {
        // The sender is ours, so this ends only when it is so.
        let _ = self.fill.subscribe().wait_for(|fill| fill.bytes > 0).await;
    }

    /// Returns when the delivery is on disk.
    pub(crate) async fn put(&self, delivery: &Delivery) -> Result<()> {
        let record = segment::encode(delivery);
        // From here on nothing goes past it, also while it is being written.
        if !self.make_room(record.len() as u64) {
            return Err(SpoolError::Full);
        }
        self.ask(|reply| Command::Put { record, reply }).await?
    }

    fn make_room(&self, bytes: u64) -> bool {
        let mut fits = false;
        self.fill.send_modify(|fill| {
            fits = fill.bytes + bytes <= self.limit;
            if fits {
                fill.bytes += bytes;
            } else {
                fill.is_full = true;
            }
        });
        fits
    }

    /// The file to be drained next. `None`: nothing is on the disk yet.
    pub(crate) async fn oldest(&self) -> Option<Segment> {
        self.ask(|reply| Command::Oldest { reply }).await.ok().flatten()
    }

    /// All that is in the oldest file is in the log: the file goes, or is set aside if not all of
    /// it could be read.
    pub(crate) async fn finish(&self, is_whole: bool) {
        // Closed: it is drained again after the next start, which changes nothing.
        let _ = self.ask(|reply| Command::Finish { is_whole, reply }).await;
    }

    /// Returns when another process may open it. What is put later is answered
    /// [`SpoolError::Closed`].
    pub(crate) async fn close(&self) {
        // It may be closed already.
        let _ = self.ask(|reply| Command::Close { reply }).await;
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).map_err(|_| SpoolError::Closed)?;
        answer.await.map_err(|_| SpoolError::Closed)
    }
}

/// Makes the directory, for its owner only, and keeps other processes out. `None`: there is one
/// already. The lock goes with the process, however it ends.
fn prepare(dir: &Path) -> io::Result<Option<File>> {
    if !dir.is_dir() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        disk::sync_dir(dir.parent().unwrap_or(dir))?;
    }
    let mut made = OpenOptions::new();
    made.write(true).create(true).truncate(false).mode(0o600);
    let lock = made.open(dir.join("lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn files(path: &Path, error: &io::Error) -> SpoolError {
    SpoolError::Files { path: path.to_owned(), why: error.to_string() }
}
