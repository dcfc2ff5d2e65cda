//! Watches how much a run directory holds. A watch, not a wall: a fast writer overshoots by what it
//! writes between two looks; a single file cannot pass the limit at all (`RLIMIT_FSIZE`).

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Between two looks at the file system's counters, which cost one system call.
const GLANCE: Duration = Duration::from_millis(250);
/// At most this long without counting files.
const COUNT: Duration = Duration::from_secs(10);
/// Counting may take this part of the time.
const SHARE: u32 = 20;

/// Resolves when the directory holds more than `most` bytes. `is_fresh`: nothing has been written
/// since the checkout, so a first count can wait.
pub(crate) async fn exceeded(dir: PathBuf, most: u64, is_fresh: bool) {
    let mut must_count = !is_fresh;
    let mut counted_free = free(&dir);
    let mut counted_at = Instant::now();
    let mut rest = GLANCE;
    let mut held = 0;
    loop {
        tokio::time::sleep(GLANCE).await;
        if counted_at.elapsed() < rest {
            continue;
        }
        let now_free = free(&dir);
        let could_hold = held + counted_free.saturating_sub(now_free);
        if could_hold <= most && counted_at.elapsed() < COUNT && !must_count {
            continue;
        }
        let counting = Instant::now();
        let path = dir.clone();
        let Ok(size) = tokio::task::spawn_blocking(move || size(&path, most)).await else { return };
        if size > most {
            return;
        }
        held = size;
        must_count = false;
        counted_free = now_free;
        counted_at = Instant::now();
        rest = GLANCE.max(counting.elapsed() * SHARE);
    }
}

/// Free bytes of the file system.
fn free(dir: &Path) -> u64 {
    rustix::fs::statvfs(dir).map_or(0, |stat| stat.f_bfree.saturating_mul(stat.f_frsize))
}

/// Bytes on disk below `top`, links not followed; stops counting above `most`.
fn size(top: &Path, most: u64) -> u64 {
    let mut sum = 0;
    let mut waiting = vec![top.to_owned()];
    while let Some(dir) = waiting.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            // An inode costs something too, or a million empty files would be free.
            sum += meta.blocks() * 512 + 512;
            if meta.is_dir() {
                waiting.push(entry.path());
            }
            if sum > most {
                return sum;
            }
        }
    }
    sum
}
