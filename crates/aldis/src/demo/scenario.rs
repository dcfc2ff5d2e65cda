//! The sample project, the people in it, and what should stand in GitLab at the end.

use std::time::{Duration, Instant};

use aldis_domain::config::Executor;
use aldis_gitlab::hook::Secrets;
use aldis_gitlab_sim::{
    AccessLevel, JobState, MergeRequestRef, Options, ProjectId, Scope, Secret, Simulator, Trigger,
    UserId,
};
use anyhow::{Result, bail};
use secrecy::SecretString;
use tempfile::TempDir;

use super::screen::Screen;
use crate::bot::Bot;
use crate::rest::at_rest;
use crate::roles::Roles;
use crate::settings::{GitLabSettings, Settings};

/// One thing a person does.
pub(super) type Act = fn(&World) -> Result<()>;

/// The simulated GitLab, the bot beside it, and what the acts remember.
pub(super) struct World {
    pub(super) sim: Simulator,
    pub(super) bot: Bot,
    project: ProjectId,
    developer: UserId,
    bot_name: &'static str,
    _dir: TempDir,
}

const BRANCH: &str = "faster-answers";
const TAG: &str = "v1.0.0";
const BOT: &str = "aldis-bot";
const MERGE_REQUEST: u64 = 1;
/// Work that is due later than this does not count as unfinished.
const SOON: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A wrong answer for 21.
const SLIP: &str = "if [ \"$1\" = 21 ]; then echo 43; else echo $(($1 + $1)); fi\n";
const RIGHT: &str = "echo $(($1 + $1))\n";

impl World {
    /// A project with a hook that points to a bot which is ready for it.
    pub(super) async fn build(executor: Executor) -> Result<Self> {
        let sim = Simulator::start(Options::default()).await?;
        let developer = sim.create_user("developer");
        let user = sim.create_bot(BOT);
        let token = sim.create_token(user, &[Scope::Api], None)?;
        let project = sim.create_project("demo/service", developer)?;
        sim.set_member(project, user, AccessLevel::Maintainer)?;
        let files = [
            (".aldis.yml", Some(include_str!("sample/aldis.yml"))),
            ("api/test.sh", Some(include_str!("sample/test.sh"))),
            ("api/answer.sh", Some(RIGHT)),
            ("network/plan.sh", Some(include_str!("sample/plan.sh"))),
            ("docs/README.md", Some("# Service\n")),
        ];
        sim.by(developer).commit_and_push(project, "main", &files, "Begin")?;
        let dir = tempfile::tempdir()?;
        let secret = "demo-secret";
        let bot = Bot::start(settings(&sim, &token, secret, &dir, executor)).await?;
        let hook = format!("{}/api/webhooks/gitlab", bot.base_url);
        let triggers = [
            Trigger::Push,
            Trigger::TagPush,
            Trigger::MergeRequests,
            Trigger::Note,
            Trigger::Pipeline,
        ];
        sim.add_hook(project, &hook, Secret::Token(secret.to_owned()), &triggers)?;
        Ok(Self { sim, bot, project, developer, bot_name: BOT, _dir: dir })
    }

    fn merge_request(&self) -> MergeRequestRef {
        MergeRequestRef { project: self.project, iid: MERGE_REQUEST }
    }

    pub(super) fn open(&self) -> Result<()> {
        let developer = self.sim.by(self.developer);
        let sha = developer.commit_and_push(
            self.project,
            BRANCH,
            &[("api/answer.sh", Some(SLIP))],
            "Answer faster",
        )?;
        self.sim.name_sha(&sha, "the first try");
        developer.propose(self.project, BRANCH, "Answer faster")?;
        Ok(())
    }

    pub(super) fn fix(&self) -> Result<()> {
        let files = [("api/answer.sh", Some("echo $((2 * $1))\n"))];
        let developer = self.sim.by(self.developer);
        let sha = developer.commit_and_push(self.project, BRANCH, &files, "Answer 21 rightly")?;
        self.sim.name_sha(&sha, "the fix");
        Ok(())
    }

    pub(super) fn merge(&self) -> Result<()> {
        let sha = self.sim.by(self.developer).merge(self.merge_request())?;
        self.sim.name_sha(&sha, "the merge");
        Ok(())
    }

    pub(super) fn tag(&self) -> Result<()> {
        let head = self.sim.branch_head(self.project, "main")?;
        Ok(self.sim.by(self.developer).create_tag(
            self.project,
            TAG,
            &head,
            Some("First release"),
        )?)
    }

