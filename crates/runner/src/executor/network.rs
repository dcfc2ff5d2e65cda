//! A network namespace whose only way out is a helper process that refuses the host's loopback.
//!
//! One per slot, used by its runs one after the other: no process of a run outlives it, and no step
//! has the capability to change routes or filters.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::programs::{Programs, command_as};
use crate::settings::User;

/// The name server that slirp4netns offers inside (its manual, "Network addresses").
pub(super) const NAME_SERVER: &str = "10.0.2.3";

/// Longer than any healthy start takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// A namespace with its helper. Both end when this is dropped, or when the runner dies: they wait
/// for the end of their standard input.
pub(crate) struct Network {
    holder: Child,
    helper: Child,
    pid: u32,
}

impl Network {
    /// Makes the namespaces as `user` and configures the helper's interface.
    pub(crate) async fn start(programs: &Programs, user: Option<User>) -> std::io::Result<Self> {
        let (Some(unshare), Some(slirp)) = (&programs.unshare, &programs.slirp4netns) else {
            return Err(std::io::Error::other("slirp4netns or unshare is not installed"));
        };
        let mut command = command_as(user, unshare);
        command.args(["--user", "--map-current-user", "--net", "--", "/bin/sh", "-c"]);
        command.arg("echo; read -r _");
        let mut holder = spawn(command)?;
        wait_for_byte(&mut holder, "the network namespace").await?;
        let pid = holder.id().ok_or_else(|| std::io::Error::other("the namespace is gone"))?;

        let mut command = command_as(user, Path::new("/bin/sh"));
        // Readiness comes on fd 3, the end of our life as the end of fd 0.
        command.args(["-c", "exec \"$@\" 3>&1 1>/dev/null", "sh"]).arg(slirp);
        command.args(["--configure", "--disable-host-loopback", "--enable-seccomp"]);
        command.args(["--exit-fd=0", "--ready-fd=3", "--mtu=65520", &pid.to_string(), "tap0"]);
        let mut helper = spawn(command)?;
        wait_for_byte(&mut helper, "slirp4netns").await?;
        Ok(Self { holder, helper, pid })
    }

    /// The process whose namespaces a step joins.
    pub(super) fn holder(&self) -> u32 {
        self.pid
    }

    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.holder.try_wait(), Ok(None)) && matches!(self.helper.try_wait(), Ok(None))
    }
}

fn spawn(mut command: Command) -> std::io::Result<Child> {
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command.spawn()
}

async fn wait_for_byte(child: &mut Child, what: &str) -> std::io::Result<()> {
    let failed = || std::io::Error::other(format!("{what} did not start"));
    let mut stdout = BufReader::new(child.stdout.take().ok_or_else(failed)?);
    let byte = tokio::time::timeout(PATIENCE, stdout.read_u8()).await;
    byte.map_err(|_| failed())?.map(|_| ()).map_err(|_| failed())
}
