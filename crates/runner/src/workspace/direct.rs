//! A fetch in one request, without git's own transport.
//!
//! `git fetch` starts four programs, makes a connection, and asks twice before the pack comes. Where
//! a mirror has the history and lacks a few commits, the request is known beforehand: it goes
//! through a connection that is kept, and git only unpacks. Whoever calls this must go on with
//! `git fetch` when it fails, for whatever reason. See
//! `docs/adr/0015-few-commits-are-fetched-in-one-request.md`.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aldis_protocol::Source;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder, Response, Url};
use secrecy::ExposeSecret;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin};

use super::git::Git;
use super::upload_pack::{Answer, Odd, objects, request};
use crate::programs::stand_back;
use crate::remote::{self, RemoteError};

/// Silence in the middle of an answer, as for `git fetch`.
const SILENCE: Duration = Duration::from_mins(1);
/// What takes longer is not few commits.
const LONGEST: Duration = Duration::from_mins(10);
/// Smaller packs become loose objects, as `fetch.unpackLimit` of git has it: they are found without
/// a process.
const LOOSE: u32 = 100;
const ASKS: &str = "application/x-git-upload-pack-request";
const ANSWERS: &str = "application/x-git-upload-pack-result";

/// Keeps connections. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Direct {
    clients: Arc<Mutex<HashMap<Trust, Client>>>,
}

/// Connections are shared by those who trust the same: scheme, CA file, whether to look at all.
type Trust = (String, Option<String>, bool);

/// Why it did not work. `git fetch` will say it better.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The mirror knows no commit, or git speaks to something else than HTTP.
    #[error("there is nothing to begin with")]
    NoBase,
    #[error(transparent)]
    Client(#[from] RemoteError),
    #[error("{0}")]
    Http(String),
    #[error("the answer is {0}")]
    Answer(String),
    #[error(transparent)]
    Odd(#[from] Odd),
    #[error("git could not unpack: {0}")]
    Git(String),
    #[error("it takes longer than {} minutes", LONGEST.as_secs() / 60)]
    Long,
}

impl From<reqwest::Error> for Trouble {
    fn from(error: reqwest::Error) -> Self {
        Self::Http(remote::reason(error))
    }
}

impl Direct {
    /// Fetches commits into a mirror that has some of the project's.
    pub(crate) async fn fetch(
        &self,
        git: &Git,
        mirror: &Path,
        source: &Source,
        shas: &[&str],
    ) -> Result<(), Trouble> {
        let have = remembered(mirror);
        let url = Url::parse(&format!("{}/git-upload-pack", source.url)).ok();
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
        let (Some(url), false) = (url, have.is_empty()) else { return Err(Trouble::NoBase) };
        let asked = self
            .client(&url, source)?
            .post(url)
            .basic_auth(&source.user, Some(source.token.expose_secret()))
            .header("git-protocol", "version=2")
            .header(CONTENT_TYPE, ASKS)
            .header(ACCEPT, ANSWERS)
            .body(request(shas, &have));
        let fetched = tokio::time::timeout(LONGEST, receive(git, mirror, asked)).await;
        fetched.unwrap_or(Err(Trouble::Long))
    }

    fn client(&self, url: &Url, source: &Source) -> Result<Client, Trouble> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let trust = (url.scheme().to_owned(), source.ca_file.clone(), source.verify_tls);
        if let Some(client) = clients.get(&trust) {
            return Ok(client.clone());
        }
        let ca_file = source.ca_file.as_deref().map(Path::new);
        let client = remote::client(url, ca_file)?
            .danger_accept_invalid_certs(!source.verify_tls)
            .read_timeout(SILENCE)
            .build()?;
        clients.insert(trust, client.clone());
        Ok(client)
    }
}

/// Sends the request, and has git unpack the answer.
async fn receive(git: &Git, mirror: &Path, asked: RequestBuilder) -> Result<(), Trouble> {
    let answer = asked.send().await?;
    let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !answer.status().is_success() || kind != Some(ANSWERS) {
        return Err(Trouble::Answer(answer.status().to_string()));
    }
    unpack(git, mirror, answer).await
}

/// The newest commits that were fetched, with all they refer to.
fn remembered(mirror: &Path) -> Vec<String> {
    let refs = std::fs::read_dir(mirror.join("refs/aldis")).into_iter().flatten().flatten();
    let read = refs.filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
    let mut shas: Vec<String> = read.map(|sha| sha.trim().to_owned()).collect();
    shas.sort_unstable();
    shas.dedup();
    shas
}

/// Hands the pack to git as it comes.
async fn unpack(git: &Git, mirror: &Path, mut answer: Response) -> Result<(), Trouble> {
    let (mut reader, mut pack, mut unpacking) = (Answer::default(), Vec::new(), None);
    while let Some(bytes) = answer.chunk().await? {
        reader.take(&bytes, &mut pack)?;
        if unpacking.is_none()
            && let Some(objects) = objects(&pack)
        {
            unpacking = Some(Unpacking::start(git, mirror, objects)?);
        }
        if let Some(unpacking) = &mut unpacking {
            unpacking.feed(&mut pack).await;
        }
    }
    reader.end()?;
    match unpacking {
        Some(unpacking) => unpacking.end().await,
        None => Err(Odd::Cut.into()),
    }
}

/// Git, which reads a pack.
struct Unpacking {
    child: Child,
    stdin: ChildStdin,
}

impl Unpacking {
    fn start(git: &Git, mirror: &Path, objects: u32) -> Result<Self, Trouble> {
        let mut command = git.command();
        command.arg("--git-dir").arg(mirror).stdin(Stdio::piped());
        if objects < LOOSE {
            command.args(["unpack-objects", "-q"]);
        } else {
            command.args(["index-pack", "--stdin", "--fix-thin"]);
        }
        let failed = |error: std::io::Error| Trouble::Git(error.to_string());
        let mut child = command.spawn().map_err(failed)?;
        stand_back(&child);
        let stdin =
            child.stdin.take().ok_or_else(|| Trouble::Git("it reads nothing".to_owned()))?;
        Ok(Self { child, stdin })
    }

    async fn feed(&mut self, pack: &mut Vec<u8>) {
        // If it has ended it says why.
        let _ = self.stdin.write_all(pack).await;
        pack.clear();
    }

    async fn end(self) -> Result<(), Trouble> {
        drop(self.stdin);
        let output = self.child.wait_with_output().await;
        let output = output.map_err(|error| Trouble::Git(error.to_string()))?;
        if output.status.success() {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&output.stderr);
        Err(Trouble::Git(words.lines().next_back().unwrap_or_default().to_owned()))
    }
}
