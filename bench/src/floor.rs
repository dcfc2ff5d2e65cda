//! The floor: a server that does only the steps that no bot can leave out. It runs as a process of
//! its own, as the bot does, and takes the same deliveries.
//!
//! A delivery becomes one row with its lz4 body, committed in groups that wait for the disk, and is
//! answered. If it names a commit, a lane then reports it running, fetches it, checks it out,
//! runs `true` in a sandbox and reports success.

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

pub(crate) use lane::{LANES, Source, prefetch};
pub(crate) use messages::Messages;
pub(crate) use queue::Queue;
pub(crate) use rows::Rows;
pub(crate) use server::serve;

use crate::place::Home;

/// First word on the command line of the floor's process.
pub(crate) const COMMAND: &str = "floor";

/// The running process; it is killed when this is dropped.
pub(crate) struct Floor {
    pub(crate) address: SocketAddr,
    pub(crate) pid: u32,
    _process: Child,
}

impl Floor {
    /// Starts it. With `source` it takes commits through lanes.
    pub(crate) async fn start(home: &Home, source: Option<&Source>) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(COMMAND).arg(home.dir()).stdout(Stdio::piped()).stdin(Stdio::null());
        if let Some(url) = &home.postgres {
            command.env(server::DATABASE, url);
        }
        if let Some(source) = source {
            command.envs(source.variables());
        }
        let mut process = command.kill_on_drop(true).spawn().context("start the floor")?;
        let pid = process.id().context("the floor has ended")?;
        let out = process.stdout.take().context("the floor has no output")?;
        let line = BufReader::new(out).lines().next_line().await?.unwrap_or_default();
        let address = line.parse().with_context(|| format!("the floor said `{line}`"))?;
        Ok(Self { address, pid, _process: process })
    }
}
