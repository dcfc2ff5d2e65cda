//! Finds the programs that a runner starts.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use rustix::process::{Pid, setpriority_process};
use tokio::process::{Child, Command};

use crate::settings::User;

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
        let own = path.map(std::env::split_paths).into_iter().flatten();
        let places: Vec<PathBuf> = own.chain(std::env::split_paths(USUAL)).collect();
        let find = |name| find(&places, name);
        Self {
            git: find("git"),
            bwrap: find("bwrap"),
            slirp4netns: find("slirp4netns"),
            unshare: find("unshare"),
            nsenter: find("nsenter"),
        }
    }
}

fn find(places: &[PathBuf], name: &str) -> Option<PathBuf> {
    let absolute = places.iter().filter(|place| place.is_absolute());
    absolute.map(|place| place.join(name)).find(|file| is_program(file))
}

/// A command that runs `program` as `user`.
///
/// By `setpriv` where there is one: whoever changes the user itself has to copy the whole process
/// first, and all its threads then wait for pages to be copied once more.
pub(crate) fn command_as(user: Option<User>, program: &Path) -> Command {
    static SETPRIV: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| find(&std::env::split_paths(USUAL).collect::<Vec<_>>(), "setpriv"));
    match (user, &*SETPRIV) {
        (None, _) => Command::new(program),
        (Some(User { uid, gid }), Some(setpriv)) => {
            let mut command = Command::new(setpriv);
            command.args(["--reuid", &uid.to_string(), "--regid", &gid.to_string()]);
            command.args(["--clear-groups", "--"]).arg(program);
            command
        }
        (Some(User { uid, gid }), None) => {
            let mut command = Command::new(program);
            command.uid(uid).gid(gid);
            command
        }
    }
}

/// How far what the runner starts stands behind the bot itself where both want the processor.
const BEHIND: i32 = 5;

/// Lets a child, and whatever it starts, wait while the bot has something to do: a delivery is
/// answered and announced in a moment, a job is not.
pub(crate) fn stand_back(child: &Child) {
    let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    if let Some(pid) = pid {
        // It has ended already, or the system does not allow it: then nobody waits.
        let _ = setpriority_process(Some(pid), BEHIND);
    }
}

fn is_program(file: &Path) -> bool {
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
