//! The thread that owns the spool's files: deliveries that come together share one wait for the
//! disk.
//!
//! New ones go to the end of the newest file; a file that is being drained gets none any more.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::iter::once;
use std::mem::take;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use tokio::sync::{oneshot, watch};

use super::segment::Segment;
use super::{Fill, Result, SpoolError};

/// From here on a file gets no more, in bytes.
const LONG: u64 = 8 << 20;
/// What is left on the disk for everybody else, in MiB.
const MARGIN: u64 = 100;

const KIND: &str = "spool";
/// The kind of files that were drained, but could not be read to their end.
const DAMAGED: &str = "damaged";

pub(super) enum Command {
    Put { record: Vec<u8>, reply: oneshot::Sender<Result<()>> },
    Oldest { reply: oneshot::Sender<Option<Segment>> },
    Finish { is_whole: bool, reply: oneshot::Sender<()> },
    Close { reply: oneshot::Sender<()> },
}

type Put = (Vec<u8>, oneshot::Sender<Result<()>>);

pub(super) struct Disk {
    dir: PathBuf,
    lock: File,
    fill: watch::Sender<Fill>,
    /// Files that get no more, oldest first.
    done: VecDeque<Segment>,
    /// The newest, if it may get more.
    open: Option<(File, Segment)>,
    /// Number of the file to be made next.
    next: u64,
}

impl Disk {
    /// Finds what a former life has left.
    pub(super) fn open(dir: PathBuf, lock: File, fill: watch::Sender<Fill>) -> io::Result<Self> {
        let mut found = Vec::new();
        let mut next = 1;
        for entry in fs::read_dir(&dir)? {
            let (path, bytes) = entry.and_then(|it| Ok((it.path(), it.metadata()?.len())))?;
            let Some(number) = number(&path) else { continue };
            next = next.max(number + 1);
            if path.extension().is_some_and(|kind| kind == KIND) {
                found.push((number, Segment { path, bytes }));
            }
        }
        found.sort_by_key(|(number, _)| *number);
        let done: VecDeque<_> = found.into_iter().map(|(_, segment)| segment).collect();
        fill.send_modify(|fill| fill.bytes = done.iter().map(|segment| segment.bytes).sum());
        Ok(Self { dir, lock, fill, done, open: None, next })
    }

    pub(super) fn work(mut self, commands: &mpsc::Receiver<Command>) {
        while let Ok(first) = commands.recv() {
            let mut puts = Vec::new();
            for command in once(first).chain(commands.try_iter()) {
                if !matches!(command, Command::Put { .. }) {
                    self.write(take(&mut puts));
                }
                match command {
                    Command::Put { record, reply } => puts.push((record, reply)),
                    Command::Oldest { reply } => answer(reply, self.oldest()),
                    Command::Finish { is_whole, reply } => {
                        self.finish(is_whole);
                        answer(reply, ());
                    }
                    Command::Close { reply } => {
                        drop(self.lock);
                        return answer(reply, ());
                    }
                }
            }
            self.write(puts);
        }
    }

    fn write(&mut self, puts: Vec<Put>) {
        if puts.is_empty() {
            return;
        }
        let bytes = puts.iter().map(|(record, _)| record.len() as u64).sum();
        let written = self.append(&puts, bytes).map_err(|e| SpoolError::Disk(e.to_string()));
        self.fill.send_modify(|fill| {
            fill.is_full = written.is_err();
            if written.is_err() {
                fill.bytes -= bytes;
            }
        });
        for (_, reply) in puts {
            answer(reply, written.clone());
        }
    }

    /// All of it is on disk, or nothing counts.
    fn append(&mut self, puts: &[Put], bytes: u64) -> io::Result<()> {
        let disk = rustix::fs::statvfs(&self.dir)?;
        if disk.f_bavail.saturating_mul(disk.f_frsize) < bytes + (MARGIN << 20) {
            let left = format!("less than {MARGIN} MiB would be left on the disk");
            return Err(io::Error::new(io::ErrorKind::StorageFull, left));
        }
        let (mut file, mut segment) = match self.open.take() {
            Some(open) => open,
            None => self.begin()?,
        };
        let written = puts.iter().try_for_each(|(record, _)| file.write_all(record));
        if let Err(error) = written.and_then(|()| file.sync_data()) {
            // After a wait that failed nobody knows what is on the disk: this file gets no more. If
            // what it got cannot be taken off again either, it is drained though it was refused.
            let _ = file.set_len(segment.bytes);
            self.done.push_back(segment);
            return Err(error);
        }
        segment.bytes += bytes;
        if segment.bytes < LONG {
            self.open = Some((file, segment));
        } else {
            self.done.push_back(segment);
        }
        Ok(())
    }

    fn begin(&mut self) -> io::Result<(File, Segment)> {
        let path = self.dir.join(format!("{:012}.{KIND}", self.next));
        let mut made = OpenOptions::new();
        let file = made.write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        sync_dir(&self.dir)?;
        self.next += 1;
        Ok((file, Segment { path, bytes: 0 }))
    }

    fn oldest(&mut self) -> Option<Segment> {
        if self.done.is_empty() {
            self.done.extend(self.open.take().map(|(_, segment)| segment));
        }
        self.done.front().cloned()
    }

    fn finish(&mut self, is_whole: bool) {
        let Some(Segment { path, bytes }) = self.done.pop_front() else { return };
        let gone = if is_whole {
            fs::remove_file(&path)
        } else {
            let aside = path.with_extension(DAMAGED);
            tracing::error!(
                file = %aside.display(),
                "a file of the spool is damaged: what can be read of it is in the database, and the \
                 file is kept for somebody to look at the rest"
            );
            fs::rename(&path, aside)
        };
        if let Err(error) = gone {
            // It is drained again after the next start, which changes nothing.
            tracing::error!(%error, file = %path.display(), "a drained file cannot be removed");
        }
        self.fill.send_modify(|fill| {
            fill.bytes -= bytes;
            fill.is_full = false;
        });
    }
}

/// Whoever asked may have gone.
fn answer<T>(reply: oneshot::Sender<T>, answer: T) {
    let _ = reply.send(answer);
}

fn number(path: &Path) -> Option<u64> {
    path.file_stem()?.to_str()?.parse().ok()
}

/// A file that was made is there after a power loss only when its directory was synchronized.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
