//! The bot under test: the release binary, `aldis serve`, as a process of its own, or as several.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::delivery::SECRET;
use crate::place::Home;

/// What a bot is started with.
#[derive(Debug)]
pub(crate) struct Setup<'a> {
    pub(crate) gitlab: &'a str,
    pub(crate) token: &'a str,
    pub(crate) home: &'a Home,
    pub(crate) slots: usize,
    /// API calls per minute; `None`: as the bot has it by itself.
    pub(crate) budget: Option<u32>,
}

/// The running processes.
pub(crate) struct Bot {
    /// Where it takes deliveries.
    pub(crate) address: SocketAddr,
    processes: Vec<Child>,
}

/// Roles of the processes of a bot that is divided. The first takes deliveries.
const PARTS: [&str; 4] = ["ingress,dispatch,web", "planner", "feedback", "runner"];
/// How long it may take to start, and to end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

impl Bot {
    pub(crate) async fn start(setup: &Setup<'_>) -> Result<Self> {
        if setup.home.broker.is_none() {
            let (process, address) = launch(setup.command(&[], setup.home.dir())?).await?;
            return Ok(Self { address, processes: vec![process] });
        }
        let [first, others @ ..] = PARTS;
        let command = setup.command(&["--role", first], setup.home.dir())?;
        let (process, address) = launch(command).await?;
        let mut processes = vec![process];
        for role in others {
            let mut command = setup.command(&["--role", role], &setup.home.dir().join(role))?;
            // The first process has made it.
            command.env("ALDIS_SECRET_KEY_FILE", setup.home.dir().join("secret.key"));
            command.env("ALDIS_BASE_URL", format!("http://{address}"));
            processes.push(launch(command).await?.0);
        }
        Ok(Self { address, processes })
    }

    /// Asks it to end and waits.
    pub(crate) async fn stop(mut self) -> Result<()> {
        for process in &self.processes {
            let pid = process.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
            kill_process(pid.context("aldis has ended")?, Signal::TERM)?;
        }
        for process in &mut self.processes {
            if tokio::time::timeout(PATIENCE, process.wait()).await.is_err() {
                process.kill().await?;
            }
        }
        Ok(())
    }

    /// A line of `/proc/<pid>/status` in MiB, such as `VmRSS`; of all processes.
    pub(crate) fn memory(&self, line: &str) -> Result<f64> {
        self.pids().map(|pid| memory(pid, line)).sum()
    }

    /// Milliseconds of processor time of all processes and the children they have waited for.
    pub(crate) fn cpu_millis(&self) -> Result<f64> {
        self.pids().map(cpu_millis).sum()
    }

    fn pids(&self) -> impl Iterator<Item = u32> {
        self.processes.iter().filter_map(Child::id)
    }
}

impl Setup<'_> {
    fn command(&self, words: &[&str], data: &Path) -> Result<Command> {
        let mut command = Command::new(program()?);
        command
            .arg("serve")
            .args(words)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("GITLAB_URL", self.gitlab)
            .env("GITLAB_TOKEN", self.token)
            .env("GITLAB_WEBHOOK_SECRET", SECRET)
            .env("ALDIS_LISTEN", "127.0.0.1:0")
            .env("ALDIS_DATA_DIR", data)
            .env("ALDIS_SLOTS", self.slots.to_string())
            .env("ALDIS_STOP_TIMEOUT", "1")
            .env("ALDIS_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let (database, broker) = (&self.home.postgres, &self.home.broker);
        command.envs(database.iter().map(|url| ("ALDIS_DATABASE_URL", url)));
        command.envs(broker.iter().map(|url| ("ALDIS_AMQP_URL", url)));
        command.envs(self.budget.map(|calls| ("GITLAB_API_BUDGET", calls.to_string())));
        Ok(command)
    }
}

/// Starts a process and waits until it says where it listens.
async fn launch(mut command: Command) -> Result<(Child, SocketAddr)> {
    let mut process = command.spawn().context("start aldis")?;
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
    Ok((process, address))
}

/// `aldis` lies beside this program: both are built by one command.
fn program() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("aldis");
    if !path.is_file() {
        bail!("there is no {}; start this by `cargo xtask bench`", path.display());
    }
    Ok(path)
}

fn memory(pid: u32, line: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let value = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let kib = value.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
    Ok(kib.with_context(|| format!("no {line} of process {pid}"))? / 1024.0)
}

/// Milliseconds of processor time of a process in `/proc` and the children it has waited for.
pub(crate) fn cpu_millis(process: impl Display) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The program's name may hold spaces; it ends with the last parenthesis.
    let (_, rest) = stat.rsplit_once(')').context("an odd line in /proc")?;
    let fields: Vec<f64> =
        rest.split_whitespace().skip(11).take(4).filter_map(|field| field.parse().ok()).collect();
    #[expect(clippy::cast_precision_loss, reason = "ticks per second are 100")]
    let per_second = rustix::param::clock_ticks_per_second() as f64;
    Ok(fields.iter().sum::<f64>() * 1000.0 / per_second)
}
