//! One bot, one GitLab, one project, and a short story that is played on while the bot is killed
//! and started again.

use std::collections::{BTreeMap, VecDeque};
use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use aldis_gitlab_sim::{
    AccessLevel, DeliveryState, MergeRequestRef, Options, ProjectId, Route, Scope, Secret,
    Simulator, Trigger, UserId,
};
use aldis_test_servers::postgres;
use aldis_tests::process::{Process, REMOTE, Site};
use aldis_tests::{HOOK_SECRET, SIGNING_TOKEN};
use tempfile::NamedTempFile;

pub(crate) const BOT: &str = "aldis";
const CONFIG: &str = "\
version: 1
stacks:
  app:
    steps:
      - { name: test, run: sh ./test.sh }
  deploy:
    needs: [app]
    steps:
      - { name: deploy, run: test -z $ALDIS_ENVIRONMENT || sleep 3 }
    environment: { name: production, url: https://app.example.org, tier: production }
";
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// GitLab before the bot is there: a project with one commit, and the tokens of the bot's user.
pub(crate) struct GitLab {
    pub(crate) sim: Simulator,
    pub(crate) project: ProjectId,
    pub(crate) developer: UserId,
    pub(crate) token: String,
    /// For cloning alone.
    pub(crate) git_token: String,
}

impl GitLab {
    pub(crate) async fn start() -> Self {
        let sim = Simulator::start(Options::default()).await.expect("the simulator; it needs git");
        let developer = sim.create_user("alice");
        let user = sim.create_bot(BOT);
        let token = sim.create_token(user, &[Scope::Api], None).expect("a token");
        let git_token = sim.create_token(user, &[Scope::ReadRepository], None).expect("a token");
        let project = sim.create_project("group/demo", developer).expect("a project");
        sim.set_member(project, user, AccessLevel::Maintainer).expect("a member");
        let files = [(".aldis.yml", Some(CONFIG)), ("test.sh", Some("true\n"))];
        sim.by(developer).commit_and_push(project, "main", &files, "Begin").expect("a commit");
        Self { sim, project, developer, token, git_token }
    }

    /// From now on the project's hook calls this bot.
    pub(crate) fn call(&self, bot: &Site, secret: Secret) {
        self.sim.add_hook(self.project, &bot.webhook_url(), secret, Trigger::ALL).expect("a hook");
    }
}

/// A world in which the bot may die at any time.
pub(crate) struct World {
    /// What is tried, for messages.
    pub(crate) name: String,
    pub(crate) sim: Simulator,
    pub(crate) site: Site,
    pub(crate) project: ProjectId,
    pub(crate) developer: UserId,
    pub(crate) bot: Process,
    /// The rest of the bot, where it is divided among processes.
    pub(crate) parts: Vec<(Site, Process)>,
    /// Parts that are to be killed, act by act.
    pub(crate) losing: VecDeque<Vec<usize>>,
    /// Of the process, for others beside it.
    settings: Vec<(String, String)>,
    /// The master key that all processes share.
    key: Option<NamedTempFile>,
    /// With which GitLab's hook proves that it is genuine.
    pub(crate) hook_token: String,
    /// Failpoints of the starts to come.
    starts: VecDeque<String>,
    /// Kills the bot itself when an endpoint has been called so often.
    pub(crate) kill_at: Option<(Route, usize)>,
    /// How often the bot was killed.
    pub(crate) kills: usize,
    /// What comes later than this is not waited for: above all the look at what may have landed
    /// late, 75 s after each kill that left a write without an answer.
    pub(crate) soon: Duration,
    /// How long one act may take to settle. A kill may leave a creation in doubt, which is looked
    /// for again only after the quiet period of 75 s.
    pub(crate) patience: Duration,
    /// Act by act, how long after its beginning GitLab was last written to.
    pub(crate) took: Vec<Duration>,
    /// Commits by name.
    pub(crate) commits: BTreeMap<String, String>,
}

impl World {
    /// A project with one commit and a hook, and the bot. Its first starts are armed with these
    /// failpoints, one each.
    pub(crate) async fn build(name: &str, failpoints: &[&str]) -> Self {
        Self::make(name, failpoints, &[], None).await
    }

    /// The same on this Postgres database.
    pub(crate) async fn on(database: &str) -> Self {
        Self::make("on Postgres", &[], &[("ALDIS_DATABASE_URL", database)], None).await
    }

    /// The same with the bot in several processes on one Postgres database: the first has these
    /// roles, and each of the others has its own. `broker` is its URL: with one they need not look for
    /// each other's work.
    pub(crate) async fn divided(
        name: &str,
        roles: [&'static str; 6],
        broker: Option<&str>,
    ) -> Self {
        let database = tokio::task::spawn_blocking(|| postgres().database()).await;
        let database = database.expect("a database");
        let key = tempfile::Builder::new().permissions(Permissions::from_mode(0o600)).tempfile();
        let mut key = key.expect("a key file");
        writeln!(key, "{}=", "A".repeat(43)).expect("32 bytes in base 64");
        let key_path = key.path().display().to_string();
        let shared = [
            ("ALDIS_DATABASE_URL", database.as_str()),
            ("ALDIS_AMQP_URL", broker.unwrap_or_default()),
            ("ALDIS_SECRET_KEY_FILE", key_path.as_str()),
        ];
        let mut world = Self::make(name, &[], &shared, Some(roles[0])).await;
        world.key = Some(key);
        let base_url = world.site.base_url();
        for (number, role) in roles.iter().enumerate().skip(1) {
            let site = if *role == REMOTE {
                let token = world.site.told(&["runners", "add", &format!("r{number}")]).await;
                Site::new(&[("ALDIS_SERVER_URL", &base_url), ("ALDIS_RUNNER_TOKEN", token.trim())])
            } else {
                let settings = world.settings.iter().map(|(n, v)| (n.as_str(), v.as_str()));
                let own = [("ALDIS_BASE_URL", base_url.as_str())];
                Site::new(&settings.chain(own).collect::<Vec<_>>())
            };
            let site = site.part(role);
            let process = site.start(None).await;
            world.parts.push((site, process));
        }
        world
    }

    async fn make(
        name: &str,
        failpoints: &[&str],
        shared: &[(&str, &str)],
        roles: Option<&'static str>,
    ) -> Self {
        let gitlab = GitLab::start().await;
        let own = [
            ("GITLAB_URL", gitlab.sim.url()),
            ("GITLAB_TOKEN", &gitlab.token),
            ("GIT_AUTH_TOKEN", &gitlab.git_token),
            ("GITLAB_WEBHOOK_SECRET", HOOK_SECRET),
            ("GITLAB_WEBHOOK_SIGNING_TOKEN", SIGNING_TOKEN),
            ("GITLAB_API_BUDGET", "60000"),
        ];
        let settings: Vec<(&str, &str)> = own.iter().chain(shared).copied().collect();
        let site = Site::new(&settings).part(roles.unwrap_or_default());
        let settings = settings.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let secret =
            Secret::Both { token: HOOK_SECRET.to_owned(), signing: SIGNING_TOKEN.to_owned() };
        let mut starts: VecDeque<String> = failpoints.iter().map(|p| (*p).to_owned()).collect();
        let bot = site.start(starts.pop_front().as_deref()).await;
        gitlab.call(&site, secret);
        Self { settings, starts, ..Self::around(name, gitlab, (site, bot), HOOK_SECRET) }
    }

    /// A world of this GitLab and the bot that it calls with this token.
    pub(crate) fn around(
        name: &str,
        gitlab: GitLab,
        (site, bot): (Site, Process),
        hook_token: &str,
    ) -> Self {
        let GitLab { sim, project, developer, .. } = gitlab;
        Self {
            name: name.to_owned(),
            sim,
            site,
            project,
            developer,
            bot,
            parts: Vec::new(),
            losing: VecDeque::new(),
            settings: Vec::new(),
            key: None,
            hook_token: hook_token.to_owned(),
            starts: VecDeque::new(),
            kill_at: None,
            kills: 0,
            soon: Duration::from_secs(40),
            patience: Duration::from_secs(150),
            took: Vec::new(),
            commits: BTreeMap::new(),
        }
    }

    pub(crate) fn name_commit(&mut self, name: &str, sha: String) {
        self.sim.name_sha(&sha, name);
        self.commits.insert(name.to_owned(), sha);
    }

    /// Waits until nothing is left to do. Starts the bot again if it was killed, and sends again
    /// what did not reach it.
    pub(crate) async fn settle(&mut self) {
        let begun = Instant::now();
        loop {
            let calls = self.sim.calls().len();
            self.strike().await;
            self.revive().await;
            let all_sent = !self.send_again();
            let idle = tokio::time::timeout(self.patience, self.sim.deliveries_idle()).await;
            assert!(idle.is_ok(), "{}: deliveries do not come to an end", self.name);
            // An error says that the bot was killed just now.
            let at_rest = matches!(self.site.at_rest(self.soon).await, Ok(true));
            let alive = self.bot.ended().is_none();
            if all_sent && at_rest && alive && !self.send_again() && self.sim.calls().len() == calls
            {
                return;
            }
            assert!(begun.elapsed() < self.patience, "{}", self.describe("it does not settle"));
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn strike(&mut self) {
        if self.kill_at.is_some_and(|(route, count)| self.sim.count(route) >= count) {
            self.kill_at = None;
            self.bot.kill().await;
        }
    }

    /// Starts the bot, and parts of it, again if they were killed.
    pub(crate) async fn revive(&mut self) {
        for (site, process) in &mut self.parts {
            if let Some(status) = process.ended() {
                assert_eq!(status.signal(), Some(9), "{}: {}", site.name(), process.said());
                self.kills += 1;
                *process = site.start(None).await;
            }
        }
        let Some(status) = self.bot.ended() else { return };
        assert_eq!(status.signal(), Some(9), "{}", self.describe("it ended by itself"));
        self.kills += 1;
        self.bot = self.site.start(self.starts.pop_front().as_deref()).await;
    }

    /// Presses "Resend" for what was not answered 2xx. False: there is nothing to be sent.
    pub(crate) fn send_again(&self) -> bool {
        let mut any = false;
        for delivery in self.sim.deliveries() {
            let lost = delivery.state == DeliveryState::Sent
                && !delivery.attempts.iter().any(aldis_gitlab_sim::Attempt::ok);
            if lost {
                self.sim.redeliver(delivery.id).expect("a delivery of this number");
            }
            any |= lost;
        }
        any
    }

    /// For the message of a failure: what a person sees, and what the bot said.
    pub(crate) fn describe(&self, problem: &str) -> String {
        let Self { name, .. } = self;
        format!(
            "{name}: {problem}\n{}\nthe timeline:\n{}\nthe bot's last life:\n{}\n{}",
            self.seen(),
            self.sim.timeline().join("\n"),
            self.bot.said(),
            self.parts
                .iter()
                .map(|(site, part)| format!("{}:\n{}", site.name(), part.said()))
                .collect::<String>()
        )
    }

    /// What a person sees, without what may differ from one time to the next: addresses, ids and
    /// durations, states that were passed over, and whose word for a cancel came first.
    pub(crate) fn seen(&self) -> String {
        let mut text = String::new();
        for (name, sha) in &self.commits {
            let mut pipelines = self.sim.pipeline_views(self.project, sha);
            pipelines.reverse();
            text.push_str(&format!("{name}:\n"));
            for pipeline in pipelines {
                text.push_str(&format!("{pipeline}\n"));
            }
        }
        for iid in 1.. {
            let mr = MergeRequestRef { project: self.project, iid };
            let Ok(page) = self.sim.merge_request_page(mr) else { break };
            text.push_str(&format!("{page}\n"));
        }
        let page = self.sim.environment_page(self.project);
        text.push_str(&page.map(|page| page.to_string()).unwrap_or_default());
        let text = self.site.plain(&text, self.sim.url()).replace(" (edited):", ":");
        let lines = text.lines().filter(|line| !line.ends_with(" retried)"));
        let lines = lines.map(|line| match line.split_once(": canceled \"") {
            Some((name, _)) => format!("{name}: canceled\n"),
            None => format!("{line}\n"),
        });
        lines.collect()
    }
}
