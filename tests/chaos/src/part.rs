//! One process of the bot, with ways of its own, and what happened to it.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use aldis_tests::process::{Process, REMOTE, Site};
use tokio::sync::Mutex;

use crate::fault::{Link, Role};
use crate::way::Way;

/// Before a process that ended by itself is started again.
const PAUSE: Duration = Duration::from_secs(1);
/// Within this time a process ends that was asked to. What it runs may finish for so long …
pub(crate) const FAREWELL: Duration = Duration::from_secs(50);
/// … and is handed back then.
const RUNS_MAY_FINISH: &str = "5";
/// What a process says when it is at work: as a server, and as a runner.
const AT_WORK: [&str; 2] = ["Aldis listens on", "Aldis runner"];

/// Where the servers are, past all ways.
pub(crate) struct Servers {
    pub(crate) database: String,
    pub(crate) broker: String,
    pub(crate) gitlab: String,
}

pub(crate) struct Part {
    pub(crate) role: Role,
    pub(crate) site: Site,
    ways: BTreeMap<Link, Way>,
    life: Mutex<Life>,
    /// Held by a fault that takes the process away or lets it stand still: one at a time.
    pub(crate) hands: Mutex<()>,
    /// Held until the point is met that the process is to be killed at.
    pub(crate) pointed: Mutex<()>,
}

#[derive(Default)]
struct Life {
    process: Option<Process>,
    /// Where it is to be killed, until it was.
    point: Option<String>,
    /// Whether its end is our doing.
    struck: bool,
    /// Whether it was asked to end, and nobody waits for that.
    asked: bool,
    not_before: Option<Instant>,
    told: Told,
}

/// What happened to processes.
#[derive(Debug, Default, Clone)]
pub(crate) struct Told {
    /// `kill -9`, those at points included.
    pub(crate) kills: u64,
    /// Points at which it was killed.
    pub(crate) points: Vec<String>,
    /// Ends that nobody asked for, with their last words.
    pub(crate) own_ends: Vec<String>,
    /// Ends that were asked for and came late or went wrong.
    pub(crate) bad_ends: Vec<String>,
    /// The longest time between being asked and the end.
    pub(crate) longest_end: Duration,
    /// Panics, wherever they are told.
    pub(crate) panics: Vec<String>,
}

impl Part {
    /// A process of the server's, with ways of its own to all that it talks to.
    pub(crate) async fn server(
        role: Role,
        shared: &[(&str, String)],
        Servers { database, broker, gitlab }: &Servers,
        pages: &str,
        broker_away: bool,
    ) -> Self {
        let (database, broker) = (Way::before(database).await, Way::before(broker).await);
        if broker_away {
            broker.give_up();
        }
        let own = [
            ("ALDIS_DATABASE_URL", database.url()),
            ("ALDIS_AMQP_URL", broker.url()),
            ("ALDIS_BASE_URL", pages),
            ("ALDIS_STOP_TIMEOUT", RUNS_MAY_FINISH),
        ];
        let site = site(shared, own).part(role.flag());
        let ways = [(Link::Database, database), (Link::Broker, broker)].into();
        Self::new(role, site, ways, gitlab).await
    }

    /// A runner, with its way to the run queue.
    pub(crate) async fn runner(
        server: Way,
        gitlab: &str,
        token: &str,
        disk: Option<PathBuf>,
    ) -> Self {
        let own = [
            ("ALDIS_SERVER_URL", server.url()),
            ("ALDIS_RUNNER_TOKEN", token),
            ("ALDIS_STOP_TIMEOUT", RUNS_MAY_FINISH),
            ("ALDIS_LOG", "warn"),
        ];
        let disk = disk.map(|disk| ("ALDIS_DATA_DIR".to_owned(), disk.display().to_string()));
        let site = Site::new(&own).part(REMOTE).given(disk);
        Self::new(Role::Runner, site, [(Link::Server, server)].into(), gitlab).await
    }

    async fn new(role: Role, site: Site, mut ways: BTreeMap<Link, Way>, gitlab: &str) -> Self {
        let mut proxy = None;
        if role.calls_gitlab() {
            let way = Way::before(gitlab).await;
            proxy = Some(("http_proxy".to_owned(), way.url().to_owned()));
            ways.insert(Link::GitLab, way);
        }
        let (life, hands, pointed) = Default::default();
        Self { role, site: site.given(proxy), ways, life, hands, pointed }
    }

    /// Its own way, if it has one there.
    pub(crate) fn way(&self, link: Link) -> Option<&Way> {
        self.ways.get(&link)
    }

    /// Starts it, and waits until it is at work.
    pub(crate) async fn begin(&self) {
        self.life.lock().await.process = Some(self.site.start(None).await);
    }

    /// `kill -9`; it is started again after `down`, to be killed at `point`, if there is one.
    /// False: there was nothing to kill.
    pub(crate) async fn kill(&self, down: Duration, point: Option<&str>) -> bool {
        let mut life = self.life.lock().await;
        let Some(process) = life.living() else { return false };
        process.kill().await;
        life.struck = true;
        life.not_before = Some(Instant::now() + down);
        if let Some(point) = point {
            life.point = Some(point.to_owned());
        }
        true
    }

    /// `kill -9` from outside, at this point; it is started again at once. False: it had ended.
    pub(crate) async fn kill_at(&self, point: &str) -> bool {
        let mut life = self.life.lock().await;
        let Some(process) = life.living() else { return false };
        process.kill().await;
        let Some(status) = process.ended() else { return false };
        life.point = Some(point.to_owned());
        let own_end = life.bury(self.role, status);
        life.told.own_ends.extend(own_end);
        life.point.take().is_none()
    }

