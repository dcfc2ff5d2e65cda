//! The shipped program as a process of its own, so that a test can kill it and start it again.
//!
//! A [`Site`] is what stays over restarts: data directory, port, settings. Never here: a look into
//! the bot's memory; what it did is read from its log and from the simulator.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use aldis::settings::Settings;
use aldis_store::{Envelope, Store, StoreError};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// Longest wait for a start or an end, for slow machines.
const PATIENCE: Duration = Duration::from_mins(1);
/// What the program says when it is at work: as a server, and as a runner.
const READY: [&str; 2] = ["Aldis listens on", "Aldis runner"];
/// In place of roles: a runner that has neither the database nor a token for GitLab.
pub const REMOTE: &str = "remote";

/// The program, built like the test itself. Built once, so that it is never an old one.
static PROGRAM: LazyLock<PathBuf> = LazyLock::new(build);

fn build() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let is_deps = |dir: &&Path| dir.file_name().is_none_or(|name| name != "deps");
    let profile = test.ancestors().skip(1).find(is_deps);
    let profile = profile.expect("programs lie in target/<profile>, tests in its deps");
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
    /// How the program is called here.
    arguments: Vec<String>,
}

impl Site {
    /// A new data directory and a port of its own, with these settings besides.
    pub fn new(settings: &[(&str, &str)]) -> Self {
        Self::on(&std::env::temp_dir(), settings)
    }

    /// The same below this directory.
    pub fn on(disk: &Path, settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir_in(disk).expect("a temporary directory");
        // Reachable for the runner's own users, as an operator's data directory should be.
        let open = std::fs::Permissions::from_mode(0o711);
        std::fs::set_permissions(dir.path(), open).expect("our own directory");
        let settings = settings.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        let arguments = vec!["serve".to_owned()];
        Self { dir, port: free_port(), settings: settings.collect(), arguments }
    }

    /// The same, for a process that is only these roles, with commas between: none is the whole
    /// bot, and [`REMOTE`] no server.
    #[must_use]
    pub fn part(self, roles: &str) -> Self {
        match roles {
            "" => self,
            REMOTE => self.called(&["runner".to_owned()]),
            _ => self.called(&["serve".to_owned(), format!("--role={roles}")]),
        }
    }

    /// The same with this command.
    #[must_use]
    pub fn called(self, arguments: &[String]) -> Self {
        Self { arguments: arguments.to_vec(), ..self }
    }

    /// The same with these settings besides.
    #[must_use]
    pub fn given(mut self, settings: impl IntoIterator<Item = (String, String)>) -> Self {
        self.settings.extend(settings);
        self
    }

    /// What the process is, for messages.
    pub fn name(&self) -> String {
        self.arguments.join(" ")
    }

    /// The same over all starts.
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where GitLab posts.
    pub fn webhook_url(&self) -> String {
        format!("{}/api/webhooks/gitlab", self.base_url())
    }

    /// The program with these arguments, in this place and with its settings.
    async fn command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let program = tokio::task::spawn_blocking(|| &*PROGRAM).await.expect("the program");
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("ALDIS_LISTEN", format!("127.0.0.1:{}", self.port))
            .env("ALDIS_DATA_DIR", self.dir.path())
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// What a command of the program prints.
    pub async fn told(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).await.stdout(Stdio::piped()).output().await;
        let output = output.expect("the program starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "aldis {arguments:?}: {said}");
        String::from_utf8(output.stdout).expect("the program prints text")
    }

    /// Starts `aldis serve`, or `aldis runner`, to be killed at `failpoint` if one is given, and
    /// waits until it is at work, or was killed at that point before it could say so.
    pub async fn start(&self, failpoint: Option<&str>) -> Process {
        let mut process = self.launch(failpoint).await;
        let is_ready = process.ready().await;
        let started = is_ready
            || failpoint.is_some() && process.end().await.signal() == Some(Signal::KILL.as_raw());
        assert!(started, "the bot does not start: {:?}\n{}", process.ended(), process.said());
        process
    }

    /// The same without waiting: it may end at once, as it does while its database is away.
    pub async fn launch(&self, failpoint: Option<&str>) -> Process {
        let mut command = self.command(&self.arguments).await;
        command.envs(failpoint.map(|point| ("ALDIS_FAILPOINT", point)));
        let mut child = command.spawn().expect("the program starts");
        let errors = child.stderr.take().expect("its error stream is a pipe");
        let said = Arc::new(Mutex::new(String::new()));
        let (tell_ready, ready) = watch::channel(false);
        let heard = Arc::clone(&said);
        tokio::spawn(async move {
            let mut lines = BufReader::new(errors).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let is_ready = READY.iter().any(|ready| line.contains(ready));
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                heard.push_str(&line);
                heard.push('\n');
                if is_ready {
                    tell_ready.send_replace(true);
                }
            }
        });
        Process { child, said, ready }
    }

    /// Moves what the bot knows to another database, for its starts to come.
    pub async fn move_to(&mut self, database: &str) {
        const NAME: &str = "ALDIS_DATABASE_URL";
        self.told(&["export", "moving"]).await;
        self.settings.retain(|(name, _)| name != NAME);
        self.settings.push((NAME.to_owned(), database.to_owned()));
        self.told(&["import", "moving"]).await;
        std::fs::remove_file(self.dir.path().join("moving")).expect("it was written there");
    }

    /// The bot's store, for reading beside it. Close it before the bot is started again: the bot
    /// should find the files as a killed process left them.
    pub async fn store(&self) -> Result<Store, StoreError> {
        let settings = Settings::read(&|name| match name {
            "ALDIS_DATA_DIR" => Some(self.dir.path().display().to_string()),
            _ => self.settings.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone()),
        });
        Store::open_read_only(&settings.expect("a server's settings").store()).await
    }

    /// Whether nothing is due, under way, or to come within `soon`.
    pub async fn at_rest(&self, soon: Duration) -> Result<bool, StoreError> {
        let store = self.store().await?;
        let at_rest = aldis::rest::at_rest(&store, soon, 0).await;
        store.close().await;
        at_rest
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
    ready: watch::Receiver<bool>,
}

impl Process {
    /// Waits until it is at work; false if it ends before, or takes too long.
    pub async fn ready(&mut self) -> bool {
        let ready = self.ready.wait_for(|ready| *ready);
        matches!(tokio::time::timeout(PATIENCE, ready).await, Ok(Ok(_)))
    }

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
        self.signal(Signal::TERM);
    }

    /// SIGSTOP: it does nothing more until it is thawed.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT: it goes on as if no time had passed.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Whether it stands still, by a signal or by its failpoint.
    pub fn frozen(&self) -> bool {
        let stat = format!("/proc/{}/stat", self.pid().as_raw_pid());
        let stat = std::fs::read_to_string(stat).expect("our own child has a state");
        // proc_pid_stat(5): the state follows the name in parentheses, which may hold any byte.
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("our own child takes signals");
    }

    fn pid(&self) -> Pid {
        let id = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        id.expect("a process that was not waited for has an id")
    }

    /// What it wrote to its error stream.
    pub fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
