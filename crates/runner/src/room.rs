//! Room on the disk that runs work on. A runner without it would take one run after the other and
//! spoil them all: so it takes none, and one that it cannot prepare goes to another runner.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use aldis_domain::id::RunId;

/// Free bytes that a runner needs to take a run.
const BYTES: u64 = 64 << 20;
/// Files that it must still be able to make.
const FILES: u64 = 1024;
/// Runs that are remembered as given away.
const REMEMBERED: usize = 256;

/// Whether there is too little for a run in the directory's file system.
pub(crate) fn is_used_up(dir: &Path) -> bool {
    // Whoever works in a directory that cannot be asked says so by itself.
    let Ok(disk) = rustix::fs::statvfs(dir) else { return false };
    // File systems that make inodes as they go have no number of them.
    let has_files = disk.f_files == 0 || disk.f_favail >= FILES;
    disk.f_bavail.saturating_mul(disk.f_frsize) < BYTES || !has_files
}

/// Whether the kernel's or git's words say that a disk or a quota is used up.
pub(crate) fn is_told_by(words: &str) -> bool {
    ["No space left", "Disk quota"].iter().any(|text| words.contains(text))
}

/// The runs that this runner had no room for.
#[derive(Debug, Default)]
pub(crate) struct GivenAway(Mutex<VecDeque<RunId>>);

impl GivenAway {
    /// Remembers it; false if it was remembered already. The second time the run ends here: its commit may be too big
    /// for every disk, and somebody has to say so.
    pub(crate) fn remember(&self, run: &RunId) -> bool {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if runs.contains(run) {
            return false;
        }
        runs.push_back(run.clone());
        if runs.len() > REMEMBERED {
            runs.pop_front();
        }
        true
    }
}
