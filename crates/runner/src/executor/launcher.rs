//! A shell that waits to become a sandbox.
//!
//! It is started ahead of time, inside the slot's cgroup and network namespace and as the slot's
//! user, so that starting a step costs neither a fork nor a move between cgroups.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;

use rustix::process::Pid;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::process::Child;

use super::network::Network;
use super::running::{Control, Running};
use crate::limits::Cage;
use crate::programs::{Programs, command_as, stand_back};
use crate::settings::User;

/// Where the step's script is seen inside.
pub(super) const STEP: &str = "/run/aldis/step";

/// Reads the name of a file with bubblewrap's options, then becomes bubblewrap. Fd 4 is the status
/// pipe; the step's stdout and stderr are one pipe, in order.
const WAIT: &str = "IFS= read -r options && [ -n \"$options\" ] && \
    exec \"$@\" 3<\"$options\" 4>&1 1>&2 </dev/null";

/// A waiting shell.
pub(super) struct Launcher {
    child: Child,
    output: pipe::Receiver,
    control: Control,
}

impl Launcher {
    /// Starts one. `network`: the namespace it waits in.
    pub(super) fn start(
        programs: &Programs,
        bwrap: &Path,
        user: Option<User>,
        cage: &Cage,
        network: Option<&Network>,
    ) -> std::io::Result<Self> {
        let mut command = match network.zip(programs.nsenter.as_deref()) {
            Some((network, nsenter)) => {
                let mut command = command_as(user, nsenter);
                let holder = network.holder().to_string();
                command.args(["--preserve-credentials", "--user", "--net", "--target", &holder]);
                command.args(["--", "/bin/sh"]);
                command
            }
            None => command_as(user, Path::new("/bin/sh")),
        };
        command.arg("-c").arg(cage.shell_limits() + WAIT).arg("sh").arg(bwrap);
        command.args(["--args", "3", "--json-status-fd", "4", "--"]);
        let inside = cage.process_limit();
        if !inside.is_empty() {
            command.args(["/bin/sh", "-c"]).arg(inside + " exec \"$@\"").arg("sh");
        }
        command.args(["/bin/sh", "-e", STEP]);
        let (reader, writer) = std::io::pipe()?;
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(writer))
            .kill_on_drop(true);
        let child = command.spawn()?;
        stand_back(&child);
        let outer = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(pid) = outer {
            cage.hold(pid)?;
        }
        let output = pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?;
        let leader = Arc::new(AtomicI32::new(0));
        let control = Control { outer, leader, cage: cage.clone(), sweep: false };
        Ok(Self { child, output, control })
    }

    /// Whether it still waits.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Becomes the step whose options are in the file `options`.
    pub(super) async fn go(mut self, options: &Path) -> std::io::Result<Running> {
        use std::os::unix::ffi::OsStrExt;
        let mut stdin = self.child.stdin.take().ok_or(std::io::ErrorKind::BrokenPipe)?;
        let mut line = options.as_os_str().as_bytes().to_vec();
        line.push(b'\n');
        stdin.write_all(&line).await?;
        let status = self.child.stdout.take();
        Ok(Running { child: self.child, output: self.output, status, control: self.control })
    }
}
