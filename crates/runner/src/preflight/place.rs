//! Chooses the directory for mirrors and run directories.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::PreflightError;
use crate::settings::Settings;

/// The data directory, or one under `/var/tmp` if the slots' users cannot get there.
pub(super) fn find(
    settings: &Settings,
    drops_user: bool,
    remarks: &mut Vec<String>,
) -> Result<PathBuf, PreflightError> {
    let unusable =
        |path: &Path, reason: String| PreflightError::DataDir { path: path.to_owned(), reason };
    let given = &settings.data_dir;
    fs::create_dir_all(given).map_err(|e| unusable(given, format!("{e}; see ALDIS_DATA_DIR")))?;
    let dir = given.canonicalize().map_err(|e| unusable(given, e.to_string()))?;
    if dir.to_string_lossy().contains('\n') {
        return Err(unusable(&dir, "its name contains a line break".to_owned()));
    }
    if !drops_user || is_open(&dir) {
        return Ok(dir);
    }
    let mut hasher = DefaultHasher::new();
    dir.hash(&mut hasher);
    let other = PathBuf::from(format!("/var/tmp/aldis-runner-{:016x}", hasher.finish()));
    own(&other).map_err(|e| unusable(&other, format!("{e}; delete it and start again")))?;
    remarks.push(format!(
        "runs work in {}, because the slots' users cannot enter {}",
        other.display(),
        dir.display()
    ));
    Ok(other)
}

/// Whether every user can walk there.
fn is_open(dir: &Path) -> bool {
    dir.ancestors().all(|place| place.metadata().is_ok_and(|meta| meta.mode() & 0o001 != 0))
}

/// Makes the directory, or checks that nobody else did: `/var/tmp` belongs to all.
fn own(dir: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o711).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let meta = fs::symlink_metadata(dir)?;
    let ours = meta.is_dir() && meta.uid() == 0 && meta.mode() & 0o022 == 0;
    if !ours {
        return Err(io::Error::other("it belongs to somebody else"));
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o711))
}
