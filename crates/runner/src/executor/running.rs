//! A step that runs: waiting for it, asking it to end, killing it.

use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdout};

use crate::limits::Cage;
use crate::output::Log;

/// After the step has ended, its pipe is read for so long if something still holds it.
const DRAIN: Duration = Duration::from_secs(2);

/// A started step.
pub(crate) struct Running {
    pub(super) child: Child,
    pub(super) output: pipe::Receiver,
    /// Where the sandbox tells about itself; `None` for the shell.
    pub(super) status: Option<ChildStdout>,
    pub(super) control: Control,
}

/// How a step ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Exit code; 128 + n for signal n.
    Exit(i32),
    /// The sandbox did not come to start the step.
    NoSandbox,
}

/// Ends a running step from outside. Valid until [`Running::finish`] has resolved.
#[derive(Clone)]
pub(crate) struct Control {
    /// What the runner started: bubblewrap, or the shell.
    pub(super) outer: Option<Pid>,
    /// Leader of the step's process group: the sandbox's first process, or the shell.
    pub(super) leader: Arc<AtomicI32>,
    pub(super) cage: Cage,
    /// Without a PID namespace the group and the cgroup must be swept.
    pub(super) sweep: bool,
}

impl Running {
    /// The handle that ends the step.
    pub(crate) fn control(&self) -> Control {
        self.control.clone()
    }

    /// Runs to the end: pumps the output, waits, and leaves nothing alive.
    pub(crate) async fn finish(mut self, log: &mut Log, step: u32) -> Ended {
        let status = self.status.take();
        let leader = Arc::clone(&self.control.leader);
        let told = async move {
            match status {
                Some(pipe) => read_status(pipe, &leader).await,
                None => Told { has_ended: true },
            }
        };
        let control = self.control.clone();
        let (child, output) = (&mut self.child, &mut self.output);
        let wait = async {
            let pump = log.pump(step, output);
            tokio::pin!(pump);
            let mut drained = false;
            let exit = loop {
                tokio::select! {
                    exit = child.wait() => break exit,
                    () = &mut pump, if !drained => drained = true,
                }
            };
            control.sweep();
            if !drained {
                let _ = tokio::time::timeout(DRAIN, pump).await;
            }
            exit
        };
        let (exit, told) = tokio::join!(wait, told);
        match exit {
            Ok(status) if told.has_ended => Ended::Exit(code(status)),
            // Killed by us, or out of memory before it could tell.
            Ok(status) if status.code().is_none() => Ended::Exit(code(status)),
            Ok(_) | Err(_) => Ended::NoSandbox,
        }
    }
}

impl Control {
    /// SIGTERM to everything in the step's process group.
    pub(crate) fn terminate(&self) {
        if let Some(leader) = Pid::from_raw(self.leader.load(Ordering::Relaxed)) {
            let _ = kill_process_group(leader, Signal::TERM);
        }
    }

    /// SIGKILL. A sandbox's PID namespace dies with its first process.
    pub(crate) fn kill(&self) {
        if let Some(leader) = Pid::from_raw(self.leader.load(Ordering::Relaxed)) {
            let _ = kill_process_group(leader, Signal::KILL);
        }
        if let Some(outer) = self.outer {
            let _ = kill_process(outer, Signal::KILL);
        }
        self.sweep();
    }

    fn sweep(&self) {
        if !self.sweep {
            return;
        }
        if let Some(leader) = Pid::from_raw(self.leader.load(Ordering::Relaxed)) {
            let _ = kill_process_group(leader, Signal::KILL);
        }
        self.cage.kill_all();
    }
}

struct Told {
    /// The step itself ended: the sandbox was set up.
    has_ended: bool,
}

/// bubblewrap writes one JSON object per line: first with `child-pid`, at the end with `exit-code`,
/// the latter only if the command was run (`bubblewrap.c`, `--json-status-fd`).
async fn read_status(mut pipe: ChildStdout, leader: &AtomicI32) -> Told {
    let mut text = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        match pipe.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) if text.len() < 16 << 10 => text.extend_from_slice(&buffer[..count]),
            Ok(_) => {}
        }
        if leader.load(Ordering::Relaxed) == 0
            && let Some(pid) = field(&text, "child-pid")
        {
            leader.store(i32::try_from(pid).unwrap_or(0), Ordering::Relaxed);
        }
    }
    Told { has_ended: field(&text, "exit-code").is_some() }
}

fn field(text: &[u8], name: &str) -> Option<i64> {
    text.split(|b| *b == b'\n')
        .filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok())
        .find_map(|object| object.get(name)?.as_i64())
}

fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1)
}
