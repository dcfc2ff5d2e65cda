//! Starts git with an environment and settings that no user, system or repository can bend.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use aldis_domain::id::Sha;
use aldis_protocol::Source;
use secrecy::ExposeSecret;
use tokio::process::Command;

use super::{WorkspaceError, askpass};
use crate::programs::{command_as, stand_back};
use crate::room;
use crate::settings::User;

/// The system's certificates, where distributions keep them.
const SYSTEM_CERTIFICATES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Proxies are the operator's business: git gets them as the runner has them.
const PROXIES: [&str; 7] =
    ["http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"];

/// Credentials go with the first request (git 2.46 and newer; older ones wait for a 401), and only
/// the token is asked for.
const FIRST_REQUEST: [(&str, &str); 4] = [
    ("GIT_CONFIG_COUNT", "2"),
    ("GIT_CONFIG_KEY_0", "http.proactiveAuth"),
    ("GIT_CONFIG_VALUE_0", "basic"),
    ("GIT_CONFIG_KEY_1", "credential.username"),
];

/// The git program and what every call of it shares.
#[derive(Debug, Clone)]
pub(crate) struct Git {
    program: PathBuf,
    askpass: PathBuf,
    /// Private to the runner's user.
    dir: PathBuf,
    proxies: Vec<(&'static str, std::ffi::OsString)>,
}

impl Git {
    /// `dir` is an existing directory that only the runner's user can enter.
    pub(crate) fn new(program: PathBuf, dir: PathBuf) -> std::io::Result<Self> {
        let askpass = askpass::install(&dir)?;
        let proxies = PROXIES
            .into_iter()
            .filter_map(|name| std::env::var_os(name).map(|value| (name, value)))
            .collect();
        Ok(Self { program, askpass, dir, proxies })
    }

    /// A git command without any credential.
    pub(crate) fn command(&self) -> Command {
        self.command_as(None)
    }

    /// As [`Git::command`], run by `user`.
    pub(crate) fn command_as(&self, user: Option<User>) -> Command {
        let mut command = command_as(user, &self.program);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", "/nonexistent")
            .env("LC_ALL", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_LFS_SKIP_SMUDGE", "1")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        for setting in [
            "core.hooksPath=/dev/null",
            "core.sharedRepository=0644",
            "gc.auto=0",
            "maintenance.auto=false",
            "safe.directory=*",
        ] {
            command.args(["-c", setting]);
        }
        command
    }

    /// A git command that may talk to `source`, and to nothing else.
    pub(crate) fn remote_command(&self, source: &Source) -> Result<Command, WorkspaceError> {
        let mut command = self.command();
        let allowed = if source.url.starts_with("file://") { "file" } else { "http:https" };
        command
            .env("GIT_ALLOW_PROTOCOL", allowed)
            .env("GIT_ASKPASS", &self.askpass)
            .env(askpass::TOKEN, source.token.expose_secret())
            .envs(FIRST_REQUEST)
            .env("GIT_CONFIG_VALUE_1", &source.user)
            .envs(self.proxies.iter().map(|(name, value)| (name, value)));
        for setting in [
            "credential.helper=",
            "http.followRedirects=false",
            "http.lowSpeedLimit=1000",
            "http.lowSpeedTime=60",
            "fetch.recurseSubmodules=false",
            "protocol.version=2",
        ] {
            command.args(["-c", setting]);
        }
        if !source.verify_tls {
            command.args(["-c", "http.sslVerify=false"]);
        }
        if let Some(file) = &source.ca_file {
            let bundle = self.bundle(file).map_err(|error| {
                WorkspaceError::Local(format!(
                    "cannot read the CA file of this GitLab: {error}; check GITLAB_CA_FILE"
                ))
            })?;
            command.arg("-c").arg(format!("http.sslCAInfo={}", bundle.display()));
        }
        Ok(command)
    }

    /// One file with the operator's CA and the system's: git takes only one.
    fn bundle(&self, ca_file: &str) -> std::io::Result<PathBuf> {
        let mut pem = std::fs::read(ca_file)?;
        let system = SYSTEM_CERTIFICATES.iter().find_map(|path| std::fs::read(path).ok());
        pem.push(b'\n');
        pem.extend(system.unwrap_or_default());
        let path = self.dir.join("ca-bundle.pem");
        if std::fs::read(&path).ok().as_ref() != Some(&pem) {
            let fresh = self.dir.join(format!("ca-bundle.{:x}", crate::clock::any_number()));
            std::fs::write(&fresh, &pem)?;
            std::fs::rename(&fresh, &path)?;
        }
        Ok(path)
    }

    /// Makes an empty mirror for commits whose names are as long as `sha`.
    pub(crate) async fn init_mirror(&self, dir: &Path, sha: &Sha) -> Result<(), WorkspaceError> {
        let mut command = self.command();
        let format = if sha.as_str().len() == 64 { "sha256" } else { "sha1" };
        command
            .args(["init", "--quiet", "--bare", "--template=", "--object-format", format, "--"])
            .arg(dir);
        run(command).await.map_err(|failure| {
            WorkspaceError::Local(format!(
                "cannot make a mirror: {}; check the runner's data directory",
                failure.last_line()
            ))
        })
    }
}

/// A git command that failed.
#[derive(Debug)]
pub(crate) struct GitFailure {
    /// What git said, in English. May quote the URL, which bears no secret.
    pub(crate) words: String,
}

impl GitFailure {
    /// The line that says most, without control characters, at most 300 characters.
    pub(crate) fn last_line(&self) -> String {
        let lines = || self.words.lines().filter(|line| !line.trim().is_empty());
        let line = lines().find(|line| line.starts_with("fatal:")).or_else(|| lines().next_back());
        plain(line.unwrap_or("git said nothing"))
    }

    /// What it says of a disk of this machine that is full. The server's may be as well.
    pub(crate) fn no_room(&self) -> Option<String> {
        let mut own = self.words.lines().filter(|line| !line.starts_with("remote:"));
        own.find(|line| room::is_told_by(line)).map(plain)
    }
}

fn plain(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).take(300).collect()
}

/// Runs a git command to its end.
pub(crate) async fn run(mut command: Command) -> Result<(), GitFailure> {
    let ended = async {
        let child = command.spawn()?;
        stand_back(&child);
        child.wait_with_output().await
    };
    match ended.await {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            Err(GitFailure { words: String::from_utf8_lossy(&output.stderr).into_owned() })
        }
        Err(error) => {
            Err(GitFailure { words: format!("fatal: git could not be started: {error}") })
        }
    }
}
