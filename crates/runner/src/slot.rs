//! The slots: each claims a run, executes it, and claims the next.
//!
//! Called by the binary. [`Slot::step`] is one turn, for tests to drain; the loop is written once,
//! in [`Runner::run`]. Hints only shorten the wait: without them every slot looks by itself.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::Duration;

use aldis_protocol::{ClaimRequest, Commit, DispatchError, Dispatcher};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::clock::{any_number, since_boot};
use crate::executor::{Bubblewrap, Parts};
use crate::job;
use crate::limits::Cage;
use crate::preflight::{Capabilities, PreflightError};
use crate::room::{self, GivenAway};
use crate::settings::{Settings, User};
use crate::workspace::{self, Git, Mirrors, Wanted};

/// What a turn of a slot did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Nothing was due.
    Idle,
    /// Nothing was asked for: a run would find no room on the disk.
    NoRoom,
    /// A run was executed, or its lease lost.
    Ran,
}

/// How far the runner is to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    No,
    /// Claim nothing more; what runs may finish.
    Drain,
    /// End test runs and hand them back, for other runners or another day. Tracked runs may finish.
    HandBack,
    /// End tracked runs as well, as canceled: nobody may begin them twice.
    Cancel,
}

/// What all slots share.
pub(crate) struct Shared<D> {
    pub(crate) dispatcher: D,
    pub(crate) settings: Settings,
    pub(crate) capabilities: Capabilities,
    pub(crate) git: Git,
    pub(crate) mirrors: Mirrors,
    pub(crate) given_away: GivenAway,
    /// Held as long as the runner lives: two runners in one directory would sweep each other's runs.
    _lock: File,
}

/// A runner: settings, mirrors and as many slots as the settings say.
pub struct Runner<D> {
    shared: Arc<Shared<D>>,
    wake: Arc<Notify>,
}

/// One slot. Executes one run at a time.
pub struct Slot<D> {
    pub(crate) shared: Arc<Shared<D>>,
    pub(crate) user: Option<User>,
    pub(crate) cage: Cage,
    /// `None` where the server's executor is the shell.
    pub(crate) bubblewrap: Option<Bubblewrap>,
    /// For the next slot.
    wake: Arc<Notify>,
    /// What is asked for until there is an answer.
    wish: ClaimRequest,
}

impl<D: Dispatcher> Runner<D> {
    /// Takes the work directory and deletes what former lives left in it. `wake` is rung when runs
    /// may be due; one slot looks, and wakes the next if there was one.
    pub fn new(
        dispatcher: D,
        wake: Arc<Notify>,
        settings: Settings,
        capabilities: Capabilities,
    ) -> Result<Self, PreflightError> {
        let dir = &capabilities.work_dir;
        let unusable = |reason: String| PreflightError::DataDir { path: dir.clone(), reason };
        let lock = lock(dir).map_err(&unusable)?;
        let prepare = || -> std::io::Result<Git> {
            // Only the runner and its slots may walk in: mirrors hold private code.
            let slots = capabilities.slot_user(&settings, 0).map(|user| User { uid: 0, ..user });
            for name in ["mirrors", "runs", "slots"] {
                workspace::ensure_dir(&dir.join(name), 0o710, slots)?;
            }
            workspace::ensure_dir(&dir.join("git"), 0o700, None)?;
            workspace::sweep_mirrors(&dir.join("mirrors"))?;
            workspace::sweep(&dir.join("runs"))?;
            workspace::spread(&dir.join("runs"))?;
            Git::new(capabilities.git_program.clone(), dir.join("git"))
        };
        let git = prepare().map_err(|error| unusable(error.to_string()))?;
        let mirrors = Mirrors::new(git.clone(), dir.join("mirrors"), settings.fetch_pause);
        let given_away = GivenAway::default();
        let shared =
            Shared { dispatcher, settings, capabilities, git, mirrors, given_away, _lock: lock };
        Ok(Self { shared: Arc::new(shared), wake })
    }

    /// Makes slot `number`, from 0.
    pub fn slot(&self, number: u16) -> std::io::Result<Slot<D>> {
        let Shared { settings, capabilities, .. } = &*self.shared;
        let user = capabilities.slot_user(settings, number);
        let cage = Cage::new(&capabilities.mechanism, number, settings.limits)?;
        let dir = capabilities.work_dir.join("slots").join(number.to_string());
        workspace::ensure_dir(&dir, 0o711, None)?;
        let make = |bwrap| {
            Bubblewrap::new(Parts {
                programs: &capabilities.programs,
                bwrap,
                dir: &dir,
                user,
                cage: cage.clone(),
                has_network: capabilities.has_network,
                can_disable_userns: capabilities.can_disable_userns,
                expose: &settings.expose,
            })
        };
        let bubblewrap = capabilities.bwrap.as_deref().map(make).transpose()?;
        Ok(Slot {
            shared: Arc::clone(&self.shared),
            user,
            cage,
            bubblewrap,
            wake: Arc::clone(&self.wake),
            wish: wish(format!("{}/{number}", settings.name)),
        })
    }

