//! A commit's way through the floor: running, fetch, check out, sandbox, success. Git and the
//! sandbox get the fewest steps and options with which the result is the same.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};
use tokio::process::Command;
use tokio::sync::{Mutex, Semaphore};

use crate::load::Connection;

/// Commits that are worked on at the same time; the bot gets as many slots.
pub(crate) const LANES: usize = 4;

const ADDRESS: &str = "FLOOR_GITLAB";
const PROJECT: &str = "FLOOR_PROJECT";
const GIT_URL: &str = "FLOOR_GIT_URL";
const AUTHORIZATION: &str = "FLOOR_AUTHORIZATION";
const TOKEN: &str = "FLOOR_TOKEN";

/// Where commits come from and statuses go to.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) gitlab: SocketAddr,
    pub(crate) project: u64,
    pub(crate) git_url: String,
    /// Header for git; of the simulator's own user, so it is no secret of anybody.
    pub(crate) authorization: String,
    pub(crate) token: String,
}

impl Source {
    pub(super) fn variables(&self) -> [(&'static str, String); 5] {
        [
            (ADDRESS, self.gitlab.to_string()),
            (PROJECT, self.project.to_string()),
            (GIT_URL, self.git_url.clone()),
            (AUTHORIZATION, self.authorization.clone()),
            (TOKEN, self.token.clone()),
        ]
    }

    pub(super) fn from_environment() -> Option<Self> {
        let value = |name| std::env::var(name).ok();
        Some(Self {
            gitlab: value(ADDRESS)?.parse().ok()?,
            project: value(PROJECT)?.parse().ok()?,
            git_url: value(GIT_URL)?,
            authorization: value(AUTHORIZATION)?,
            token: value(TOKEN)?,
        })
    }
}

/// The lanes and the mirror they share.
pub(super) struct Lanes {
    source: Source,
    dir: PathBuf,
    mirror: PathBuf,
    free: Semaphore,
    connections: Mutex<Vec<Connection>>,
    count: AtomicU64,
}

impl Lanes {
    pub(super) async fn open(dir: &Path, source: Source) -> Result<Self> {
        let mirror = dir.join("mirror");
        run(Command::new("git").args(["init", "--quiet", "--bare", "--template="]).arg(&mirror))
            .await?;
        let (free, connections) = (Semaphore::new(LANES), Mutex::default());
        let count = AtomicU64::new(0);
        let lanes = Self { source, dir: dir.to_owned(), mirror, free, connections, count };
        // The history is there, as in any mirror that was used before.
        fetch(&lanes.mirror, &lanes.source, "refs/heads/main:refs/floor/main").await?;
        Ok(lanes)
    }

    pub(super) async fn take(&self, sha: &str) -> Result<()> {
        let _free = self.free.acquire().await?;
        self.report(sha, "running").await?;
        if !self.has(sha).await {
            fetch(&self.mirror, &self.source, sha).await?;
        }
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let tree = self.dir.join(format!("tree-{number}"));
        tokio::fs::create_dir(&tree).await?;
        self.check_out(sha, &tree, number).await?;
        sandbox(&tree).await?;
        self.report(sha, "success").await
    }

    async fn report(&self, sha: &str, state: &str) -> Result<()> {
        let Source { gitlab, project, token, .. } = &self.source;
        let body = format!(r#"{{"state":"{state}","name":"floor"}}"#);
        let request = format!(
            "POST /api/v4/projects/{project}/statuses/{sha} HTTP/1.1\r\nHost: {gitlab}\r\n\
             PRIVATE-TOKEN: {token}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let idle = self.connections.lock().await.pop();
        let reused = match idle {
            // The server may have closed it meanwhile.
            Some(mut idle) => idle.exchange(request.as_bytes()).await.ok().map(|s| (idle, s)),
            None => None,
        };
        let (connection, status) = if let Some(answered) = reused {
            answered
        } else {
            let mut fresh = Connection::open(*gitlab).await?;
            let status = fresh.exchange(request.as_bytes()).await?;
            (fresh, status)
        };
        if status != 201 {
            bail!("the status was answered {status}");
        }
        self.connections.lock().await.push(connection);
        Ok(())
    }

    /// A loose object is a file; packed ones are asked for only when there is none.
    async fn has(&self, sha: &str) -> bool {
        let (dir, file) = sha.split_at(2.min(sha.len()));
        tokio::fs::try_exists(self.mirror.join("objects").join(dir).join(file))
            .await
            .unwrap_or(false)
    }

    async fn check_out(&self, sha: &str, tree: &Path, number: u64) -> Result<()> {
        let mut git = git(&self.mirror, &self.source);
        git.env("GIT_INDEX_FILE", self.dir.join(format!("index-{number}")))
            .env("GIT_WORK_TREE", tree)
            .args(["read-tree", "-u", "--reset", sha]);
        run(&mut git).await
    }
}

/// Brings a commit into the mirror of the floor in `dir`, so that its lane need not.
pub(crate) async fn prefetch(dir: &Path, source: &Source, sha: &str) -> Result<()> {
    fetch(&dir.join("mirror"), source, sha).await
}

async fn fetch(mirror: &Path, source: &Source, what: &str) -> Result<()> {
    let mut git = git(mirror, source);
    git.args(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head"]).args([
        "--no-auto-maintenance",
        &source.git_url,
        what,
    ]);
    run(&mut git).await
}

fn git(mirror: &Path, source: &Source) -> Command {
    let mut git = Command::new("git");
    git.env("GIT_DIR", mirror)
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "http.extraHeader")
        .env("GIT_CONFIG_VALUE_0", &source.authorization);
    git
}

async fn sandbox(tree: &Path) -> Result<()> {
    let mut bwrap = Command::new("bwrap");
    bwrap.args(["--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr"]);
    for link in ["bin", "lib", "lib64"] {
        let target = format!("usr/{link}");
        bwrap.args(["--symlink", &target, &format!("/{link}")]);
    }
    bwrap.args(["--proc", "/proc", "--dev", "/dev", "--bind"]).arg(tree);
    run(bwrap.args(["/work", "--chdir", "/work", "true"])).await
}

async fn run(command: &mut Command) -> Result<()> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let output = command.output().await.with_context(|| format!("{program} does not start"))?;
    if !output.status.success() {
        bail!("{program} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
