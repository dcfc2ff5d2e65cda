//! RabbitMQ.

use std::path::PathBuf;
use std::process::Child;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::certificates::Certificates;
use crate::process::{User, end, find, free_port};

const PATIENCE: Duration = Duration::from_mins(2);

/// A broker of one node, with the user `guest`.
#[derive(Debug)]
pub struct RabbitMq {
    dir: TempDir,
    programs: PathBuf,
    user: User,
    port: u16,
    /// Where it speaks TLS, and who vouches for it.
    tls: Option<(u16, Certificates)>,
    /// Of the Erlang node, and of the daemon that knows the node's.
    node_port: u16,
    names_port: u16,
    running: Mutex<Option<[Child; 2]>>,
}

/// The broker that all tests of this process share.
pub fn rabbitmq() -> &'static RabbitMq {
    static SHARED: LazyLock<RabbitMq> = LazyLock::new(RabbitMq::start);
    &SHARED
}

impl RabbitMq {
    /// Makes a node and starts it.
    pub fn start() -> Self {
        Self::begin(None)
    }

    /// The same, which speaks TLS as well.
    pub fn with_tls() -> Self {
        Self::begin(Some((free_port(), Certificates::make(User::unprivileged()))))
    }

    fn begin(tls: Option<(u16, Certificates)>) -> Self {
        let programs = programs();
        let user = User::unprivileged();
        let dir = tempfile::Builder::new().prefix("aldis-rabbitmq-").tempdir();
        let dir = dir.expect("the temporary directory can be written to");
        user.owns(dir.path());
        let (port, node_port, names_port) = (free_port(), free_port(), free_port());
        let running = Mutex::default();
        let this = Self { dir, programs, user, port, tls, node_port, names_port, running };
        std::fs::write(this.dir.path().join("rabbitmq.conf"), this.configuration())
            .expect("the directory is ours");
        this.resume();
        this
    }

    /// Where it listens, as a URL.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}", self.port)
    }

    /// Where it speaks TLS, as a URL, and the file of the authority that vouches for it.
    pub fn tls(&self) -> (String, PathBuf) {
        let (port, certificates) = self.tls.as_ref().expect("it was started with TLS");
        (format!("amqps://guest:guest@127.0.0.1:{port}"), certificates.authority())
    }

    fn configuration(&self) -> String {
        let Some((port, certificates)) = &self.tls else { return String::new() };
        format!(
            "listeners.ssl.default = 127.0.0.1:{port}\nssl_options.cacertfile = {}\n\
             ssl_options.certfile = {}\nssl_options.keyfile = {}\n",
            certificates.authority().display(),
            certificates.certificate().display(),
            certificates.key().display()
        )
    }

    /// Starts it again, with the queues and messages that it had, and waits until it answers.
    pub fn resume(&self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let names = find("epmd", []).expect("Erlang is installed with RabbitMQ");
        let environment = self.environment();
        let port = self.names_port.to_string();
        let names = self.user.serve(
            &names,
            ["-port", &port],
            &environment,
            "KILL",
            self.dir.path(),
            "names",
        );
        let server = self.programs.join("rabbitmq-server");
        let server =
            self.user.serve(&server, [""; 0], &environment, "KILL", self.dir.path(), "log");
        *running = Some([server, names]);
        let begun = Instant::now();
        while !self.ctl(&["await_startup", "--timeout", "30"]) {
            let said = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "rabbitmq does not start: {said}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// `rabbitmqctl` with these words; whether it succeeded.
    pub fn ctl(&self, words: &[&str]) -> bool {
        let mut command = self.user.command(&self.programs.join("rabbitmqctl"));
        command.envs(self.environment()).args(["--quiet", "--node", &self.node()]).args(words);
        command.output().is_ok_and(|output| output.status.success())
    }

    /// Ends it as kill -9 does.
    pub fn kill(&self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.take().into_iter().flatten().for_each(end);
    }

    fn node(&self) -> String {
        format!("aldis-{}@localhost", self.port)
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let dir = |name: &str| self.dir.path().join(name).display().to_string();
        vec![
            ("HOME", self.dir.path().display().to_string()),
            ("ERL_EPMD_PORT", self.names_port.to_string()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
            ("RABBITMQ_NODENAME", self.node()),
            ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".to_owned()),
            ("RABBITMQ_NODE_PORT", self.port.to_string()),
            ("RABBITMQ_DIST_PORT", self.node_port.to_string()),
            ("RABBITMQ_MNESIA_BASE", dir("mnesia")),
            ("RABBITMQ_LOG_BASE", dir("logs")),
            ("RABBITMQ_CONFIG_FILE", dir("rabbitmq.conf")),
            ("RABBITMQ_CONF_ENV_FILE", "/dev/null".to_owned()),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", dir("plugins")),
            // In the foreground, as one process, without reading its input.
            ("NOTIFY_SOCKET", dir("nobody")),
        ]
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        self.kill();
    }
}

fn programs() -> PathBuf {
    let found = find("rabbitmq-server", ["/usr/lib/rabbitmq/bin".into()]).expect(
        "RabbitMQ 3.10 or newer is not installed: on Debian, `apt-get install rabbitmq-server`; \
         `cargo xtask test` does it as root",
    );
    found.parent().expect("a file is in a directory").to_owned()
}
