//! The bot under test: the release binary, `aldis serve`, as a process of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::delivery::SECRET;

/// What a bot is started with.
#[derive(Debug)]
pub(crate) struct Setup<'a> {
    pub(crate) gitlab: &'a str,
    pub(crate) token: &'a str,
    pub(crate) dir: &'a Path,
    pub(crate) slots: usize,
    /// API calls per minute; `None`: as the bot has it by itself.
    pub(crate) budget: Option<u32>,
}

/// The running process.
pub(crate) struct Bot {
    pub(crate) address: SocketAddr,
    pub(crate) pid: u32,
    process: Child,
}

/// How long it may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(30);

impl Bot {
    pub(crate) async fn start(setup: &Setup<'_>) -> Result<Self> {
        let mut command = Command::new(program()?);
        command
            .arg("serve")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("GITLAB_URL", setup.gitlab)
            .env("GITLAB_TOKEN", setup.token)
            .env("GITLAB_WEBHOOK_SECRET", SECRET)
            .env("ALDIS_LISTEN", "127.0.0.1:0")
            .env("ALDIS_DATA_DIR", setup.dir)
            .env("ALDIS_SLOTS", setup.slots.to_string())
            .env("ALDIS_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if let Some(budget) = setup.budget {
            command.env("GITLAB_API_BUDGET", budget.to_string());
        }
        let mut process = command.kill_on_drop(true).spawn().context("start aldis")?;
        let pid = process.id().context("aldis has ended")?;
        let said = process.stderr.take().context("aldis has no error stream")?;
        let mut lines = BufReader::new(said).lines();
        let listening = async {
            while let Some(line) = lines.next_line().await? {
                if let Some(address) = line.strip_prefix("Aldis listens on ") {
                    return Ok(address.parse()?);
                }
            }
            bail!("aldis ended before it listened; start `aldis serve` alone to see why")
        };
        let address = tokio::time::timeout(PATIENCE, listening).await??;
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { address, pid, process })
    }

    /// Asks it to end and waits.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        kill_process(pid.context("aldis has no pid")?, Signal::TERM)?;
        if tokio::time::timeout(PATIENCE, self.process.wait()).await.is_err() {
            self.process.kill().await?;
        }
        Ok(())
    }
}

/// `aldis` lies beside this program: both are built by one command.
fn program() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("aldis");
    if !path.is_file() {
        bail!("there is no {}; start this by `cargo xtask bench`", path.display());
    }
    Ok(path)
}

/// A line of `/proc/<pid>/status` in MiB, such as `VmRSS`.
pub(crate) fn memory(pid: u32, line: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let value = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let kib = value.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
    Ok(kib.with_context(|| format!("no {line} of process {pid}"))? / 1024.0)
}

/// Milliseconds of processor time of a process and the children it has waited for.
pub(crate) fn cpu_millis(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The program's name may hold spaces; it ends with the last parenthesis.
    let (_, rest) = stat.rsplit_once(')').context("an odd line in /proc")?;
    let fields: Vec<f64> =
        rest.split_whitespace().skip(11).take(4).filter_map(|field| field.parse().ok()).collect();
    #[expect(clippy::cast_precision_loss, reason = "ticks per second are 100")]
    let per_second = rustix::param::clock_ticks_per_second() as f64;
    Ok(fields.iter().sum::<f64>() * 1000.0 / per_second)
}
