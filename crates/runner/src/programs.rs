//! Finds the programs that a runner starts.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where programs are looked for after the directories of the runner's own `PATH`.
const USUAL: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// Absolute paths of the programs; `None` where one is not installed.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    pub(crate) git: Option<PathBuf>,
    pub(crate) bwrap: Option<PathBuf>,
    pub(crate) slirp4netns: Option<PathBuf>,
    pub(crate) unshare: Option<PathBuf>,
    pub(crate) nsenter: Option<PathBuf>,
}

impl Programs {
    /// Looks in `path`, the value of `PATH`, and in the usual directories.
    pub(crate) fn find(path: Option<&std::ffi::OsStr>) -> Self {
        let mut places: Vec<PathBuf> =
            path.map(std::env::split_paths).into_iter().flatten().collect();
        places.extend(std::env::split_paths(USUAL));
        let find = |name: &str| {
            places
                .iter()
                .filter(|place| place.is_absolute())
                .map(|place| place.join(name))
                .find(|file| is_program(file))
        };
        Self {
            git: find("git"),
            bwrap: find("bwrap"),
            slirp4netns: find("slirp4netns"),
            unshare: find("unshare"),
            nsenter: find("nsenter"),
        }
    }
}

fn is_program(file: &Path) -> bool {
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
