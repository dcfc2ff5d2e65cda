//! A running story, and waiting in it without fixed sleeps.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicI32;
use std::time::{Duration, Instant};

use aldis::bot::Bot;
use aldis_domain::event::Event;
use aldis_domain::touch::WorkKind;
use aldis_gitlab_sim::{ProjectId, Simulator, UserId};
use tempfile::TempDir;

use crate::setup::Setup;

/// Longest wait for anything, for slow machines.
const PATIENCE: Duration = Duration::from_mins(2);
/// Work that is due later than this does not count as unfinished.
const SOON: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(15);

/// The bot, the GitLab beside it, and one project with the developer alice.
pub struct Story {
    pub bot: Bot,
    pub sim: Simulator,
    pub project: ProjectId,
    pub alice: UserId,
    /// The bot's own user.
    pub bot_user: UserId,
    /// With which it calls the API.
    pub api_token: String,
    pub(crate) setup: Setup,
    /// Comments that a story had the bot's user write.
    pub(crate) own_comments: AtomicI32,
    /// Commits by name.
    pub(crate) names: Mutex<BTreeMap<String, String>>,
    /// The bot's data; removed at the end.
    pub(crate) dir: TempDir,
}

impl Story {
    /// The usual beginning.
    pub async fn start() -> Self {
        Setup::USUAL.start().await
    }

    /// Waits until every delivery is delivered and nothing is under way or due soon.
    pub async fn settle(&self) {
        self.until("nothing is left to do", async || self.at_rest(false).await).await;
    }

    /// The same, but runs that have begun may go on.
    pub async fn settle_but_runs(&self) {
        self.until("only runs go on", async || self.at_rest(true).await).await;
    }

    /// Waits until something that a person can see is so.
    pub async fn until_seen(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        self.until(what, async || is_so(self)).await;
    }

    /// Waits for a condition; panics with `what` and the timeline if it does not come true.
    pub async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        self.until_some(what, async || is_so().await.then_some(())).await;
    }

    /// What is left to do, kind by kind.
    async fn left(&self) -> String {
        let mut left = String::new();
        for kind in WorkKind::ALL {
            let backlog = self.bot.store.backlog(kind).await;
            let next = self.bot.store.next_due(kind).await;
            left += &format!("{}: {backlog:?}, next due {next:?}\n", kind.as_str());
        }
        left
    }

    /// Waits for something to be there; panics as [`Story::until`].
    pub async fn until_some<T>(&self, what: &str, find: impl AsyncFn() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = find().await {
                return found;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "waited too long until {what}; the timeline is\n{}\n{}",
                self.timeline(),
                self.left().await
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn at_rest(&self, runs_may_go_on: bool) -> bool {
        let idle = tokio::time::timeout(PATIENCE, self.sim.deliveries_idle());
        assert!(idle.await.is_ok(), "deliveries do not come to an end");
        if self.has_spooled() {
            return false;
        }
        let sent = self.attempts();
        let runs = if runs_may_go_on { self.runs_under_way().await } else { 0 };
        match aldis::rest::at_rest(&self.bot.store, SOON, runs).await {
            Ok(at_rest) => at_rest && self.attempts() == sent,
            Err(error) if error.is_retryable() => false,
            Err(error) => panic!("the store cannot be read: {error}"),
        }
    }

    /// Whether deliveries wait for the store, as on a machine so busy that the database took too long.
    fn has_spooled(&self) -> bool {
        let files = std::fs::read_dir(self.dir.path().join("spool")).into_iter().flatten();
        files.flatten().any(|file| file.path().extension().is_some_and(|kind| kind == "spool"))
    }

    fn attempts(&self) -> (usize, usize) {
        let deliveries = self.sim.deliveries();
        (deliveries.len(), deliveries.iter().map(|d| d.attempts.len()).sum())
    }

    async fn runs_under_way(&self) -> u64 {
        let mut under_way = std::collections::BTreeSet::new();
        for (stream, event) in self.log().await {
            match event {
                Event::AttemptStarted(_) => drop(under_way.insert(stream)),
                Event::RunFinished(_) | Event::AttemptLost(_) => drop(under_way.remove(&stream)),
                _ => {}
            }
        }
        under_way.len() as u64
    }

    /// The whole log: stream and event.
    pub async fn log(&self) -> Vec<(String, Event)> {
        let mut log = Vec::new();
        let mut after = 0;
        loop {
            let batch = self.bot.store.read(after, 1_000).await.expect("the log can be read");
            let Some(last) = batch.last() else { return log };
            after = last.position;
            let events = batch.into_iter().map(|envelope| {
                let event = envelope.event().expect("an event of this version");
                (envelope.stream, event)
            });
            log.extend(events);
        }
    }

    pub(crate) async fn stop(self) {
        let Self { bot, sim, dir, .. } = self;
        bot.stop().await;
        sim.stop().await;
        dir.close().expect("the data directory can be removed");
    }
}
