//! One bare mirror per project, and one fetcher task per mirror that joins what waits.
//!
//! No ref is kept per commit: refs make every later fetch dearer. Eight slots in `refs/aldis/`
//! remember the newest commits, or git would have nothing to negotiate with and fetch all of the
//! history every time.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aldis_domain::id::{ProjectKey, Sha};
use aldis_protocol::Source;
use tokio::sync::{mpsc, oneshot};

use super::direct::{Direct, Trouble};
use super::git::{Git, run};
use super::leftovers::drop_scraps;
use super::upload_pack::Odd;
use super::{WorkspaceError, fetch};
use crate::room;

/// Refs that are kept, reused in a circle.
const REMEMBERED: usize = 8;
/// Fetched commits known without asking git; more are forgotten all at once.
const KNOWN: usize = 10_000;
/// Attempts at a fetch that meets network trouble.
const ATTEMPTS: u32 = 3;
/// A mirror without work for so long is packed, if it needs it.
const IDLE: Duration = Duration::from_mins(1);
/// Direct requests that fail, one after the other, where git then succeeds, before no more are made:
/// something between here and GitLab does not like them.
const VAIN: u32 = 3;
/// Loose objects in one of 256 directories from which packing pays, as in git's own `gc.auto`.
const LOOSE: usize = 27;

/// A commit that a run needs.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) sha: Sha,
    pub(crate) git_ref: String,
    pub(crate) source: Source,
}

/// All mirrors of this runner.
#[derive(Clone)]
pub(crate) struct Mirrors {
    git: Git,
    dir: PathBuf,
    pause: Duration,
    direct: Direct,
    open: Arc<Mutex<HashMap<ProjectKey, Arc<Mirror>>>>,
}

/// A project's mirror.
pub(crate) struct Mirror {
    /// The bare repository.
    pub(crate) dir: PathBuf,
    present: Present,
    queue: mpsc::UnboundedSender<Request>,
}

struct Request {
    wanted: Wanted,
    how: How,
    /// `None`: nobody waits for it yet.
    reply: Option<oneshot::Sender<Result<(), WorkspaceError>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    IfMissing,
    /// It seemed to be there and is not.
    Again,
    /// The mirror proved damaged: make a new one first.
    Renew,
}

/// Commits that are in the mirror.
#[derive(Clone)]
struct Present {
    objects: PathBuf,
    fetched: Arc<Mutex<HashSet<Sha>>>,
}

impl Mirrors {
    /// `pause` is how long to wait after the first network trouble.
    pub(crate) fn new(git: Git, dir: PathBuf, pause: Duration) -> Self {
        Self { git, dir, pause, direct: Direct::default(), open: Arc::default() }
    }

    /// The project's mirror; its fetcher starts with the first call. Must be called in a runtime.
    pub(crate) fn open(&self, project: ProjectKey) -> Arc<Mirror> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mirror = open.entry(project).or_insert_with(|| {
            let (queue, requests) = mpsc::unbounded_channel();
            let dir = self.dir.join(format!("{project}.git"));
            let present = Present { objects: dir.join("objects"), fetched: Arc::default() };
            let mirror = Arc::new(Mirror { dir: dir.clone(), present: present.clone(), queue });
            let (git, direct, pause) = (self.git.clone(), self.direct.clone(), self.pause);
            let fetcher = Fetcher { git, direct, in_vain: 0, dir, present, pause, next_ref: 0 };
            tokio::spawn(fetcher.serve(requests));
            mirror
        });
        Arc::clone(mirror)
    }
}

impl Mirror {
    /// Makes sure that the commit is there. Costs no process if it is.
    pub(crate) async fn need(&self, wanted: &Wanted) -> Result<(), WorkspaceError> {
        if self.present.has(&wanted.sha) {
            return Ok(());
        }
        self.ask(wanted, How::IfMissing).await
    }

    /// Fetches the commit with the next ones, if it is not there. Nobody hears of a failure: who
    /// needs the commit will ask for it.
    pub(crate) fn fetch_ahead(&self, wanted: Wanted) {
        if !self.present.has(&wanted.sha) && !room::is_used_up(&self.present.objects) {
            let _ = self.queue.send(Request { wanted, how: How::IfMissing, reply: None });
        }
    }

