//! Developers at work: each opens a merge request, waits for the verdict, mends it, and merges or
//! gives up. Whoever waits for too long says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aldis_gitlab_sim::{
    AccessLevel, JobState, MergeRequestRef, ProjectId, Secret, Trigger, UserId,
};
use aldis_tests::HOOK_SECRET;
use anyhow::{Context, Result, bail};

use crate::crew::Crew;
use crate::dice::Dice;

const CONFIG: &str = "\
version: 1
stacks:
  app:
    steps:
      - { name: test, run: sh ./test.sh }
  deploy:
    needs: [app]
    steps:
      - { name: deploy, run: test -z $ALDIS_ENVIRONMENT || sleep 0.2 }
    environment: { name: production, url: https://app.example.org, tier: production }
";
/// Longest wait for one verdict. A note left in doubt twice, a run that lost two runners and a
/// database that was away fit in it.
const PATIENCE: Duration = Duration::from_mins(8);
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What all developers share.
pub(crate) struct Town {
    pub(crate) crew: Arc<Crew>,
    /// They go home when GitLab has sent so many webhooks.
    pub(crate) deliveries: u64,
    /// Merge requests brought to an end.
    pub(crate) ended: AtomicU64,
    /// The longest wait for a verdict, in milliseconds.
    pub(crate) longest: AtomicU64,
    /// Verdicts that were not red or green because every attempt had lost its runner.
    pub(crate) lost: AtomicU64,
}

/// What must stand there at the end.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    pub(crate) mr: MergeRequestRef,
    /// Of the merge, which deploys.
    pub(crate) merged: Option<String>,
    /// All commits.
    pub(crate) shas: Vec<String>,
    /// What the comment says of the last one.
    pub(crate) headline: String,
}

impl Town {
    pub(crate) fn new(crew: Arc<Crew>, deliveries: u64) -> Self {
        let (ended, longest, lost) = Default::default();
        Self { crew, deliveries, ended, longest, lost }
    }

    /// Works in a project of its own until the day is over; all that must be seen at the end.
    pub(crate) async fn developer(&self, number: u64, seed: u64) -> Result<Vec<Expected>> {
        let mut dice = Dice::new(seed, 100 + number);
        let (project, user) = self.settle_in(number)?;
        let mut expected = Vec::new();
        for round in 0.. {
            if self.crew.sim.deliveries_fired() >= self.deliveries {
                break;
            }
            let change = Change { town: self, project, user, branch: format!("change-{round}") };
            let done = change.live(&mut dice).await;
            expected.push(done.with_context(|| format!("developer {number}, change {round}"))?);
            self.ended.fetch_add(1, Ordering::Relaxed);
        }
        Ok(expected)
    }

    fn settle_in(&self, number: u64) -> Result<(ProjectId, UserId)> {
        house(&self.crew, number, CONFIG)
    }
}

/// A project of its own with its developer, whose hook leads to the bot.
pub(crate) fn house(crew: &Crew, number: u64, config: &str) -> Result<(ProjectId, UserId)> {
    let sim = &crew.sim;
    let user = sim.create_user(&format!("dev{number}"));
    let project = sim.create_project(&format!("town/house-{number}"), user)?;
    sim.set_member(project, crew.bot_user, AccessLevel::Maintainer)?;
    let files = [(".aldis.yml", Some(config)), ("test.sh", Some("true\n"))];
    sim.by(user).commit_and_push(project, "main", &files, "Begin")?;
    let secret = Secret::Token(HOOK_SECRET.to_owned());
    sim.add_hook(project, &crew.webhook_url(), secret, Trigger::ALL)?;
    Ok((project, user))
}

/// The aggregate's state in the commit's newest pipeline that has one.
pub(crate) fn aggregate(crew: &Crew, project: ProjectId, sha: &str) -> Option<JobState> {
    let pipelines = crew.sim.pipeline_views(project, sha);
    let jobs = pipelines.iter().flat_map(|pipeline| &pipeline.jobs);
    jobs.into_iter().find(|job| job.name == "aldis").map(|job| job.state)
}

/// One merge request of one developer.
struct Change<'a> {
    town: &'a Town,
    project: ProjectId,
    user: UserId,
    branch: String,
}

