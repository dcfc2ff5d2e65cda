//! A small disk that fills up for one test alone.

use std::path::PathBuf;
use std::process::Command;

/// Where a file system of so many MiB is mounted for the test of this name. Only the test sees it:
/// that takes namespaces of its own, so the test is run once more in them, and `None` is for the
/// outer one, when the inner one has passed.
pub fn small_disk(test: &str, mebibytes: usize) -> Option<PathBuf> {
    const DISK: &str = "ALDIS_TEST_SMALL_DISK";
    if let Some(disk) = std::env::var_os(DISK) {
        return Some(disk.into());
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mount = format!("mount -t tmpfs -o size={mebibytes}m,mode=0711 aldis \"$1\" && shift");
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let mut command = Command::new("unshare");
    let script = if uid == 0 {
        command.arg("--mount");
        format!("{mount} && exec \"$@\"")
    } else {
        command.args(["--user", "--map-root-user", "--mount"]);
        format!("{mount} && exec unshare --user --map-user={uid} --map-group={gid} \"$@\"")
    };
    command.args(["sh", "-c", &script, "sh"]).arg(dir.path());
    command.arg(std::env::current_exe().expect("a test knows its own path"));
    let ran = command.args(["--exact", test]).env(DISK, dir.path()).output();
    let ran = ran.expect("unshare, of util-linux");
    let said = String::from_utf8_lossy(&ran.stdout) + String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{test} on a small disk:\n{said}");
    assert!(said.contains("1 passed"), "{said}");
    None
}
