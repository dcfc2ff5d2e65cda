//! The bot in many processes, everything that it needs, and the ways between them.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aldis_gitlab_sim::{Options, Scope, Simulator, UserId};
use aldis_test_servers::{Postgres, RabbitMq, Valve};
use aldis_tests::HOOK_SECRET;
use aldis_tests::process::{Process, REMOTE, Site};
use anyhow::{Context, Result};
use tempfile::NamedTempFile;
use tokio::sync::Mutex;

use crate::disks::Disks;
use crate::plan::{CREW, Link, RUNNERS, Role};

/// How often it is looked whether a process has ended.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Before a process that ended by itself is started again.
const PAUSE: Duration = Duration::from_secs(1);
/// For a process that was asked to stop.
const FAREWELL: Duration = Duration::from_mins(1);

/// Everything that a person would have to set up.
pub(crate) struct Crew {
    pub(crate) sim: Simulator,
    pub(crate) bot_user: UserId,
    pub(crate) postgres: Arc<Postgres>,
    pub(crate) broker: Arc<RabbitMq>,
    /// Everybody's way to GitLab.
    gitlab: Valve,
    /// GitLab's way to those who take webhooks.
    door: Valve,
    /// Looks at the database past all ways.
    pub(crate) reader: Site,
    parts: Vec<Part>,
    disks: Option<Disks>,
    leaving: AtomicBool,
    _key: NamedTempFile,
}

struct Part {
    role: Role,
    site: Site,
    database: Option<Valve>,
    broker: Option<Valve>,
    server: Option<Valve>,
    life: Mutex<Life>,
}

#[derive(Default)]
struct Life {
    process: Option<Process>,
    /// Where the next start is to be killed, until it was.
    point: Option<String>,
    /// Whether its end is our doing.
    struck: bool,
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
    /// Panics, wherever they are told.
    pub(crate) panics: Vec<String>,
}

impl Crew {
    /// Starts GitLab, the servers and all processes.
    pub(crate) async fn muster(broker_away: bool, disks: Option<Disks>) -> Result<Self> {
        let servers = tokio::task::spawn_blocking(|| (Postgres::start(true), RabbitMq::start()));
        let (postgres, broker) = servers.await.context("the servers")?;
        let sim = Simulator::start(Options::default()).await.context("the simulated GitLab")?;
        let bot_user = sim.create_bot("aldis");
        let gitlab = Valve::before(sim.url()).await;
        let mut key =
            tempfile::Builder::new().permissions(Permissions::from_mode(0o600)).tempfile()?;
        writeln!(key, "{}=", "A".repeat(43))?;
        let database = postgres.database();
        let shared = [
            ("GITLAB_URL", gitlab.url().to_owned()),
            ("GITLAB_TOKEN", sim.create_token(bot_user, &[Scope::Api], None)?),
            ("GIT_AUTH_TOKEN", sim.create_token(bot_user, &[Scope::ReadRepository], None)?),
            ("GITLAB_WEBHOOK_SECRET", HOOK_SECRET.to_owned()),
            ("GITLAB_API_BUDGET", "60000".to_owned()),
            ("ALDIS_SECRET_KEY_FILE", key.path().display().to_string()),
            ("ALDIS_LOG", "warn".to_owned()),
        ];
        let reader = site(&shared, [("ALDIS_DATABASE_URL", database.as_str())]);
        let urls = [database, broker.url()];
        let mut parts = Vec::new();
        for role in CREW.into_iter().filter(|role| *role != Role::Runner) {
            let pages = parts.iter().find(|part: &&Part| part.role == Role::Web);
            let pages = pages.map_or(reader.base_url(), |part| part.site.base_url());
            parts.push(Part::server(role, &shared, &urls, &pages, broker_away).await);
        }
        let door = Valve::before_all(addresses(&parts, Role::Ingress)).await;
        for number in 0..RUNNERS {
            let token = reader.told(&["runners", "add", &format!("runner-{number}")]).await;
            let server = Valve::before_all(addresses(&parts, Role::Dispatch)).await;
            parts.push(Part::runner(
                server,
                token.trim(),
                disks.as_ref().map(|disks| disks.of(number)),
            ));
        }
        let (postgres, broker) = (Arc::new(postgres), Arc::new(broker));
        let leaving = AtomicBool::new(false);
        let crew = Self {
            sim,
            bot_user,
            postgres,
            broker,
            gitlab,
            door,
            reader,
            parts,
            disks,
            leaving,
            _key: key,
        };
        for part in &crew.parts {
            part.life.lock().await.process = Some(part.site.start(None).await);
        }
        Ok(crew)
    }

    /// Where GitLab posts.
    pub(crate) fn webhook_url(&self) -> String {
        format!("{}/api/webhooks/gitlab", self.door.url())
    }

