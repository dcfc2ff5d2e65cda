//! Developers at work, each in a project of its own, and what must stand there when they are done.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use aldis_gitlab_sim::{
    AccessLevel, JobState, JobView, MergeRequestRef, ProjectId, Secret, Trigger, UserId,
};
use aldis_tests::HOOK_SECRET;
use anyhow::{Context, Result};

use crate::change::Change;
use crate::crew::Crew;
use crate::dice::Dice;
use crate::faults::Course;

/// People at work at the same time.
pub(crate) const DEVELOPERS: u64 = 16;
/// A branch beside the default one, for merge requests that go to both.
pub(crate) const RELEASE: &str = "release";
/// Of a hundred merge requests so many are a developer's first in a new project.
const MOVES: u64 = 6;

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
/// Of the config.
pub(crate) const STACKS: usize = 2;

/// What all developers share.
pub(crate) struct Town {
    pub(crate) crew: Arc<Crew>,
    course: Arc<Course>,
    /// They go home when GitLab has sent so many webhooks and nothing breaks any more.
    deliveries: u64,
    /// Merge requests brought to an end.
    pub(crate) ended: AtomicU64,
    /// Verdicts that were not red or green because every attempt had lost its runner.
    pub(crate) lost: AtomicU64,
    waits: Mutex<Waits>,
}

/// What people asked for, and when.
#[derive(Debug, Default, Clone)]
pub(crate) struct Waits {
    pub(crate) verdicts: Vec<Wait>,
    /// When somebody last did something.
    pub(crate) last_act: Option<Instant>,
}

/// One verdict that somebody waited for.
#[derive(Debug, Clone)]
pub(crate) struct Wait {
    pub(crate) sha: String,
    pub(crate) asked: Instant,
    pub(crate) stood: Instant,
}

/// How a commit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Green,
    /// The first stack, and so the second was not begun.
    Red,
    /// Superseded, or on request.
    Canceled,
    /// A merge, which deploys: green unless nobody knows how that went.
    Deployed,
    /// A merge of which every attempt of a run lost its runner.
    Lost,
}

/// What must stand there at the end.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    /// All of one branch.
    pub(crate) mrs: Vec<MergeRequestRef>,
    pub(crate) project: ProjectId,
    /// All commits.
    pub(crate) commits: Vec<(String, Verdict)>,
    /// Stacks of each.
    pub(crate) stacks: usize,
    /// What the comments say of the last one.
    pub(crate) headline: String,
}

impl Town {
    pub(crate) fn new(crew: Arc<Crew>, course: Arc<Course>, deliveries: u64) -> Self {
        let (ended, lost, waits) = Default::default();
        Self { crew, course, deliveries, ended, lost, waits }
    }

    /// Works until the day is over; all that must be seen at the end.
    pub(crate) async fn developer(&self, number: u64, seed: u64) -> Result<Vec<Expected>> {
        let mut dice = Dice::new(seed, 100 + number);
        let mut expected = Vec::new();
        let (mut houses, mut home) = (0, None);
        for round in 0.. {
            if self.crew.sim.deliveries_fired() >= self.deliveries && self.course.is_calm() {
                break;
            }
            let (project, user) = match home.filter(|_| !dice.percent(MOVES)) {
                Some(home) => home,
                None => house(&self.crew, number + houses * DEVELOPERS, CONFIG)?,
            };
            if home != Some((project, user)) {
                houses += 1;
                home = Some((project, user));
            }
            let change = Change { town: self, project, user, branch: format!("change-{round}") };
            let done = change.live(&mut dice).await;
            expected.push(done.with_context(|| format!("developer {number}, change {round}"))?);
            self.ended.fetch_add(1, Ordering::Relaxed);
        }
        Ok(expected)
    }

    /// Somebody does something now.
    pub(crate) fn acts(&self) -> Instant {
        let now = Instant::now();
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.last_act = waits.last_act.max(Some(now));
        now
    }

    /// A verdict stands.
    pub(crate) fn stands(&self, sha: &str, asked: Instant) {
        let wait = Wait { sha: sha.to_owned(), asked, stood: Instant::now() };
        self.waits.lock().unwrap_or_else(PoisonError::into_inner).verdicts.push(wait);
    }

    pub(crate) fn waits(&self) -> Waits {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Verdict {
    /// What a line may show of it at the end. `unknown`: nobody knows how the deployment went.
    pub(crate) fn allows(self, line: &str, unknown: bool) -> &'static [JobState] {
        match (self, line) {
            (Self::Red, "aldis" | "aldis/app") => &[JobState::Failed],
            (Self::Red, _) => &[JobState::Skipped],
            (Self::Canceled, "aldis" | "aldis/app") => &[JobState::Canceled],
            // It was not begun, because of the other or like it.
            (Self::Canceled, _) => &[JobState::Canceled, JobState::Skipped],
            (Self::Deployed, "aldis" | "aldis/deploy") if unknown => &[JobState::Failed],
            (Self::Green | Self::Deployed, _) => &[JobState::Success],
            (Self::Lost, _) => &[JobState::Canceled, JobState::Skipped, JobState::Success],
        }
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
    sim.by(user).push(project, RELEASE, "main")?;
    let secret = Secret::Token(HOOK_SECRET.to_owned());
    sim.add_hook(project, &crew.webhook_url(), secret, Trigger::ALL)?;
    Ok((project, user))
}

/// Our lines in the commit's newest pipeline that has an aggregate.
pub(crate) fn lines(crew: &Crew, project: ProjectId, sha: &str) -> Vec<JobView> {
    let pipelines = crew.sim.pipeline_views(project, sha).into_iter();
    let mut ours = pipelines.filter(|p| p.jobs.iter().any(|job| job.name == "aldis"));
    let jobs = ours.next().map(|pipeline| pipeline.jobs).unwrap_or_default();
    jobs.into_iter().filter(|job| job.name.split('/').next() == Some("aldis")).collect()
}

/// The aggregate's state.
pub(crate) fn aggregate(crew: &Crew, project: ProjectId, sha: &str) -> Option<JobState> {
    lines(crew, project, sha).into_iter().find(|job| job.name == "aldis").map(|job| job.state)
}
