//! PostgreSQL.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::certificates::Certificates;
use crate::process::{User, end, find, free_port, must};

const PASSWORD: &str = "throw:away/1";
/// As it stands in a URL.
const PASSWORD_IN_URL: &str = "throw%3Aaway%2F1";
const PATIENCE: Duration = Duration::from_mins(1);

/// A server with a superuser `postgres`.
#[derive(Debug)]
pub struct Postgres {
    dir: TempDir,
    programs: PathBuf,
    user: User,
    port: u16,
    durable: bool,
    /// Who vouches for it, if it speaks TLS.
    tls: Option<Certificates>,
    server: Mutex<Option<Child>>,
    databases: AtomicU32,
}

/// The server that all tests of this process share. It does not wait for the disk.
pub fn postgres() -> &'static Postgres {
    static SHARED: LazyLock<Postgres> = LazyLock::new(|| Postgres::start(false));
    &SHARED
}

impl Postgres {
    /// Makes a cluster and starts it. One that is not `durable` loses its data with the machine's
    /// power, not with its process.
    pub fn start(durable: bool) -> Self {
        Self::begin(durable, None)
    }

    /// One that speaks TLS as well.
    pub fn with_tls() -> Self {
        Self::begin(false, Some(Certificates::make(User::unprivileged())))
    }

    fn begin(durable: bool, tls: Option<Certificates>) -> Self {
        let programs = programs();
        let user = User::unprivileged();
        let dir = tempfile::Builder::new().prefix("aldis-postgres-").tempdir();
        let dir = dir.expect("the temporary directory can be written to");
        user.owns(dir.path());
        // The socket in it asks nobody for a password.
        let mode = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(dir.path(), mode).expect("the directory is ours");
        let password = dir.path().join("password");
        std::fs::write(&password, PASSWORD).expect("the directory is ours");
        user.owns(&password);
        must(
            user.command(&programs.join("initdb"))
                .args(["--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync"])
                .args(["--auth-local=trust", "--auth-host=scram-sha-256", "--pwfile"])
                .arg(&password)
                .arg("-D")
                .arg(dir.path().join("data")),
        );
        let this = Self {
            dir,
            programs,
            user,
            port: free_port(),
            durable,
            tls,
            server: Mutex::default(),
            databases: AtomicU32::new(0),
        };
        this.resume();
        this
    }

    /// A fresh database; its URL.
    pub fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.url("postgres", PASSWORD_IN_URL, &name)
    }

    /// The URL of `database` for a user whose password is `password`, escaped.
    pub fn url(&self, user: &str, password: &str, database: &str) -> String {
        format!("postgres://{user}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// The file of the authority that vouches for it.
    pub fn authority(&self) -> PathBuf {
        self.tls.as_ref().expect("it was started with TLS").authority()
    }

    /// Runs statements as the superuser; the unaligned rows that they answer with.
    pub fn sql(&self, database: &str, text: &str) -> String {
        let mut command = self.user.command(&self.programs.join("psql"));
        command.args(["--quiet", "--no-psqlrc", "--tuples-only", "--no-align"]);
        command.args(["-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, "-c", text]);
        command.arg("-h").arg(self.dir.path()).arg("-p").arg(self.port.to_string());
        let output = command.output().expect("psql can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Starts it again, and waits until it answers.
    pub fn resume(&self) {
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        let log = self.dir.path().join("log");
        let socket = format!("unix_socket_directories={}", self.dir.path().display());
        let sync = if self.durable { "fsync=on" } else { "fsync=off" };
        let settings = [socket.as_str(), "listen_addresses=127.0.0.1", "max_connections=200", sync];
        let mut settings = settings.map(str::to_owned).to_vec();
        settings.push(format!("port={}", self.port));
        if let Some(tls) = &self.tls {
            settings.push("ssl=on".to_owned());
            settings.push(format!("ssl_cert_file={}", tls.certificate().display()));
            settings.push(format!("ssl_key_file={}", tls.key().display()));
        }
        let data = self.dir.path().join("data");
        let arguments = ["-D".into(), data.into_os_string()]
            .into_iter()
            .chain(settings.into_iter().flat_map(|setting| ["-c".into(), setting.into()]));
        *server = Some(self.user.serve(
            &self.programs.join("postgres"),
            arguments,
            &[],
            "QUIT",
            self.dir.path(),
            "log",
        ));
        let begun = Instant::now();
        while !self.answers() {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "postgres does not start: {said}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it as `pg_ctl stop -m immediate` does: all connections break, and the next start
    /// recovers. Returns when it is gone.
    pub fn crash(&self) {
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = server.take() {
            end(server);
        }
    }

    fn answers(&self) -> bool {
        let mut asked = self.user.command(&self.programs.join("pg_isready"));
        asked.arg("-q").arg("-h").arg(self.dir.path()).arg("-p").arg(self.port.to_string());
        asked.status().is_ok_and(|status| status.success())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.crash();
    }
}

/// The directory of the newest installed PostgreSQL.
fn programs() -> PathBuf {
    let version = |dir: &PathBuf| -> u32 {
        let number = dir.parent().and_then(|parent| parent.file_name());
        number.and_then(|number| number.to_str()?.parse().ok()).unwrap_or(0)
    };
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut dirs: Vec<PathBuf> = installed.map(|entry| entry.path().join("bin")).collect();
    dirs.sort_by_key(|dir| std::cmp::Reverse(version(dir)));
    let initdb = find("initdb", dirs).expect(
        "PostgreSQL 15 or newer is not installed: on Debian, `apt-get install postgresql`; \
         `cargo xtask test` does it as root",
    );
    initdb.parent().expect("a file is in a directory").to_owned()
}