    /// Starts processes that have ended again. For ever.
    pub(crate) async fn keep_alive(&self) {
        loop {
            for part in &self.parts {
                part.look_after(self.leaving.load(Ordering::Relaxed)).await;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// `kill -9`; it is started again after `down`, and then killed at `point`, if there is one.
    pub(crate) async fn kill(&self, part: usize, down: Duration, point: Option<String>) {
        let mut life = self.parts[part].life.lock().await;
        life.struck = true;
        life.not_before = Some(Instant::now() + down);
        if point.is_some() {
            life.point = point;
        }
        if let Some(process) = life.living() {
            process.kill().await;
        }
    }

    /// Whether the process was there to be frozen.
    pub(crate) async fn freeze(&self, part: usize) -> bool {
        let mut life = self.parts[part].life.lock().await;
        life.living().inspect(|process| process.freeze()).is_some()
    }

    /// Nothing happens to one that was killed meanwhile.
    pub(crate) async fn thaw(&self, part: usize) {
        if let Some(process) = self.parts[part].life.lock().await.living() {
            process.thaw();
        }
    }

    /// The way that a fault is about.
    pub(crate) fn way(&self, part: usize, link: Link) -> &Valve {
        let Part { database, broker, server, .. } = &self.parts[part];
        let own = match link {
            Link::Database => database,
            Link::Broker => broker,
            Link::Server => server,
            Link::GitLab => return &self.gitlab,
        };
        own.as_ref().unwrap_or(&self.gitlab)
    }

    /// Fills the disk of a runner, and makes room again after `time`.
    pub(crate) async fn fill_disk(&self, part: usize, time: Duration) -> std::io::Result<()> {
        let Some(disks) = self.disks.clone() else { return Ok(()) };
        let number = part - (CREW.len() - RUNNERS);
        let filler = tokio::task::spawn_blocking(move || disks.fill(number)).await??;
        tokio::time::sleep(time).await;
        filler.close()
    }

    /// Asks all to stop, which they must do by themselves. Returns what happened to them.
    pub(crate) async fn dismiss(&self) -> Told {
        self.leaving.store(true, Ordering::Relaxed);
        let mut all = Told::default();
        for part in &self.parts {
            let mut life = part.life.lock().await;
            if let Some(process) = life.living() {
                process.terminate();
                let ended = tokio::time::timeout(FAREWELL, process.end()).await;
                match ended {
                    Ok(status) if status.success() => {}
                    Ok(status) => all.own_ends.push(format!("{} ends with {status}", part.role)),
                    Err(_) => all.own_ends.push(format!("{} does not end", part.role)),
                }
            }
            life.note_panics(part.role);
            let told = &mut life.told;
            all.kills += told.kills;
            all.points.append(&mut told.points);
            all.own_ends.append(&mut told.own_ends);
            all.panics.append(&mut told.panics);
        }
        all
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

/// Where the processes of a role listen: `host:port`.
fn addresses(parts: &[Part], role: Role) -> Vec<String> {
    let sites = parts.iter().filter(|part| part.role == role).map(|part| &part.site);
    sites.map(|site| site.base_url().trim_start_matches("http://").to_owned()).collect()
}

fn site<'a>(
    shared: &'a [(&'a str, String)],
    own: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Site {
    let shared = shared.iter().map(|(name, value)| (*name, value.as_str()));
    Site::new(&shared.chain(own).collect::<Vec<_>>())
}

impl Part {
    /// A process of the server's, with ways of its own to `[database, broker]`.
    async fn server(
        role: Role,
        shared: &[(&str, String)],
        [database, broker]: &[String; 2],
        pages: &str,
        broker_away: bool,
    ) -> Self {
        let (database, broker) = (Valve::before(database).await, Valve::before(broker).await);
        if broker_away {
            broker.shut();
        }
        let own = [
            ("ALDIS_DATABASE_URL", database.url()),
            ("ALDIS_AMQP_URL", broker.url()),
            ("ALDIS_BASE_URL", pages),
        ];
        let site = site(shared, own).part(role.flag());
        let (database, broker) = (Some(database), Some(broker));
        Self { role, site, database, broker, server: None, life: Mutex::default() }
    }

    /// A runner, with its way to the run queue.
    fn runner(server: Valve, token: &str, disk: Option<PathBuf>) -> Self {
        let own = [
            ("ALDIS_SERVER_URL", server.url()),
            ("ALDIS_RUNNER_TOKEN", token),
            ("ALDIS_LOG", "warn"),
        ];
        let disk = disk.map(|disk| ("ALDIS_DATA_DIR".to_owned(), disk.display().to_string()));
        let site = Site::new(&own).part(REMOTE).given(disk);
        let (role, life) = (Role::Runner, Mutex::default());
        Self { role, site, database: None, broker: None, server: Some(server), life }
    }

    async fn look_after(&self, leaving: bool) {
        // Whoever holds it is about to change it.
        let Ok(mut life) = self.life.try_lock() else { return };
        let status = life.process.as_mut().and_then(Process::ended);
        if let Some(status) = status {
            life.note_panics(self.role);
            let words = life.process.take().map(|process| process.said()).unwrap_or_default();
            let struck = std::mem::take(&mut life.struck);
            if status.signal() == Some(9) {
                life.told.kills += 1;
                if !struck && let Some(point) = life.point.take() {
                    life.told.points.push(point);
                }
            } else if !leaving {
                let last = words.lines().last().unwrap_or_default();
                life.told.own_ends.push(format!("{}: {status}: {last}", self.role));
                life.not_before = Some(Instant::now() + PAUSE);
            }
        }
        let is_due = life.not_before.is_none_or(|at| at <= Instant::now());
        if life.process.is_none() && is_due && !leaving {
            life.process = Some(self.site.launch(life.point.as_deref()).await);
        }
    }
}

impl Life {
    fn living(&mut self) -> Option<&mut Process> {
        let process = self.process.as_mut()?;
        process.ended().is_none().then_some(process)
    }

    fn note_panics(&mut self, role: Role) {
        let Some(process) = &self.process else { return };
        let words = process.said();
        let panics = words.lines().filter(|line| line.contains("panicked at"));
        self.told.panics.extend(panics.map(|line| format!("{role}: {line}")));
    }
}
