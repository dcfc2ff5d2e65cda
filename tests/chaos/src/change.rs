//! One merge request of one developer: it is opened, mended, talked about, and merged or given up.
//! Whoever waits for a verdict for too long says so.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aldis_gitlab_sim::{
    JobState, MergeRequestRef, NewMergeRequest, NoteView, Person, ProjectId, UserId,
};
use anyhow::{Result, bail};

use crate::dice::Dice;
use crate::town::{Expected, RELEASE, STACKS, Town, Verdict, aggregate};

/// Longest wait for one verdict. A note left in doubt twice, a run that lost two runners and a
/// database that was away fit in it.
const PATIENCE: Duration = Duration::from_mins(8);
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Nobody waits for its end.
const ENDLESS: &str = "sleep 600";
const GREEN: &str = "2 stacks passed";

/// One branch and its merge requests.
pub(crate) struct Change<'a> {
    pub(crate) town: &'a Town,
    pub(crate) project: ProjectId,
    pub(crate) user: UserId,
    pub(crate) branch: String,
}

impl Change<'_> {
    pub(crate) async fn live(&self, dice: &mut Dice) -> Result<Expected> {
        let (test, right) = match dice.below(100) {
            ..15 => (ENDLESS, Verdict::Canceled),
            15..50 => ("false", Verdict::Red),
            _ => ("true", Verdict::Green),
        };
        let sha = self.push(test, dice)?;
        let mr = self.person().propose(self.project, &self.branch, &self.branch)?;
        let twin = if dice.percent(12) { Some(self.twin()?) } else { None };
        let mut commits = vec![(sha.clone(), right)];
        let asked = self.town.acts();
        if right == Verdict::Canceled {
            self.until_running(&sha, asked).await?;
            if dice.percent(50) {
                self.cancel(mr, &sha).await?;
            }
        } else {
            self.verdict(mr, &sha, right, asked).await?;
        }
        if right == Verdict::Red && dice.percent(30) {
            self.retest(mr, &sha).await?;
        }
        if right != Verdict::Green || dice.percent(30) {
            let sha = self.push("true", dice)?;
            self.verdict(mr, &sha, Verdict::Green, self.town.acts()).await?;
            commits.push((sha, Verdict::Green));
        }
        let mut mrs = vec![mr];
        if let Some(twin) = twin {
            // The lines are of both: one that goes before it was looked at is never told anything.
            for one in [mr, twin] {
                self.until_told(one).await?;
            }
            self.person().close(twin)?;
            mrs.push(twin);
        }
        // Nobody goes before all is green.
        if dice.percent(30) {
            self.person().close(mr)?;
        } else {
            let merged = self.person().merge(mr)?;
            let verdict = self.deployed(&merged).await?;
            commits.push((merged, verdict));
        }
        let (project, headline) = (self.project, GREEN.to_owned());
        Ok(Expected { mrs, project, commits, stacks: STACKS, headline })
    }

    /// Whoever acts.
    fn person(&self) -> Person<'_> {
        self.town.acts();
        self.town.crew.sim.by(self.user)
    }

    fn push(&self, test: &str, dice: &mut Dice) -> Result<String> {
        let text = format!("{test} # {}\n", dice.next());
        let files = [("test.sh", Some(text.as_str()))];
        Ok(self.person().commit_and_push(self.project, &self.branch, &files, &self.branch)?)
    }

    /// A second merge request of the branch, which wants the same runs.
    fn twin(&self) -> Result<MergeRequestRef> {
        Ok(self.person().open_merge_request(NewMergeRequest {
            source_project: self.project,
            source_branch: self.branch.clone(),
            project: self.project,
            target_branch: RELEASE.to_owned(),
            title: format!("{} for {RELEASE}", self.branch),
        })?)
    }

    /// Waits until the merge request says how its head did, and that it is right.
    async fn verdict(
        &self,
        mr: MergeRequestRef,
        sha: &str,
        right: Verdict,
        mut asked: Instant,
    ) -> Result<()> {
        let begun = Instant::now();
        let right = if right == Verdict::Green { JobState::Success } else { JobState::Failed };
        loop {
            let state = self.state(sha);
            if state == Some(JobState::Canceled) && self.was_lost(sha) {
                // Nobody's fault; a person asks once more.
                self.town.lost.fetch_add(1, Ordering::Relaxed);
                let rows = self.rows(sha);
                self.person().comment(mr, "/retest")?;
                asked = self.town.acts();
                self.until_anew(sha, rows, asked).await?;
            }
            match state {
                Some(state) if state == right => break,
                Some(JobState::Success | JobState::Failed) => {
                    bail!("!{} of {sha}: {state:?}, not {right:?}", mr.iid)
                }
                _ => self.wait(begun, &format!("!{} of {sha} has no verdict", mr.iid)).await?,
            }
        }
        self.town.stands(sha, asked);
        let notes = self.notes(mr)?.len();
        if notes > 1 {
            bail!("!{} shows {notes} comments", mr.iid);
        }
        Ok(())
    }

    /// Asks for what is red once more, though it will be red again.
    async fn retest(&self, mr: MergeRequestRef, sha: &str) -> Result<()> {
        let rows = self.rows(sha);
        self.person().comment(mr, "/retest")?;
        let asked = self.town.acts();
        self.until_anew(sha, rows, asked).await?;
        self.verdict(mr, sha, Verdict::Red, asked).await
    }

    /// Ends what runs.
    async fn cancel(&self, mr: MergeRequestRef, sha: &str) -> Result<()> {
        self.person().comment(mr, "/cancel")?;
        let asked = self.town.acts();
        while self.state(sha) != Some(JobState::Canceled) {
            self.wait(asked, &format!("!{} of {sha} is not canceled", mr.iid)).await?;
        }
        self.town.stands(sha, asked);
        Ok(())
    }

    /// Waits until the merge has deployed, well or with an outcome that nobody knows.
    async fn deployed(&self, sha: &str) -> Result<Verdict> {
        let asked = self.town.acts();
        let verdict = loop {
            match self.state(sha) {
                Some(JobState::Success | JobState::Failed) => break Verdict::Deployed,
                Some(JobState::Canceled) if self.was_lost(sha) => {
                    self.town.lost.fetch_add(1, Ordering::Relaxed);
                    break Verdict::Lost;
                }
                _ => self.wait(asked, &format!("the merge {sha} has no verdict")).await?,
            }
        };
        self.town.stands(sha, asked);
        Ok(verdict)
    }

    async fn until_running(&self, sha: &str, asked: Instant) -> Result<()> {
        while self.state(sha) != Some(JobState::Running) {
            self.wait(asked, &format!("{sha} does not run")).await?;
        }
        self.town.stands(sha, asked);
        Ok(())
    }

    /// Waits until there are newer lines than so many rows.
    async fn until_anew(&self, sha: &str, rows: usize, asked: Instant) -> Result<()> {
        while self.rows(sha) <= rows {
            self.wait(asked, &format!("{sha} does not begin anew")).await?;
        }
        Ok(())
    }

    async fn until_told(&self, mr: MergeRequestRef) -> Result<()> {
        let begun = Instant::now();
        while !self.notes(mr)?.iter().any(|note| note.body.contains(GREEN)) {
            self.wait(begun, &format!("!{} does not tell", mr.iid)).await?;
        }
        Ok(())
    }

    async fn wait(&self, begun: Instant, problem: &str) -> Result<()> {
        if begun.elapsed() > PATIENCE {
            bail!("{problem} after {} s:\n{}", PATIENCE.as_secs(), self.seen());
        }
        tokio::time::sleep(LOOK_EVERY).await;
        Ok(())
    }

    fn state(&self, sha: &str) -> Option<JobState> {
        aggregate(&self.town.crew, self.project, sha)
    }

    /// Rows that are hidden behind newer ones.
    fn rows(&self, sha: &str) -> usize {
        let pipelines = self.town.crew.sim.pipeline_views(self.project, sha);
        pipelines.iter().map(|pipeline| pipeline.retried).sum()
    }

    fn was_lost(&self, sha: &str) -> bool {
        let pipelines = self.town.crew.sim.pipeline_views(self.project, sha);
        let jobs = pipelines.iter().flat_map(|pipeline| &pipeline.jobs);
        jobs.into_iter().any(|job| {
            job.description.as_deref().is_some_and(|text| text.contains("lost its runner"))
        })
    }

    fn notes(&self, mr: MergeRequestRef) -> Result<Vec<NoteView>> {
        let page = self.town.crew.sim.merge_request_page(mr)?;
        Ok(page.notes.into_iter().filter(|note| note.author == "aldis").collect())
    }

    fn seen(&self) -> String {
        let pages = (1..).map_while(|iid| {
            let mr = MergeRequestRef { project: self.project, iid };
            self.town.crew.sim.merge_request_page(mr).ok()
        });
        // Both, if there are two of the branch.
        let own = pages.filter(|page| page.title.starts_with(&self.branch));
        own.map(|page| page.to_string()).collect::<Vec<_>>().join("\n")
    }
}