    /// Fetches although the commit seemed to be there; `renew` throws the mirror away first.
    pub(crate) async fn fetch_again(
        &self,
        wanted: &Wanted,
        renew: bool,
    ) -> Result<(), WorkspaceError> {
        self.present.fetched().remove(&wanted.sha);
        self.ask(wanted, if renew { How::Renew } else { How::Again }).await
    }

    async fn ask(&self, wanted: &Wanted, how: How) -> Result<(), WorkspaceError> {
        let (reply, answer) = oneshot::channel();
        let stopped = || WorkspaceError::Local("the runner is stopping".to_owned());
        let request = Request { wanted: wanted.clone(), how, reply: Some(reply) };
        self.queue.send(request).map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

impl Present {
    /// Costs no process. Packed commits of a former life are not seen.
    fn has(&self, sha: &Sha) -> bool {
        let (fan, rest) = sha.as_str().split_at(2);
        self.fetched().contains(sha) || self.objects.join(fan).join(rest).exists()
    }

    fn add(&self, sha: &Sha) {
        let mut fetched = self.fetched();
        if fetched.len() >= KNOWN {
            fetched.clear();
        }
        fetched.insert(sha.clone());
    }

    fn fetched(&self) -> std::sync::MutexGuard<'_, HashSet<Sha>> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Request {
    fn answer(self, result: Result<(), WorkspaceError>) {
        // Who asked may have gone.
        let _ = self.reply.map(|reply| reply.send(result));
    }
}

/// The only writer of a mirror.
struct Fetcher {
    git: Git,
    direct: Direct,
    /// Direct requests that failed, one after the other, where git then succeeded.
    in_vain: u32,
    dir: PathBuf,
    present: Present,
    pause: Duration,
    next_ref: usize,
}

impl Fetcher {
    async fn serve(mut self, mut requests: mpsc::UnboundedReceiver<Request>) {
        let mut fetched = false;
        loop {
            let first = match tokio::time::timeout(IDLE, requests.recv()).await {
                Ok(Some(request)) => request,
                Ok(None) => return,
                Err(_) => {
                    if std::mem::take(&mut fetched) {
                        self.pack().await;
                    }
                    continue;
                }
            };
            let mut batch = vec![first];
            while let Ok(request) = requests.try_recv() {
                batch.push(request);
            }
            fetched = true;
            self.answer(batch).await;
        }
    }

    async fn answer(&mut self, mut batch: Vec<Request>) {
        let renew = batch.iter().any(|request| request.how == How::Renew);
        let is_sound = batch.iter().all(|request| request.how == How::IfMissing);
        if !renew {
            // Fetched with the batch before, while these waited.
            let (present, missing): (Vec<_>, Vec<_>) = batch.into_iter().partition(|request| {
                request.how == How::IfMissing && self.present.has(&request.wanted.sha)
            });
            for request in present {
                request.answer(Ok(()));
            }
            batch = missing;
        }
        let mut shas: Vec<&str> = batch.iter().map(|request| request.wanted.sha.as_str()).collect();
        shas.sort_unstable();
        shas.dedup();
        let together = match &batch[..] {
            [] => return,
            [first, ..] if is_sound => self.fetch_new(&first.wanted, &shas).await,
            [first, ..] => self.fetch(&first.wanted, &shas, renew).await,
        };
        if let Err(WorkspaceError::NoRoom(_)) = together {
            drop_scraps(&self.dir);
        }
        // One of them spoils it for all, or the server wants to be asked by ref.
        let alone = batch.len() == 1;
        for request in batch {
            let result = match &together {
                Err(WorkspaceError::Gone) if request.reply.is_none() => continue,
                Err(WorkspaceError::Gone) => self.fetch_one(&request.wanted, alone).await,
                shared => shared.clone(),
            };
            if result.is_ok() {
                self.present.add(&request.wanted.sha);
            }
            request.answer(result);
        }
    }

    /// In one request if that works, else by git.
    async fn fetch_new(&mut self, wanted: &Wanted, shas: &[&str]) -> Result<(), WorkspaceError> {
        let mut is_vain = false;
        if self.in_vain < VAIN {
            match self.direct.fetch(&self.git, &self.dir, &wanted.source, shas).await {
                Ok(()) => {
                    self.in_vain = 0;
                    self.remember(shas);
                    return Ok(());
                }
                // Git itself will say which commit is gone.
                Err(Trouble::NoBase | Trouble::Odd(Odd::Refused(_))) => {}
                Err(why) => {
                    tracing::info!(mirror = %self.dir.display(), %why, "fetching by git itself");
                    is_vain = true;
                }
            }
        }
        let fetched = self.fetch(wanted, shas, false).await;
        // While GitLab is away nothing works, and that says nothing.
        self.in_vain += u32::from(is_vain && fetched.is_ok());
        fetched
    }

    /// By sha, unless that was `tried`, then by ref.
    async fn fetch_one(&mut self, wanted: &Wanted, tried: bool) -> Result<(), WorkspaceError> {
        if !tried {
            match self.fetch(wanted, &[wanted.sha.as_str()], false).await {
                Err(WorkspaceError::Gone) => {}
                other => return other,
            }
        }
        match fetch::fetch(&self.git, &self.dir, &wanted.source, &[&wanted.git_ref]).await {
            Ok(()) if fetch::has_commit(&self.git, &self.dir, &wanted.sha).await => Ok(()),
            Ok(()) | Err(WorkspaceError::Gone) => {
                let short = wanted.sha.short();
                Err(WorkspaceError::Refused(format!(
                    "commit {short} is no longer in the repository"
                )))
            }
            other => other,
        }
    }

    /// Fetches by sha, again after network trouble, into a new mirror if this one is damaged.
    async fn fetch(
        &mut self,
        wanted: &Wanted,
        shas: &[&str],
        renew: bool,
    ) -> Result<(), WorkspaceError> {
        if renew {
            self.set_aside().await?;
        }
        let mut pause = self.pause;
        let mut attempt = 1;
        let mut renewed = renew;
        loop {
            if !self.dir.join("HEAD").exists() {
                self.set_aside().await?;
                self.git.init_mirror(&self.dir, &wanted.sha).await?;
            }
            let result = fetch::fetch(&self.git, &self.dir, &wanted.source, shas).await;
            match result {
                Ok(()) => {
                    self.remember(shas);
                    return Ok(());
                }
                Err(WorkspaceError::Corrupt(why)) if !renewed => {
                    tracing::warn!(mirror = %self.dir.display(), %why, "cloning anew");
                    renewed = true;
                    self.set_aside().await?;
                }
                Err(WorkspaceError::Network(why)) if attempt < ATTEMPTS => {
                    tracing::warn!(%why, attempt, "fetching again");
                    tokio::time::sleep(pause).await;
                    pause *= 3;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Moves a damaged mirror away and deletes it. Runs that use it lose their history, not their
    /// files.
    async fn set_aside(&self) -> Result<(), WorkspaceError> {
        if !self.dir.exists() {
            return Ok(());
        }
        let aside = self.dir.with_extension(format!("old-{:x}", crate::clock::any_number()));
        std::fs::rename(&self.dir, &aside)
            .map_err(|error| WorkspaceError::local("replace a damaged mirror", &error))?;
        let _ = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(aside)).await;
        Ok(())
    }

    /// Keeps the newest commits as a base for later fetches. Losing one only makes a fetch dearer.
    fn remember(&mut self, shas: &[&str]) {
        let refs = self.dir.join("refs/aldis");
        let _ = std::fs::create_dir_all(&refs);
        for sha in shas.iter().rev().take(REMEMBERED) {
            let fresh = self.dir.join("aldis-ref");
            let path = refs.join(self.next_ref.to_string());
            self.next_ref = (self.next_ref + 1) % REMEMBERED;
            let written = std::fs::write(&fresh, format!("{sha}\n"))
                .and_then(|()| std::fs::rename(&fresh, &path));
            if let Err(error) = written {
                tracing::warn!(%error, "cannot remember a fetched commit");
            }
        }
    }

    /// Packs all objects, also those that nothing refers to: runs may be using them.
    async fn pack(&self) {
        let loose = std::fs::read_dir(self.dir.join("objects/17")).map_or(0, Iterator::count);
        if loose < LOOSE {
            return;
        }
        let mut command = self.git.command();
        command.arg("--git-dir").arg(&self.dir);
        command.args(["repack", "-a", "-d", "--keep-unreachable", "--quiet"]);
        if let Err(failure) = run(command).await {
            tracing::warn!(why = failure.last_line(), "cannot pack a mirror");
        }
    }
}
