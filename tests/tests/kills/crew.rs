//! The bot in processes of every role, two of most.
//!
//! Called by the rolling restart, which looks after each process by itself. GitLab's webhooks go
//! through a balancer, which passes over who is not ready.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;

use aldis_domain::event::Event;
use aldis_gitlab_sim::{Secret, Trigger};
use aldis_test_servers::{Valve, postgres};
use aldis_tests::oracle::Log;
use aldis_tests::process::{Process, REMOTE, Site};
use aldis_tests::{HOOK_SECRET, SIGNING_TOKEN};
use tempfile::NamedTempFile;

use crate::divided::broker;
use crate::half::address;
use crate::world::{GitLab, World};

/// The first serves the pages, the first two take webhooks, and the third hands out runs.
pub(crate) const SERVERS: [&str; 7] =
    ["ingress,web", "ingress", "dispatch", "planner", "planner", "feedback", "feedback"];
pub(crate) const TAKERS: usize = 2;
const DISPATCH: usize = 2;
/// They come after the servers. Each has one slot.
pub(crate) const RUNNERS: [&str; 2] = ["north", "south"];

/// The bot in processes of every role.
pub(crate) struct Crew {
    pub(crate) world: World,
    /// The balancer.
    pub(crate) door: Valve,
    _key: NamedTempFile,
}

impl Crew {
    /// Starts everybody; the project's hook calls the balancer.
    pub(crate) async fn gather() -> Self {
        let gitlab = GitLab::start().await;
        let database = tokio::task::spawn_blocking(|| postgres().database()).await;
        let (database, broker) = (database.expect("a database"), broker().await);
        let key = tempfile::Builder::new().permissions(Permissions::from_mode(0o600)).tempfile();
        let mut key = key.expect("a key file");
        writeln!(key, "{}=", "A".repeat(43)).expect("32 bytes in base 64");
        let key_path = key.path().display().to_string();
        let shared = [
            ("GITLAB_URL", gitlab.sim.url()),
            ("GITLAB_TOKEN", &gitlab.token),
            ("GIT_AUTH_TOKEN", &gitlab.git_token),
            ("GITLAB_WEBHOOK_SECRET", HOOK_SECRET),
            ("GITLAB_WEBHOOK_SIGNING_TOKEN", SIGNING_TOKEN),
            ("GITLAB_API_BUDGET", "60000"),
            ("ALDIS_DATABASE_URL", &database),
            ("ALDIS_AMQP_URL", &broker),
            ("ALDIS_SECRET_KEY_FILE", &key_path),
        ];
        let delay = [("ALDIS_STOP_DELAY".to_owned(), "2".to_owned())];
        let first = Site::new(&shared).part(SERVERS[0]).given(delay.clone());
        let pages = [("ALDIS_BASE_URL".to_owned(), first.base_url())];
        let others = SERVERS[1..].iter();
        let others = others.map(|role| Site::new(&shared).part(role).given(pages.clone()));
        let mut sites: Vec<Site> = others.collect();
        let second = sites.remove(0).given(delay);
        sites.insert(0, second);
        let bot = first.start(None).await;
        let server = sites[DISPATCH - 1].base_url();
        for name in RUNNERS {
            let token = first.told(&["runners", "add", name]).await;
            let token = [("ALDIS_RUNNER_TOKEN", token.trim()), ("ALDIS_SERVER_URL", &server)];
            sites.push(Site::new(&token).part(REMOTE).given([("ALDIS_SLOTS".into(), "1".into())]));
        }
        let door = Valve::before_ready(vec![address(&first), address(&sites[0])]).await;
        let secret =
            Secret::Both { token: HOOK_SECRET.to_owned(), signing: SIGNING_TOKEN.to_owned() };
        let url = format!("{}/api/webhooks/gitlab", door.url());
        gitlab.sim.add_hook(gitlab.project, &url, secret, Trigger::ALL).expect("a hook");
        let mut world = World::around("rolling", gitlab, (first, bot), HOOK_SECRET);
        for site in sites {
            let process = site.start(None).await;
            world.parts.push((site, process));
        }
        Self { world, door, _key: key }
    }

    /// Those at the first places are the servers, those behind them the runners.
    pub(crate) fn process(&mut self, place: usize) -> (&Site, &mut Process) {
        match place.checked_sub(1) {
            None => (&self.world.site, &mut self.world.bot),
            Some(part) => {
                let (site, process) = &mut self.world.parts[part];
                (site, process)
            }
        }
    }
}

/// A run that a runner has in hand.
#[derive(Debug)]
pub(crate) struct Hand {
    pub(crate) run: String,
    pub(crate) stack: String,
    pub(crate) sha: String,
    pub(crate) epoch: u64,
    pub(crate) tracked: bool,
    pub(crate) runner: String,
}

/// Attempts that have not ended.
pub(crate) fn in_hand(log: &Log) -> Vec<Hand> {
    let (mut stacks, mut open) = (BTreeMap::new(), BTreeMap::new());
    for (run, event) in log {
        match event {
            Event::RunRequested(asked) => drop(stacks.insert(run, asked.stack.clone())),
            Event::AttemptStarted(started) => {
                let hand = Hand {
                    run: run.clone(),
                    stack: stacks[run].clone(),
                    sha: started.sha.as_str().to_owned(),
                    epoch: started.epoch,
                    tracked: started.tracked,
                    runner: started.runner.split('/').next().unwrap_or_default().to_owned(),
                };
                open.insert(run, hand);
            }
            Event::AttemptLost(_) | Event::RunFinished(_) => drop(open.remove(run)),
            _ => {}
        }
    }
    open.into_values().collect()
}