impl Change<'_> {
    async fn live(&self, dice: &mut Dice) -> Result<Expected> {
        let sim = &self.town.crew.sim;
        let red = dice.percent(40);
        let mut shas = vec![self.push(if red { "false" } else { "true" }, dice)?];
        let mr = sim.by(self.user).propose(self.project, &self.branch, &self.branch)?;
        self.verdict(mr, &shas[0], !red).await?;
        if red || dice.percent(30) {
            let sha = self.push("true", dice)?;
            self.verdict(mr, &sha, true).await?;
            shas.push(sha);
        }
        // Nobody goes before all is green.
        let headline = "2 stacks passed".to_owned();
        if dice.percent(30) {
            sim.by(self.user).close(mr)?;
            return Ok(Expected { mr, merged: None, shas, headline });
        }
        let merged = sim.by(self.user).merge(mr)?;
        self.deployed(&merged).await?;
        shas.push(merged.clone());
        Ok(Expected { mr, merged: Some(merged), shas, headline })
    }

    fn push(&self, test: &str, dice: &mut Dice) -> Result<String> {
        let text = format!("{test} # {}\n", dice.next());
        let files = [("test.sh", Some(text.as_str()))];
        let sim = &self.town.crew.sim;
        Ok(sim.by(self.user).commit_and_push(self.project, &self.branch, &files, &self.branch)?)
    }

    /// Waits until the merge request says how its head did, and that it is right.
    async fn verdict(&self, mr: MergeRequestRef, sha: &str, green: bool) -> Result<()> {
        let begun = Instant::now();
        loop {
            let state = self.state(sha);
            if state == Some(JobState::Canceled) && self.was_lost(sha) {
                // Nobody's fault; a person asks once more.
                self.town.lost.fetch_add(1, Ordering::Relaxed);
                self.town.crew.sim.by(self.user).comment(mr, "/retest")?;
                self.until_it_moves(sha).await;
            }
            let right = if green { JobState::Success } else { JobState::Failed };
            match state {
                Some(state) if state == right => break,
                Some(JobState::Success | JobState::Failed) => {
                    bail!("!{} of {sha}: {state:?}, not {right:?}", mr.iid)
                }
                _ => self.wait(begun, &format!("!{} of {sha} has no verdict", mr.iid)).await?,
            }
        }
        self.town.longest.fetch_max(millis(begun), Ordering::Relaxed);
        let page = self.town.crew.sim.merge_request_page(mr)?;
        let notes = page.notes.iter().filter(|note| note.author == "aldis").count();
        if notes > 1 {
            bail!("!{} shows {notes} comments", mr.iid);
        }
        Ok(())
    }

    /// Waits until the merge has deployed, well or with an outcome that nobody knows.
    async fn deployed(&self, sha: &str) -> Result<()> {
        let begun = Instant::now();
        while !matches!(self.state(sha), Some(JobState::Success | JobState::Failed)) {
            self.wait(begun, &format!("the merge {sha} has no verdict")).await?;
        }
        self.town.longest.fetch_max(millis(begun), Ordering::Relaxed);
        Ok(())
    }

    async fn wait(&self, begun: Instant, problem: &str) -> Result<()> {
        if begun.elapsed() > PATIENCE {
            bail!("{problem} after {} s:\n{}", PATIENCE.as_secs(), self.seen());
        }
        tokio::time::sleep(LOOK_EVERY).await;
        Ok(())
    }

    async fn until_it_moves(&self, sha: &str) {
        let begun = Instant::now();
        while self.state(sha) == Some(JobState::Canceled) && begun.elapsed() < PATIENCE {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn state(&self, sha: &str) -> Option<JobState> {
        aggregate(&self.town.crew, self.project, sha)
    }

    fn was_lost(&self, sha: &str) -> bool {
        let pipelines = self.town.crew.sim.pipeline_views(self.project, sha);
        let jobs = pipelines.iter().flat_map(|pipeline| &pipeline.jobs);
        jobs.into_iter().any(|job| {
            job.description.as_deref().is_some_and(|text| text.contains("lost its runner"))
        })
    }

    fn seen(&self) -> String {
        let pages = (1..).map_while(|iid| {
            let mr = MergeRequestRef { project: self.project, iid };
            self.town.crew.sim.merge_request_page(mr).ok()
        });
        pages.last().map(|page| page.to_string()).unwrap_or_default()
    }
}

fn millis(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}
