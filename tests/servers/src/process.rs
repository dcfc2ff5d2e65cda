//! A server process that does not outlive its owner.

use std::ffi::OsStr;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Runs a server, and ends it when it is told so or its input ends: that is when the owner lets go
/// of the other end, and the kernel does so for whoever is killed. Then nobody needs the directory.
const WATCHER: &str = "signal=$1; dir=$2; shift 2; \"$@\" </dev/null & server=$!; \
     read -r _ && kept=yes; kill -$signal $server; wait $server; [ \"$kept\" ] || rm -rf \"$dir\"";

/// Servers refuse to be root; who is not root stays who they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct User(Option<(u32, u32)>);

impl User {
    /// `nobody` for root, else ourselves.
    pub(crate) fn unprivileged() -> Self {
        Self(rustix::process::geteuid().is_root().then_some((65_534, 65_534)))
    }

    pub(crate) fn owns(self, path: &Path) {
        if let Self(Some((uid, gid))) = self {
            chown(path, Some(uid), Some(gid)).expect("root may give files away");
        }
    }

    pub(crate) fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Self(Some((uid, gid))) = self {
            command.uid(uid).gid(gid);
        }
        command.current_dir("/").stdin(Stdio::null());
        command
    }

    /// Starts a server in `dir` that gets `signal` when it is told to [`end`] or this process is gone.
    pub(crate) fn serve<A: AsRef<OsStr>>(
        self,
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        environment: &[(&'static str, String)],
        signal: &str,
        dir: &Path,
        log: &str,
    ) -> Child {
        let out =
            std::fs::File::create(dir.join(log)).expect("the server's directory can be written to");
        let both = out.try_clone().expect("a file can be opened twice");
        let mut command = self.command(Path::new("/bin/sh"));
        command.args(["-c", WATCHER, "server", signal]).arg(dir).arg(program).args(arguments);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(out).stderr(both).process_group(0);
        command.spawn().expect("a shell can be started")
    }
}

/// Ends a server whose directory is kept; returns when it is gone.
pub(crate) fn end(mut server: Child) {
    if let Some(mut told) = server.stdin.take() {
        // It may have ended by itself.
        let _ = told.write_all(b"end\n");
    }
    server.wait().expect("the watcher can be waited for");
}

/// A port of the loopback interface that nobody uses now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("it is bound").port()
}

/// The first of `dirs`, or of `PATH`, that has `program`.
pub(crate) fn find(program: &str, dirs: impl IntoIterator<Item = PathBuf>) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path: Vec<PathBuf> = std::env::split_paths(&path).collect();
    dirs.into_iter().chain(path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Runs a command that must succeed.
pub(crate) fn must(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {said}", output.status);
}