    /// SIGTERM; it is started again when it has ended. False: it was not at work.
    pub(crate) async fn ask_to_end(&self) -> bool {
        let mut life = self.life.lock().await;
        let Some(process) = life.at_work() else { return false };
        process.terminate();
        life.asked = true;
        true
    }

    /// Whether it was killed at this point.
    pub(crate) async fn met(&self, point: &str) -> bool {
        self.life.lock().await.told.points.iter().any(|met| met == point)
    }

    /// From now on it is not killed there.
    pub(crate) async fn spare(&self) {
        self.life.lock().await.point = None;
    }

    /// Whether it has said that it is at work, and lives.
    pub(crate) async fn is_at_work(&self) -> bool {
        self.life.lock().await.at_work().is_some()
    }

    /// False: it was not at work.
    pub(crate) async fn freeze(&self) -> bool {
        self.life.lock().await.at_work().inspect(|process| process.freeze()).is_some()
    }

    /// False: it is not the one that was frozen.
    pub(crate) async fn thaw(&self) -> bool {
        let mut life = self.life.lock().await;
        life.living().filter(|process| process.frozen()).inspect(|p| p.thaw()).is_some()
    }

    /// Asks it to end; it is started again at once. False: it was not at work, or was killed on its
    /// way out, at its point.
    pub(crate) async fn restart(&self) -> bool {
        self.life.lock().await.farewell(self.role).await
    }

    /// Starts it again if it has ended and is due.
    pub(crate) async fn look_after(&self, leaving: bool) {
        // Whoever holds it is about to change it.
        let Ok(mut life) = self.life.try_lock() else { return };
        let status = life.process.as_mut().and_then(Process::ended);
        if let Some(status) = status
            && let Some(end) = life.bury(self.role, status)
            && !leaving
        {
            life.told.own_ends.push(end);
            life.not_before = Some(Instant::now() + PAUSE);
        }
        let is_due = life.not_before.is_none_or(|at| at <= Instant::now());
        if life.process.is_none() && is_due && !leaving {
            life.process = Some(self.site.launch(life.point.as_deref()).await);
        }
    }

    /// Asks it to stop for good. What happened to it.
    pub(crate) async fn dismiss(&self) -> Told {
        let mut life = self.life.lock().await;
        if !life.farewell(self.role).await {
            life.told.bad_ends.push(format!("{} is not there to be asked to end", self.role));
        }
        std::mem::take(&mut life.told)
    }
}

impl Life {
    fn living(&mut self) -> Option<&mut Process> {
        let process = self.process.as_mut()?;
        process.ended().is_none().then_some(process)
    }

    fn at_work(&mut self) -> Option<&mut Process> {
        let is_ready = |process: &&mut Process| {
            let said = process.said();
            AT_WORK.iter().any(|ready| said.contains(ready))
        };
        self.living().filter(is_ready)
    }

    /// Asks it to end, and waits for that. False: as [`Part::restart`] has it.
    async fn farewell(&mut self, role: Role) -> bool {
        let Some(process) = self.at_work() else { return false };
        process.terminate();
        let asked = Instant::now();
        let Ok(status) = tokio::time::timeout(FAREWELL, process.end()).await else {
            process.kill().await;
            let words = process.said();
            let late = format!("{role} does not end within {FAREWELL:?}: {}", last_line(&words));
            self.told.bad_ends.push(late);
            self.struck = true;
            return true;
        };
        self.told.longest_end = self.told.longest_end.max(asked.elapsed());
        let end = self.bury(role, status);
        if !status.success() {
            // One that was killed at its point is asked again.
            self.told.bad_ends.extend(end);
        }
        status.signal() != Some(9)
    }

    /// Takes note of an end. What to tell of it, unless it was a kill or asked for.
    fn bury(&mut self, role: Role, status: ExitStatus) -> Option<String> {
        let words = self.process.take().map(|process| process.said()).unwrap_or_default();
        let panics = words.lines().filter(|line| line.contains("panicked at"));
        self.told.panics.extend(panics.map(|line| format!("{role}: {line}")));
        let struck = std::mem::take(&mut self.struck);
        let asked = std::mem::take(&mut self.asked);
        if asked && status.success() {
            return None;
        }
        if status.signal() != Some(9) {
            return Some(format!("{role}: {status}: {}", last_line(&words)));
        }
        self.told.kills += 1;
        if !struck && let Some(point) = self.point.take() {
            self.told.points.push(point);
        }
        None
    }
}

impl Told {
    /// The same of another process.
    pub(crate) fn add(&mut self, mut other: Self) {
        self.kills += other.kills;
        self.points.append(&mut other.points);
        self.own_ends.append(&mut other.own_ends);
        self.bad_ends.append(&mut other.bad_ends);
        self.longest_end = self.longest_end.max(other.longest_end);
        self.panics.append(&mut other.panics);
    }
}

impl Role {
    fn flag(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Planner => "planner",
            Self::Dispatch => "dispatch",
            Self::Feedback => "feedback",
            Self::Web => "web",
            Self::Runner => REMOTE,
        }
    }
}

/// Settings that many share, and its own.
pub(crate) fn site<'a>(
    shared: &'a [(&'a str, String)],
    own: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Site {
    let shared = shared.iter().map(|(name, value)| (*name, value.as_str()));
    Site::new(&shared.chain(own).collect::<Vec<_>>())
}

fn last_line(words: &str) -> &str {
    words.lines().last().unwrap_or_default()
}
