//! What fetches leave in mirrors and nobody needs.

use std::fs;
use std::path::Path;

/// Deletes damaged mirrors that a former life had set aside and not yet deleted, and what its
/// fetches left unfinished.
pub(crate) fn sweep_mirrors(dir: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        drop_scraps(&path);
        let is_old = path.extension().is_some_and(|e| e.to_string_lossy().starts_with("old-"));
        if is_old && let Err(error) = fs::remove_dir_all(&path) {
            tracing::warn!(path = %path.display(), %error, "cannot delete a damaged mirror");
        }
    }
    Ok(())
}

/// Deletes what a fetch that failed has written: git leaves it, and it would fill the disk. Nobody
/// else may write to the mirror meanwhile.
pub(super) fn drop_scraps(mirror: &Path) {
    let list = |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten();
    for dir in list(&mirror.join("objects")) {
        for file in list(&dir.path()) {
            if file.file_name().to_string_lossy().starts_with("tmp_")
                && let Err(error) = fs::remove_file(file.path())
            {
                tracing::warn!(path = %file.path().display(), %error, "cannot delete a leftover");
            }
        }
    }
}
