//! The floor: a server that does only the steps that no bot can leave out. It runs as a process of
//! its own, as the bot does, and takes the same deliveries.
//!
//! A delivery becomes one row with its lz4 body, committed in groups that wait for the disk, and is
//! answered. If it names a commit, a lane then reports it running, fetches it, checks it out,
//! runs `true` in a sandbox and reports success.
//!
//! Where the bot is divided, so is the floor: the lanes are a second process, which is told through the
//! broker. Nobody looks again what is due, so the answer waits until the broker has it on disk.

mod back;
mod lane;
mod messages;
mod queue;
mod rows;
mod server;

use std::net::SocketAddr;
use std::process::Stdio;

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

pub(crate) use back::{COMMAND as BACK, work};
pub(crate) use lane::{LANES, Source, prefetch};
pub(crate) use messages::Messages;
pub(crate) use queue::Queue;
pub(crate) use rows::Rows;
pub(crate) use server::serve;

use crate::bot::{PATIENCE, cpu_millis};
use crate::place::Home;

/// First word on the command line of the floor's process.
pub(crate) const COMMAND: &str = "floor";

/// The running processes; they are killed when this is dropped.
pub(crate) struct Floor {
    pub(crate) address: SocketAddr,
    processes: Vec<Child>,
}

impl Floor {
    /// Starts it. With `source` it takes commits through lanes.
    pub(crate) async fn start(home: &Home, source: Option<&Source>) -> Result<Self> {
        let mut processes = Vec::new();
        if home.broker.is_some() {
            processes.push(launch(BACK, home, source).await?.0);
        }
        let (process, line) = launch(COMMAND, home, source).await?;
        processes.push(process);
        let address = line.parse().with_context(|| format!("the floor said `{line}`"))?;
        Ok(Self { address, processes })
    }

    /// Milliseconds of processor time of all processes and the children they have waited for.
    pub(crate) fn cpu_millis(&self) -> Result<f64> {
        self.processes.iter().filter_map(Child::id).map(cpu_millis).sum()
    }
}

/// Starts a process; the first line that it says.
async fn launch(word: &str, home: &Home, source: Option<&Source>) -> Result<(Child, String)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(word).arg(home.dir()).stdout(Stdio::piped()).stdin(Stdio::null());
    command.envs(home.postgres.iter().map(|url| (server::DATABASE, url)));
    command.envs(home.broker.iter().map(|url| (back::BROKER, url)));
    if let Some(source) = source {
        command.envs(source.variables());
    }
    let mut process = command.kill_on_drop(true).spawn().context("start the floor")?;
    let out = process.stdout.take().context("the floor has no output")?;
    let mut lines = BufReader::new(out).lines();
    let line =
        tokio::time::timeout(PATIENCE, lines.next_line()).await.context("the floor waits")?;
    let line = line?.context("the floor has ended")?;
    Ok((process, line))
}
