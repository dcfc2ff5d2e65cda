//! A run's own directory: work tree, home and `/tmp`, gone when the run is over.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use aldis_domain::id::Sha;
use aldis_protocol::Ticket;
use rustix::fs::IFlags;

use super::git::{Git, GitFailure, run};
use super::{Mirror, Wanted, WorkspaceError};
use crate::room;
use crate::settings::User;

/// The directory of one attempt.
#[derive(Debug)]
pub(crate) struct RunDir {
    pub(crate) root: PathBuf,
    /// The checked-out commit.
    pub(crate) tree: PathBuf,
    pub(crate) home: PathBuf,
    pub(crate) tmp: PathBuf,
    /// `objects` of the mirror, on this machine.
    pub(crate) objects: PathBuf,
}

impl RunDir {
    /// Makes the directories, for `user` if the runner drops to one. `objects_inside` is where the
    /// steps will see the mirror's objects.
    pub(crate) fn create(
        runs: &Path,
        ticket: &Ticket,
        mirror: &Mirror,
        objects_inside: Option<&Path>,
        sha: &Sha,
        user: Option<User>,
    ) -> io::Result<Self> {
        let root = runs.join(format!("{}-{}", ticket.run, ticket.epoch));
        if root.exists() {
            remove(&root)?;
        }
        let dir = Self {
            tree: root.join("tree"),
            home: root.join("home"),
            tmp: root.join("tmp"),
            objects: mirror.dir.join("objects"),
            root,
        };
        make_dir(&dir.root, 0o711, None)?;
        for own in [&dir.tree, &dir.home, &dir.tmp] {
            make_dir(own, 0o700, user)?;
        }
        let git = dir.tree.join(".git");
        for own in ["", "refs", "objects", "objects/info", "objects/pack"] {
            make_dir(&git.join(own), 0o755, user)?;
        }
        let objects = objects_inside.unwrap_or(&dir.objects);
        let (version, extension) = match sha.as_str().len() {
            64 => (1, "[extensions]\n\tobjectFormat = sha256\n"),
            _ => (0, ""),
        };
        let config = format!(
            "[core]\n\trepositoryformatversion = {version}\n\tfilemode = true\n\tbare = false\n{extension}"
        );
        for (name, text) in [
            ("HEAD", format!("{sha}\n")),
            ("config", config),
            ("objects/info/alternates", format!("{}\n", objects.display())),
        ] {
            let path = git.join(name);
            fs::write(&path, text)?;
            give(&path, user)?;
        }
        Ok(dir)
    }

    /// Writes the commit's files. A commit that seemed to be there and is not is fetched again,
    /// and if that does not help the mirror is made anew.
    pub(crate) async fn check_out(
        &self,
        git: &Git,
        mirror: &Mirror,
        wanted: &Wanted,
        user: Option<User>,
    ) -> Result<(), WorkspaceError> {
        for renew in [Some(false), Some(true), None] {
            let mut command = git.command_as(user);
            command.arg("--git-dir").arg(&mirror.dir).arg("--work-tree").arg(&self.tree);
            command.args(["read-tree", "-u", "--reset", wanted.sha.as_str()]);
            command.env("GIT_INDEX_FILE", self.tree.join(".git/index"));
            let Err(failure) = run(command).await else { return Ok(()) };
            if let Some(told) = self.no_room(&failure) {
                return Err(WorkspaceError::NoRoom(told));
            }
            let why = failure.last_line();
            match renew {
                Some(renew) if !is_local(&failure.words) => {
                    tracing::info!(sha = %wanted.sha, %why, renew, "fetching a commit again");
                    mirror.fetch_again(wanted, renew).await?;
                }
                _ => {
                    return Err(WorkspaceError::Local(format!(
                        "git could not write the commit's files: {why}"
                    )));
                }
            }
        }
        Err(WorkspaceError::Local("git could not write the commit's files".to_owned()))
    }

    /// Whether a checkout failed for a full disk: git does not always say why it could not write.
    fn no_room(&self, failure: &GitFailure) -> Option<String> {
        let could_not_write = failure.words.contains("unable to write");
        let unsaid = || {
            let line = failure.last_line();
            let is_full = could_not_write && room::is_used_up(&self.root);
            is_full.then(|| format!("{line}: No space left on the runner's disk"))
        };
        let told = failure.no_room().or_else(unsaid)?;
        Some(format!("git could not write the commit's files: {told}"))
    }

    /// Deletes everything.
    pub(crate) async fn remove(self) {
        let removed = tokio::task::spawn_blocking(move || remove(&self.root)).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(%error, "a run directory is left behind until the next start");
        }
    }
}

/// No mirror mends that.
fn is_local(words: &str) -> bool {
    ["Permission denied", "Read-only file system"].iter().any(|text| words.contains(text))
}

/// Deletes run directories that a former life of this runner left in `runs`.
pub(crate) fn sweep(runs: &Path) -> io::Result<()> {
    for entry in fs::read_dir(runs)? {
        let path = entry?.path();
        if let Err(error) = remove(&path) {
            tracing::warn!(path = %path.display(), %error, "cannot delete a leftover run directory");
        }
    }
    Ok(())
}

/// Lets the file system put what is made in `runs` far from each other, as nothing in one run belongs
/// to another. On ext4 (`chattr +T`) a run's files are then not looked for a place among those that
/// other runs have just deleted; without a journal that takes a millisecond and more. Elsewhere
/// nothing happens.
pub(crate) fn spread(runs: &Path) -> io::Result<()> {
    let dir = fs::File::open(runs)?;
    let Ok(flags) = rustix::fs::ioctl_getflags(&dir) else { return Ok(()) };
    if let Err(error) = rustix::fs::ioctl_setflags(&dir, flags | IFlags::TOPDIR) {
        tracing::debug!(%error, "runs are not spread over the disk");
    }
    Ok(())
}

pub(crate) fn make_dir(path: &Path, mode: u32, user: Option<User>) -> io::Result<()> {
    fs::DirBuilder::new().mode(mode).create(path)?;
    // The runner's umask may be stricter than the slots' users can bear.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    give(path, user)
}

/// Makes the directory if it is not there, and sets mode and owner in either case.
pub(crate) fn ensure_dir(path: &Path, mode: u32, user: Option<User>) -> io::Result<()> {
    if !path.is_dir() {
        return make_dir(path, mode, user);
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    give(path, user)
}

pub(crate) fn give(path: &Path, user: Option<User>) -> io::Result<()> {
    match user {
        Some(user) => chown(path, Some(user.uid), Some(user.gid)),
        None => Ok(()),
    }
}

/// Deletes a tree, also one whose directories a step has closed to its owner. Follows no link.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path)?;
            fs::remove_dir_all(path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => fs::remove_file(path),
        other => other,
    }
}

fn open_up(top: &Path) -> io::Result<()> {
    let mut waiting = vec![top.to_owned()];
    while let Some(dir) = waiting.pop() {
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    Ok(())
}
