//! The simulated GitLab that bot and floor work for, and what it saw of their statuses.

use std::collections::BTreeMap;
use std::time::Duration;

use aldis_gitlab_sim::{
    AccessLevel, Options, ProjectId, Route, Scope, Secret, Simulator, Trigger, UserId,
};
use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use crate::floor::Source;

/// The name that is green when all of the bot's statuses are.
const AGGREGATE: &str = "aldis";
const LOOK_EVERY: Duration = Duration::from_millis(4);
const PATIENCE: Duration = Duration::from_mins(5);

/// The simulator and what is in it.
pub(crate) struct World {
    pub(crate) sim: Simulator,
    pub(crate) token: String,
    pub(crate) project: ProjectId,
    developer: UserId,
    pushed: usize,
}

/// A push that GitLab would tell of, and has not yet.
#[derive(Debug, Clone)]
pub(crate) struct Pushed {
    pub(crate) sha: String,
    pub(crate) key: String,
    pub(crate) body: Vec<u8>,
}

/// When a commit's statuses reached GitLab.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) first: Timestamp,
    /// All of them were as they were waited for.
    pub(crate) last: Timestamp,
}

/// One stack with one step.
fn config(step: &str) -> String {
    format!(
        "version: 1\n\nstacks:\n  ci:\n    steps:\n      - {{ name: 'yes', run: '{step}' }}\n    \
         on:\n      push: {{ branches: ['**'] }}\n"
    )
}

impl World {
    /// A project with one stack whose only step is `true`.
    pub(crate) async fn build() -> Result<Self> {
        Self::with_step("true").await
    }

    /// The same with another step.
    pub(crate) async fn with_step(step: &str) -> Result<Self> {
        let sim = Simulator::start(Options::default()).await?;
        let developer = sim.create_user("developer");
        let user = sim.create_bot("bot");
        let token = sim.create_token(user, &[Scope::Api], None)?;
        let project = sim.create_project("bench/service", developer)?;
        sim.set_member(project, user, AccessLevel::Maintainer)?;
        let config = config(step);
        let files = [(".aldis.yml", Some(config.as_str())), ("README.md", Some("# Service\n"))];
        sim.by(developer).commit_and_push(project, "main", &files, "Begin")?;
        // Nobody listens there: deliveries are taken from the queue and sent by the load generator.
        sim.hold_deliveries();
        sim.add_hook(project, "http://127.0.0.1:9/", Secret::None, &[Trigger::Push])?;
        Ok(Self { sim, token, project, developer, pushed: 0 })
    }

    /// What the floor needs to know.
    pub(crate) fn source(&self) -> Result<Source> {
        let address = self.sim.url().strip_prefix("http://").context("the simulator's URL")?;
        Ok(Source {
            gitlab: address.parse()?,
            project: self.project.0,
            git_url: format!("{}.git", self.sim.project_url(self.project)),
            authorization: format!(
                "Authorization: Basic {}",
                STANDARD.encode(format!("oauth2:{}", self.token))
            ),
            token: self.token.clone(),
        })
    }

    /// Pushes one commit to each of `count` new branches.
    pub(crate) fn push(&mut self, count: usize) -> Result<Vec<Pushed>> {
        let mut pushed = Vec::with_capacity(count);
        for _ in 0..count {
            self.pushed += 1;
            let number = self.pushed.to_string();
            let files = [("number.txt", Some(number.as_str()))];
            let branch = format!("branch-{number}");
            let developer = self.sim.by(self.developer);
            let sha = developer.commit_and_push(self.project, &branch, &files, "Count on")?;
            let held = self.sim.held_deliveries().pop().context("a push was not told")?;
            self.sim.drop_delivery(held.id)?;
            pushed.push(Pushed { sha, key: held.key, body: held.body.to_vec() });
        }
        Ok(pushed)
    }

    /// Waits until every commit has a status of this name and state, and tells when that was.
    async fn all(&self, pushed: &[Pushed], name: &str, state: &str) -> Result<Vec<Seen>> {
        let begun = tokio::time::Instant::now();
        let (mut counted, mut looked_at) = (0, 0);
        loop {
            let calls = self.sim.count(Route::StatusPost);
            // Looking holds the simulator up, so it waits until no more calls come.
            if calls == counted && calls != looked_at {
                if let Some(seen) = self.seen(pushed, name, state) {
                    return Ok(seen);
                }
                looked_at = calls;
            }
            counted = calls;
            if begun.elapsed() > PATIENCE {
                bail!(
                    "not every commit has a `{name}` that is {state} after {} s",
                    PATIENCE.as_secs()
                );
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn seen(&self, pushed: &[Pushed], name: &str, state: &str) -> Option<Vec<Seen>> {
        let mut first = BTreeMap::new();
        let mut last = BTreeMap::new();
        for call in self.sim.calls() {
            if call.route != Route::StatusPost {
                continue;
            }
            let Some(sha) = call.path.rsplit('/').next().map(str::to_owned) else { continue };
            first.entry(sha.clone()).or_insert(call.at);
            if call.params["state"] == state && call.params["name"] == name {
                last.insert(sha, call.at);
            }
        }
        let of = |push: &Pushed| {
            Some(Seen { first: *first.get(&push.sha)?, last: *last.get(&push.sha)? })
        };
        pushed.iter().map(of).collect()
    }

    /// Waits until all of the bot's statuses are green.
    pub(crate) async fn green_by_bot(&self, pushed: &[Pushed]) -> Result<Vec<Seen>> {
        self.all(pushed, AGGREGATE, "success").await
    }

    /// Waits until the floor's only status is green.
    pub(crate) async fn green_by_floor(&self, pushed: &[Pushed]) -> Result<Vec<Seen>> {
        self.all(pushed, "floor", "success").await
    }

    /// Waits until the bot runs them all.
    pub(crate) async fn running(&self, pushed: &[Pushed]) -> Result<Vec<Seen>> {
        self.all(pushed, AGGREGATE, "running").await
    }
}

/// Milliseconds from one moment to another.
pub(crate) fn millis(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64() * 1000.0
}