    /// Shows what changes for people until nothing is left to do.
    pub(super) async fn settle(&self, screen: &mut Screen, patience: Duration) -> Result<()> {
        let begun = Instant::now();
        let mut shown = self.sim.timeline().len();
        // What the act itself changed is old news; what the bot makes of it is not there yet.
        loop {
            let timeline = self.sim.timeline();
            for line in &timeline[shown..] {
                screen.change(line)?;
            }
            shown = timeline.len();
            self.sim.deliveries_idle().await;
            if at_rest(&self.bot.store, SOON, 0).await? && shown == self.sim.timeline().len() {
                return Ok(());
            }
            if begun.elapsed() > patience {
                bail!("not finished after {} s", patience.as_secs());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What should stand in GitLab and does not; empty if all of it arrived.
    pub(super) fn missing(&self) -> Result<Vec<String>> {
        let mut missing = Vec::new();
        let mut expect = |arrived: bool, what: &str| {
            if !arrived {
                missing.push(what.to_owned());
            }
        };
        let page = self.sim.merge_request_page(self.merge_request())?;
        let pipeline = page.pipeline.as_ref();
        expect(
            pipeline.is_some_and(|p| p.status == JobState::Success && p.jobs.len() == 3),
            "a green pipeline with aldis, aldis/api and aldis/network on the merge request",
        );
        let notes: Vec<_> = page.notes.iter().filter(|n| n.author == self.bot_name).collect();
        let body = notes.first().map(|note| note.body.as_str()).unwrap_or_default();
        expect(notes.len() == 1, "just one comment of the bot");
        expect(body.contains("2 stacks passed"), "a comment that tells the result");
        expect(body.contains("firewall.edge"), "a comment that shows the exact change");
        expect(body.contains("1 failed of 4 tests"), "a comment that remembers the first try");
        let environments = self.sim.environment_page(self.project)?;
        let shown = environments.to_string();
        expect(
            environments.environments.len() == 1 && shown.contains("success"),
            "a successful deployment to production",
        );
        let tagged = self.sim.branch_head(self.project, "main")?;
        let of_tag = self.sim.pipeline_views(self.project, &tagged);
        let green = of_tag.iter().any(|p| p.git_ref == TAG && p.status == JobState::Success);
        expect(green, "a green pipeline of the tag");
        Ok(missing)
    }

    /// What a person sees in GitLab now.
    pub(super) fn show(&self, screen: &mut Screen, missing: &[String]) -> Result<()> {
        screen.title("\nWhat a person sees in GitLab")?;
        let page = self.sim.merge_request_page(self.merge_request())?;
        screen.line(&format!("\nMerge request !{MERGE_REQUEST} and its pipeline:\n{page}"))?;
        screen.line(&format!("\nEnvironments:\n{}", self.sim.environment_page(self.project)?))?;
        let project = self.sim.project_url(self.project);
        screen.title("\nWhere to look")?;
        screen.line(&format!(
            "  merge request   {}",
            self.sim.merge_request_url(self.merge_request())
        ))?;
        screen.line(&format!("  environments    {project}/-/environments"))?;
        screen.line(&format!("  Aldis           {}/", self.bot.base_url))?;
        for what in missing {
            screen.warning(&format!("MISSING: {what}"))?;
        }
        Ok(())
    }

    pub(super) async fn stop(self) {
        self.bot.stop().await;
        self.sim.stop().await;
    }
}

fn settings(
    sim: &Simulator,
    token: &str,
    secret: &str,
    dir: &TempDir,
    executor: Executor,
) -> Settings {
    Settings {
        gitlab: GitLabSettings {
            url: sim.url().to_owned(),
            token: token.into(),
            git_user: None,
            git_token: None,
            ca_file: None,
            verify_tls: true,
            budget: 6_000,
        },
        hooks: Secrets { tokens: vec![SecretString::from(secret)], signing: Vec::new() },
        roles: Roles::default(),
        listen: ([127, 0, 0, 1], 0).into(),
        base_url: None,
        data_dir: dir.path().to_owned(),
        postgres: None,
        amqp: None,
        spool_limit: 1 << 30,
        key_file: None,
        executor,
        slots: 2,
        stop_delay: std::time::Duration::ZERO,
        stop_timeout: std::time::Duration::ZERO,
        bootstrap_token: None,
        failpoint: None,
    }
}
