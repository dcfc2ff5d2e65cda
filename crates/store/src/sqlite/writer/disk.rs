//! Waits for the disk, beside the writer: while one group's bytes go to the disk the next one is
//! judged and written, and groups that were committed meanwhile share the wait after it.
//!
//! See `docs/adr/0009-the-disk-is-waited-for-beside-the-writer.md` for why that keeps every promise.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::mpsc;

use tokio::task::JoinHandle;

use super::{Group, Told};
use crate::envelope::{Envelope, Position};
use crate::failpoint::Moment;

/// Returns when all that was committed before is on the disk.
pub(in crate::sqlite) type Flush = Box<dyn FnMut() -> io::Result<()> + Send>;

/// A group that is in the write-ahead log, and whose callers wait until it is on the disk.
pub(super) struct Committed {
    pub(super) group: Group,
    pub(super) events: Vec<Envelope>,
    /// The end of the log with this group.
    pub(super) head: Position,
}

/// Hands groups to the thread that waits.
pub(super) struct Disk {
    committed: mpsc::Sender<Committed>,
    thread: JoinHandle<()>,
}

impl Disk {
    pub(super) fn start(flush: Flush, told: Told) -> Self {
        let (committed, groups) = mpsc::channel();
        let thread = tokio::task::spawn_blocking(move || wait(flush, &groups, &told));
        Self { committed, thread }
    }

    pub(super) fn settle(&self, committed: Committed) {
        // The thread ends only after the sender has gone.
        let _ = self.committed.send(committed);
    }

    /// Returns when everybody is answered.
    pub(super) async fn end(self) {
        drop(self.committed);
        // It does not panic, and if it did nobody would be left to be answered.
        let _ = self.thread.await;
    }
}

/// For the write-ahead log of `database`, which is there already.
pub(in crate::sqlite) fn write_ahead_log(database: &Path) -> io::Result<Flush> {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    let log = File::open(log)?;
    Ok(Box::new(move || log.sync_data()))
}

fn wait(mut flush: Flush, groups: &mpsc::Receiver<Committed>, told: &Told) {
    while let Ok(first) = groups.recv() {
        let mut settled = vec![first];
        settled.extend(groups.try_iter());
        if let Err(error) = flush() {
            stop(&error);
        }
        for Committed { group, events, head } in settled {
            told.strike(Moment::After, &events);
            told.positions.send_if_modified(|told| {
                let moved = *told != head;
                *told = head;
                moved
            });
            group.answer();
        }
    }
}

/// The kernel forgets what it could not write: a second try would succeed without the bytes being
/// there. Only a new start, which reads what is there, may go on.
fn stop(error: &io::Error) -> ! {
    tracing::error!(
        %error,
        "the disk did not take what was written; the bot ends, and its next start goes on from \
         what is on the disk"
    );
    std::process::abort()
}
