//! The shipped program as a process of its own, so that a test can kill it and start it again.
//!
//! A [`Site`] is what stays over restarts: data directory, port, settings. Never here: a look into
//! the bot's memory; what it did is read from its log and from the simulator.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use aldis_domain::touch::WorkKind;
use aldis_store::{Envelope, Store, StoreError};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// Longest wait for a start or an end, for slow machines.
const PATIENCE: Duration = Duration::from_mins(1);
/// What the program says when deliveries can be posted.
const READY: &str = "Aldis listens on";

/// The program, built like the test itself. Built once, so that it is never an old one.
static PROGRAM: LazyLock<PathBuf> = LazyLock::new(build);

fn build() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile = test.ancestors().nth(2).expect("tests lie in target/<profile>/deps");
    let target = profile.parent().expect("profiles lie in the target directory");
    let name = profile.file_name().and_then(|name| name.to_str());
    let name = if name == Some("debug") { "dev" } else { name.unwrap_or_default() };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = std::process::Command::new(cargo)
        .args(["build", "--quiet", "--package", "aldis", "--bin", "aldis", "--profile", name])
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    let built = built.expect("this test builds the program and needs cargo in the path");
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "`cargo build --package aldis` failed:\n{said}");
    profile.join("aldis")
}

/// A place where the bot lives: it stays when the process is killed.
pub struct Site {
    dir: TempDir,
    port: u16,
    settings: Vec<(String, String)>,
    /// None: the whole bot.
    roles: &'static str,
}

impl Site {
    /// A new data directory and a port of its own, with these settings besides.
    pub fn new(settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        // Reachable for the runner's own users, as an operator's data directory should be.
        let open = std::fs::Permissions::from_mode(0o711);
        std::fs::set_permissions(dir.path(), open).expect("our own directory");
        let settings = settings.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        Self { dir, port: free_port(), settings: settings.collect(), roles: "" }
    }

    /// The same, for a process that is only these roles, with commas between.
    #[must_use]
    pub fn part(self, roles: &'static str) -> Self {
        Self { roles, ..self }
    }

    /// What the process is: its roles, or nothing for the whole bot.
    pub fn roles(&self) -> &'static str {
        self.roles
    }

    /// The same over all starts.
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where GitLab posts.
    pub fn webhook_url(&self) -> String {
        format!("{}/api/webhooks/gitlab", self.base_url())
    }

    /// Starts `aldis serve`, to be killed at `failpoint` if one is given, and waits until it
    /// takes deliveries.
    pub async fn start(&self, failpoint: Option<&str>) -> Process {
        let program = tokio::task::spawn_blocking(|| &*PROGRAM).await.expect("the program");
        let mut command = Command::new(program);
        command
            .arg("serve")
            .args((!self.roles.is_empty()).then(|| format!("--role={}", self.roles)))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("ALDIS_LISTEN", format!("127.0.0.1:{}", self.port))
            .env("ALDIS_DATA_DIR", self.dir.path())
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .envs(failpoint.map(|point| ("ALDIS_FAILPOINT", point)))
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().expect("the program starts");
        let errors = child.stderr.take().expect("its error stream is a pipe");
        let said = Arc::new(Mutex::new(String::new()));
        let (tell_ready, mut ready) = watch::channel(false);
        let heard = Arc::clone(&said);
        tokio::spawn(async move {
            let mut lines = BufReader::new(errors).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let is_ready = line.contains(READY);
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                heard.push_str(&line);
                heard.push('\n');
                if is_ready {
                    tell_ready.send_replace(true);
                }
            }
        });
        let mut process = Process { child, said };
        let is_ready = tokio::time::timeout(PATIENCE, ready.wait_for(|ready| *ready));
        let is_ready = matches!(is_ready.await, Ok(Ok(_)));
        assert!(is_ready, "the bot does not start: {:?}\n{}", process.ended(), process.said());
        process
    }

    /// The bot's store, for reading beside it. Close it before the bot is started again: the bot
    /// should find the files as a killed process left them.
    pub async fn store(&self) -> Result<Store, StoreError> {
        let url = self.settings.iter().find(|(name, _)| name == "ALDIS_DATABASE_URL");
        let postgres = url.map(|(_, url)| url.as_str().into());
        let place = aldis_store::Settings::in_dir(self.dir.path());
        Store::open_read_only(&aldis_store::Settings { postgres, ..place }).await
    }

    /// Whether nothing is due, under way or to come.
    pub async fn at_rest(&self) -> Result<bool, StoreError> {
        let store = self.store().await?;
        let mut waits = 0;
        for kind in WorkKind::ALL {
            let backlog = store.backlog(kind).await?;
            waits += backlog.due + backlog.leased + backlog.later;
        }
        store.close().await;
        Ok(waits == 0)
    }

    /// The whole log, after a check of its hash chain.
    pub async fn log(&self) -> Vec<Envelope> {
        let store = self.store().await.expect("the bot's database can be opened");
        store.verify(|_| {}).await.expect("the log is whole");
        let log = store.read(0, 1_000_000).await.expect("the log can be read");
        store.close().await;
        log
    }

    /// The data directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// `text` without what differs from one time to the next.
    pub fn plain(&self, text: &str, gitlab: &str) -> String {
        crate::plain::plain(text, &self.base_url(), gitlab)
    }
}

/// A port that nobody listens on now. It lies below the range from which the kernel takes ports
/// for outgoing connections, so that it stays free while the bot is down.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 10_000;
    let start = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap_or(0);
    for _ in 0..COUNT {
        let offset = (start + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT;
        if TcpListener::bind(("127.0.0.1", FIRST + offset)).is_ok() {
            return FIRST + offset;
        }
    }
    panic!("no port is free between {FIRST} and {}", FIRST + COUNT);
}

/// A running bot. Dropping it kills it.
pub struct Process {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Process {
    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("our own child can be waited for")
    }

    /// Waits for its end.
    pub async fn end(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let Ok(ended) = ended else { panic!("the bot does not end:\n{}", self.said()) };
        ended.expect("our own child can be waited for")
    }

    /// `kill -9`, and waits until it is gone.
    pub async fn kill(&mut self) {
        self.child.start_kill().expect("our own child can be killed");
        self.end().await;
    }

    /// SIGTERM: asks it to stop.
    pub fn terminate(&self) {
        let id = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let pid = id.expect("a process that was not waited for has an id");
        kill_process(pid, Signal::TERM).expect("our own child takes signals");
    }

    /// What it wrote to its error stream.
    pub fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