    /// Works until `stop` says otherwise; resolves when every slot has ended. Must stay on a
    /// multi-threaded runtime's workers: sandboxes die with the thread that started them.
    pub async fn run(self, stop: watch::Receiver<Stop>) -> std::io::Result<()> {
        let mut slots = JoinSet::new();
        for number in 0..self.shared.settings.slots {
            let slot = self.slot(number)?;
            slots.spawn(work(slot, Arc::clone(&self.wake), stop.clone()));
        }
        let all_ended = async {
            while let Some(ended) = slots.join_next().await {
                ended.map_err(std::io::Error::other)?;
            }
            Ok(())
        };
        tokio::select! {
            ended = all_ended => ended,
            never = self.fetch_ahead() => match never {},
        }
    }

    /// Brings commits into their mirrors before a run asks for them.
    async fn fetch_ahead(&self) -> std::convert::Infallible {
        let Shared { dispatcher, mirrors, .. } = &*self.shared;
        let mut after = None;
        loop {
            let announced = dispatcher.announced(after).await;
            after = Some(announced.upto);
            for Commit { project, sha, git_ref, source } in announced.commits {
                mirrors.open(project).fetch_ahead(Wanted { sha, git_ref, source });
            }
        }
    }
}

/// What no slot has asked for before.
fn wish(runner: String) -> ClaimRequest {
    let id = format!("{:016x}{:016x}", any_number(), any_number());
    ClaimRequest { runner, id, again: false }
}

fn lock(dir: &std::path::Path) -> Result<File, String> {
    // Nobody else may open it: whoever can, can lock it.
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(dir.join("runner.lock"))
        .map_err(|error| error.to_string())?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| "another runner works in it; give each its own ALDIS_DATA_DIR".to_owned())?;
    Ok(file)
}

/// How long a slot that has nothing more to do leaves the processor to those who tell of its last
/// run, before it prepares the next sandbox.
const BREATH: Duration = Duration::from_millis(100);

/// Between two looks whether there is room again.
const WITHOUT_ROOM: Duration = Duration::from_secs(15);

/// A slot's loop.
async fn work<D: Dispatcher>(
    mut slot: Slot<D>,
    wake: Arc<Notify>,
    mut stop: watch::Receiver<Stop>,
) {
    let poll = slot.shared.settings.poll;
    let (mut ran, mut has_room) = (false, true);
    while *stop.borrow() == Stop::No {
        if !ran && has_room {
            slot.warm_up().await;
        }
        // Listening begins before the look, so that no hint falls between the two.
        let hint = wake.notified();
        tokio::pin!(hint);
        hint.as_mut().enable();
        let turn = slot.step(&stop).await;
        if has_room && turn == Ok(Turn::NoRoom) {
            let dir = slot.shared.capabilities.work_dir.display();
            tracing::warn!(slot = slot.wish.runner, %dir, "no room: no run is taken until there is");
        }
        has_room = turn != Ok(Turn::NoRoom);
        let pause = match turn {
            Ok(Turn::Ran) => {
                ran = true;
                continue;
            }
            Ok(Turn::Idle) if ran => BREATH,
            Ok(Turn::Idle) => jittered(poll),
            Ok(Turn::NoRoom) => jittered(WITHOUT_ROOM),
            Err(error) => {
                tracing::warn!(slot = slot.wish.runner, %error, "cannot claim");
                jittered(poll)
            }
        };
        ran = false;
        tokio::select! {
            () = &mut hint, if has_room => {}
            () = tokio::time::sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop != Stop::No) => {}
        }
    }
}

/// Between 3/4 and 5/4 of `length`.
fn jittered(length: Duration) -> Duration {
    let part = u32::try_from(any_number() % 1024).unwrap_or(0);
    length * 3 / 4 + length / 2 * part / 1024
}

impl<D: Dispatcher> Slot<D> {
    /// Prepares the next step's sandbox, so that a claimed run need not wait for it. Optional.
    pub async fn warm_up(&mut self) {
        if let Some(bubblewrap) = &mut self.bubblewrap
            && let Err(error) = bubblewrap.prepare().await
        {
            tracing::warn!(slot = self.wish.runner, %error, "cannot prepare a sandbox");
        }
    }

    /// One turn: claims, and executes what was claimed to its end. An error is the claim's, and
    /// means: later.
    pub async fn step(&mut self, stop: &watch::Receiver<Stop>) -> Result<Turn, DispatchError> {
        // A run whose claim was not answered may be this slot's already.
        if !self.wish.again && room::is_used_up(&self.shared.capabilities.work_dir) {
            return Ok(Turn::NoRoom);
        }
        let claimed_at = since_boot();
        let asked = self.wish.clone();
        self.wish.again = true;
        let claimed = self.shared.dispatcher.claim(asked).await?;
        self.wish = wish(std::mem::take(&mut self.wish.runner));
        let Some(assignment) = claimed else { return Ok(Turn::Idle) };
        self.wake.notify_one();
        let ticket = assignment.ticket.clone();
        tracing::info!(run = %ticket.run, epoch = ticket.epoch, slot = self.wish.runner, "run claimed");
        job::execute(self, assignment, claimed_at, stop.clone()).await;
        Ok(Turn::Ran)
    }
}
