//! Small disks for the runners to work on, which nobody else sees: mounted in namespaces of our
//! own, in which this program runs once more. They are gone with it.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::{Context, Result};
use rustix::process::{Signal, set_parent_process_death_signal};
use tempfile::NamedTempFile;

/// Tells the inner run where the disks are.
const VARIABLE: &str = "ALDIS_CHAOS_DISKS";
/// `tmpfs` takes memory only for what is written.
const MEBIBYTES: usize = 256;

/// One for each runner.
#[derive(Debug, Clone)]
pub(crate) struct Disks(PathBuf);

impl Disks {
    /// Those that are mounted, in the inner run, which ends with the outer one.
    pub(crate) fn mounted() -> Result<Option<Self>> {
        let Some(dir) = std::env::var_os(VARIABLE) else { return Ok(None) };
        set_parent_process_death_signal(Some(Signal::TERM))?;
        Ok(Some(Self(dir.into())))
    }

    /// Where the runner of this number works.
    pub(crate) fn of(&self, number: usize) -> PathBuf {
        self.0.join(number.to_string())
    }

    /// Writes until nothing more fits, and until the file is dropped.
    pub(crate) fn fill(&self, number: usize) -> std::io::Result<NamedTempFile> {
        let mut filler = NamedTempFile::new_in(self.of(number))?;
        let piece = vec![0; 1 << 20];
        while filler.write_all(&piece).is_ok() {}
        Ok(filler)
    }
}

/// Runs this program with the same arguments and `count` disks to its end.
pub(crate) fn with(count: usize) -> Result<ExitStatus> {
    let dir = tempfile::Builder::new().permissions(Permissions::from_mode(0o711)).tempdir()?;
    for number in 0..count {
        fs::create_dir(dir.path().join(number.to_string()))?;
    }
    let program = std::env::current_exe()?;
    let mut command = inner(dir.path(), count);
    command.arg(program).args(std::env::args_os().skip(1)).env(VARIABLE, dir.path());
    command.status().context("small disks take `unshare`, of util-linux")
}

/// Mounts the disks and becomes what is added to it. Who is not root is root for the mounting only:
/// the database refuses to be started by root.
fn inner(dir: &Path, count: usize) -> Command {
    let mounts: String = (0..count)
        .map(|number| {
            format!("mount -t tmpfs -o size={MEBIBYTES}m,mode=0711 aldis \"$1/{number}\" && ")
        })
        .collect();
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let (namespaces, again): (&[&str], _) = if uid == 0 {
        (&["--mount"], String::new())
    } else {
        let back = format!("unshare --user --map-user={uid} --map-group={gid} ");
        (&["--user", "--map-root-user", "--mount"], back)
    };
    let mut command = Command::new("unshare");
    command.args(namespaces).args(["sh", "-c"]);
    command.arg(format!("{mounts}shift && exec {again}\"$@\""));
    command.args([OsString::from("sh"), dir.into()]);
    command
}
