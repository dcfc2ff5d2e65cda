//! A project's bare repository, driven by the `git` program.
//! Called with the state locked, so every call must be short; fetching and cloning by the bot
//! goes through `http::git_backend` instead and takes no lock.

mod conversation;
mod inspect;
mod write;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use conversation::Conversations;
pub(crate) use inspect::{Commit, DiffEntry};
pub(crate) use write::Signature;

use crate::error::SimError;

/// What GitLab writes where a branch or tag did not exist before, or does not any more.
pub(crate) const ZERO_SHA: &str = "0000000000000000000000000000000000000000";

/// One bare repository.
#[derive(Debug, Clone)]
pub(crate) struct Repo {
    dir: PathBuf,
    /// Commits known to exist. They never go away, as nothing is pruned.
    known: Arc<Mutex<BTreeMap<String, Option<Commit>>>>,
    conversations: Arc<Conversations>,
}

impl Repo {
    /// Makes an empty repository whose HEAD is `main`.
    pub(crate) fn init(dir: PathBuf) -> Result<Self, SimError> {
        let repo = Self { dir, known: Arc::default(), conversations: Arc::default() };
        let dir = repo.dir.display().to_string();
        run(Path::new("."), &["init", "-q", "--bare", "-b", "main", &dir], b"")?;
        repo.configure()?;
        Ok(repo)
    }

    /// Copies branches and tags of `from`, as forking does.
    pub(crate) fn fork(from: &Self, dir: PathBuf) -> Result<Self, SimError> {
        let repo = Self { dir, known: Arc::default(), conversations: Arc::default() };
        let (source, target) = (from.dir.display().to_string(), repo.dir.display().to_string());
        run(Path::new("."), &["clone", "-q", "--bare", "--no-local", &source, &target], b"")?;
        repo.configure()?;
        Ok(repo)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// GitLab serves any commit it has by its sha, and hides its own bookkeeping refs.
    fn configure(&self) -> Result<(), SimError> {
        let settings = "\n[uploadpack]\n\tallowAnySHA1InWant = true\n\
             [transfer]\n\thideRefs = refs/simulator\n\
             [http]\n\treceivepack = true\n\
             [receive]\n\tautogc = false\n[gc]\n\tauto = 0\n";
        let path = self.dir.join("config");
        let appended = std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(settings.as_bytes()));
        appended.map_err(|error| SimError::Start(format!("{}: {error}", path.display())))
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Option<Commit>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Output of a git command in this repository; an error if it exits with a failure.
    pub(super) fn git(&self, args: &[&str]) -> Result<Vec<u8>, SimError> {
        run(&self.dir, args, b"")
    }

    pub(super) fn git_text(&self, args: &[&str]) -> Result<String, SimError> {
        Ok(String::from_utf8_lossy(&self.git(args)?).trim_end().to_owned())
    }

    pub(super) fn git_with_input(&self, args: &[&str], input: &[u8]) -> Result<Vec<u8>, SimError> {
        run(&self.dir, args, input)
    }
}

/// Git with neither the user's nor the machine's settings.
fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(dir)
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(dir: &Path, args: &[&str], input: &[u8]) -> Result<Vec<u8>, SimError> {
    let name = args.first().copied().unwrap_or_default();
    let failed = |detail: String| SimError::Git { command: name.to_owned(), detail };
    let mut child = command(dir, args).spawn().map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that answers without reading its input closes the pipe; its exit code tells.
        let _ = stdin.write_all(input);
    }
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let tail: Vec<&str> = text.trim_end().lines().rev().take(3).collect();
    Err(failed(tail.into_iter().rev().collect::<Vec<_>>().join("; ")))
}
