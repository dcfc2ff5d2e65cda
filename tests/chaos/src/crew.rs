//! The bot in many processes, everything that it needs, and the ways between them.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aldis_gitlab_sim::{Options, Scope, Simulator, UserId};
use aldis_test_servers::{Postgres, RabbitMq, Valve};
use aldis_tests::HOOK_SECRET;
use aldis_tests::process::Site;
use anyhow::{Context, Result};
use tempfile::NamedTempFile;

use crate::disks::Disks;
use crate::fault::{CREW, Link, RUNNERS, Role};
use crate::part::{Part, Servers, Told, site};
use crate::way::Way;

/// All must call GitLab by one name, and each by a way of its own: so nobody knows where it is, and
/// each has a proxy before it.
const GITLAB: &str = "http://gitlab.invalid";
/// How often it is looked whether a process has ended.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Longest time until all are at work again when nothing breaks any more.
const GATHERED: Duration = Duration::from_mins(1);

/// Everything that a person would have to set up.
pub(crate) struct Crew {
    pub(crate) sim: Simulator,
    pub(crate) bot_user: UserId,
    pub(crate) postgres: Arc<Postgres>,
    pub(crate) broker: Arc<RabbitMq>,
    /// GitLab's way to those who take webhooks.
    door: Way,
    /// Looks at the database past all ways.
    pub(crate) reader: Site,
    parts: Vec<Part>,
    disks: Option<Disks>,
    leaving: AtomicBool,
    _key: NamedTempFile,
}

impl Crew {
    /// Starts GitLab, the servers and all processes.
    pub(crate) async fn muster(broker_away: bool, disks: Option<Disks>) -> Result<Self> {
        let servers = tokio::task::spawn_blocking(|| (Postgres::start(true), RabbitMq::start()));
        let (postgres, broker) = servers.await.context("the servers")?;
        let sim = Simulator::start(Options::default()).await.context("the simulated GitLab")?;
        let bot_user = sim.create_bot("aldis");
        let mut key =
            tempfile::Builder::new().permissions(Permissions::from_mode(0o600)).tempfile()?;
        writeln!(key, "{}=", "A".repeat(43))?;
        let database = postgres.database();
        let shared = [
            ("GITLAB_URL", GITLAB.to_owned()),
            ("GITLAB_TOKEN", sim.create_token(bot_user, &[Scope::Api], None)?),
            ("GIT_AUTH_TOKEN", sim.create_token(bot_user, &[Scope::ReadRepository], None)?),
            ("GITLAB_WEBHOOK_SECRET", HOOK_SECRET.to_owned()),
            ("GITLAB_API_BUDGET", "60000".to_owned()),
            ("ALDIS_SECRET_KEY_FILE", key.path().display().to_string()),
            ("ALDIS_LOG", "warn".to_owned()),
        ];
        let reader = site(&shared, [("ALDIS_DATABASE_URL", database.as_str())]);
        let gitlab = sim.url().to_owned();
        let servers = Servers { database, broker: broker.url(), gitlab };
        let mut parts = Vec::new();
        for role in CREW.into_iter().filter(|role| *role != Role::Runner) {
            let pages = parts.iter().find(|part: &&Part| part.role == Role::Web);
            let pages = pages.map_or(reader.base_url(), |part| part.site.base_url());
            parts.push(Part::server(role, &shared, &servers, &pages, broker_away).await);
        }
        let door = Way::new(Valve::before_all(addresses(&parts, Role::Ingress)).await);
        for number in 0..RUNNERS {
            let token = reader.told(&["runners", "add", &format!("runner-{number}")]).await;
            let server = Way::new(Valve::before_all(addresses(&parts, Role::Dispatch)).await);
            let disk = disks.as_ref().map(|disks| disks.of(number));
            parts.push(Part::runner(server, &servers.gitlab, token.trim(), disk).await);
        }
        let (postgres, broker) = (Arc::new(postgres), Arc::new(broker));
        let leaving = AtomicBool::new(false);
        let crew = Self {
            sim,
            bot_user,
            postgres,
            broker,
            door,
            reader,
            parts,
            disks,
            leaving,
            _key: key,
        };
        for part in &crew.parts {
            part.begin().await;
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

    /// The process at this place.
    pub(crate) fn part(&self, part: usize) -> &Part {
        &self.parts[part]
    }

    /// Whoever hands out runs.
    pub(crate) fn dispatch(&self) -> &Part {
        let mut all = self.parts.iter();
        all.find(|part| part.role == Role::Dispatch).expect("the crew has a dispatch")
    }

    /// The way that a fault is about.
    pub(crate) fn way(&self, part: usize, link: Link) -> &Way {
        match link {
            Link::Door => &self.door,
            own => self.parts[part].way(own).expect("only ways that there are break"),
        }
    }

    /// Fills the disk of a runner, and makes room again after `time`.
    pub(crate) async fn fill_disk(&self, part: usize, time: Duration) -> std::io::Result<()> {
        let Some(disks) = self.disks.clone() else {
            return Err(std::io::Error::other("there are no small disks"));
        };
        let number = part - (CREW.len() - RUNNERS);
        let filler = tokio::task::spawn_blocking(move || disks.fill(number)).await??;
        tokio::time::sleep(time).await;
        filler.close()
    }

    /// Waits until all are at work. False: some are not for long.
    pub(crate) async fn gathered(&self) -> bool {
        let all = async {
            for part in &self.parts {
                while !part.is_at_work().await {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
        };
        tokio::time::timeout(GATHERED, all).await.is_ok()
    }

    /// Asks all to stop, which they must do by themselves. Returns what happened to them.
    pub(crate) async fn dismiss(&self) -> Told {
        self.leaving.store(true, Ordering::Relaxed);
        let mut all = Told::default();
        for part in &self.parts {
            all.add(part.dismiss().await);
        }
        all
    }
}

/// Where the processes of a role listen: `host:port`.
fn addresses(parts: &[Part], role: Role) -> Vec<String> {
    let sites = parts.iter().filter(|part| part.role == role).map(|part| &part.site);
    sites.map(|site| site.base_url().trim_start_matches("http://").to_owned()).collect()
}
