//! The shell executor: no isolation but an own process group and a clean environment.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;

use rustix::process::Pid;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;

use super::running::{Control, Running};
use super::{StartError, StepSpec, base_env, stack_dir};
use crate::limits::Cage;
use crate::programs::{command_as, stand_back};
use crate::settings::User;

/// Starts steps as plain processes of the slot's user. Without a cgroup the number of processes is
/// not limited: it would be counted with all others of that user. Refused for untrusted runs by the job.
pub(crate) struct Shell {
    pub(crate) user: Option<User>,
    pub(crate) cage: Cage,
}

impl Shell {
    /// Starts a step. It waits for a line until limits hold.
    pub(crate) async fn start(&self, spec: &StepSpec<'_>) -> Result<Running, StartError> {
        let dir = stack_dir(&spec.run_dir.tree, spec.dir)?;
        let script = spec.run_dir.root.join(format!("step-{}", spec.number));
        std::fs::write(&script, &spec.script)?;
        crate::workspace::give(&script, self.user)?;
        let (reader, writer) = std::io::pipe()?;
        let mut command = command_as(self.user, Path::new("/bin/sh"));
        command
            .arg("-c")
            .arg(self.cage.shell_limits() + "read -r _ && exec /bin/sh -e \"$1\" </dev/null")
            .arg("sh")
            .arg(&script)
            .env_clear()
            .envs(base_env(&spec.run_dir.home.to_string_lossy()))
            .env("TMPDIR", &spec.run_dir.tmp)
            .envs(spec.env.iter().map(|(name, value)| (name, value)))
            .current_dir(dir)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::from(writer.try_clone()?))
            .stderr(Stdio::from(writer))
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        stand_back(&child);
        let raw = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or(0);
        let outer = Pid::from_raw(raw);
        if let Some(pid) = outer {
            self.cage.hold(pid)?;
        }
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(b"\n").await?;
        }
        Ok(Running {
            child,
            output: pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?,
            status: None,
            control: Control {
                outer,
                leader: Arc::new(AtomicI32::new(raw)),
                cage: self.cage.clone(),
                sweep: true,
            },
        })
    }
}
