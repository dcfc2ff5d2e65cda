//! One commit's world: a little GitLab that knows only what it would refuse.

use std::collections::BTreeMap;

use super::super::*;
use crate::event::change::PlanVerdict;
use crate::event::resource::{
    LaneAdmitted, LaneEnded, LaneRun, PipelinesSeen, StatusesIntended, StatusesSettled,
};
use crate::event::run::{AttemptStarted, RunFinished, RunRequested};
use crate::id::{ProjectKey, Sha};
use crate::report::{Outcome, Report};
use crate::run::Run;
use crate::samples::run_requested;

pub(super) const STACKS: [&str; 3] = ["api", "docs", "web"];

/// One commit's world: the log as far as statuses go, the runs, and what GitLab shows.
#[derive(Default)]
pub(super) struct World {
    pub(super) statuses: Statuses,
    pub(super) runs: Runs,
    /// Visible lines by (pipeline, name).
    pub(super) gitlab: BTreeMap<(u64, String), StatusState>,
    pub(super) pipelines: Vec<PipelineSeen>,
    pub(super) story: Vec<String>,
}

pub(super) fn project() -> ProjectKey {
    ProjectKey::new(1, 42)
}

pub(super) fn sha() -> Sha {
    "a".repeat(40).parse().unwrap()
}

pub(super) fn branch() -> ChangeKey {
    "ref-1.42-refs/heads/topic".parse().unwrap()
}

pub(super) fn merge_request(iid: u64) -> ChangeKey {
    ChangeKey::MergeRequest { project: project(), iid }
}

pub(super) fn run_id(stack: usize, round: u8) -> RunId {
    RunId::from_digest(&[u8::try_from(stack).unwrap() * 16 + round + 1; 32])
}

impl World {
    pub(super) fn happened(&mut self, event: impl Into<Event>) {
        self.statuses.apply(&event.into());
    }

    pub(super) fn admit(&mut self, change: ChangeKey) {
        let (project, sha, lane) = (project(), sha(), "topic".to_owned());
        self.happened(LaneAdmitted { project, sha, lane, change, aggregate: "aldis".into() });
    }

    pub(super) fn plan(
        &mut self,
        change: ChangeKey,
        verdict: PlanVerdict,
        stacks: &[usize],
        round: u8,
    ) {
        let runs = stacks.iter().map(|s| LaneRun {
            stack: STACKS[*s].into(),
            name: format!("aldis/{}", STACKS[*s]),
            run: run_id(*s, round),
        });
        let runs: Vec<_> = runs.collect();
        for run in &runs {
            self.runs.entry(run.run.clone()).or_insert_with(|| Run {
                request: Some(RunRequested { round: round.into(), ..run_requested(false) }),
                released: true,
                ..Run::default()
            });
        }
        let (project, sha, lane) = (project(), sha(), "topic".to_owned());
        let aggregate = Some("aldis".to_owned());
        self.happened(LanePlanned {
            project,
            sha,
            lane,
            change,
            verdict,
            aggregate,
            runs,
            stacks: 3,
        });
    }

    pub(super) fn start(&mut self, id: &RunId) {
        let run = self.runs.get_mut(id).unwrap();
        if run.finished.is_none() {
            let epoch = run.epoch.unwrap_or(0) + 1;
            run.request.get_or_insert_with(|| run_requested(false));
            run.apply(
                &AttemptStarted {
                    attempt: 1,
                    epoch,
                    runner: "slot".into(),
                    sha: sha(),
                    audience: Vec::new(),
                    tracked: false,
                }
                .into(),
            );
        }
    }

    pub(super) fn finish(&mut self, id: &RunId, outcome: Outcome) {
        let run = self.runs.get_mut(id).unwrap();
        if run.finished.is_none() {
            run.request.get_or_insert_with(|| run_requested(false));
            let finished = RunFinished {
                run: id.clone(),
                sha: sha(),
                outcome,
                epoch: run.epoch,
                reason: None,
                report: Report::default(),
                audience: Vec::new(),
                tracked: false,
                needed: false,
            };
            run.apply(&finished.into());
        }
    }

    pub(super) fn end(&mut self, change: ChangeKey) {
        let (project, sha, lane) = (project(), sha(), "topic".to_owned());
        self.happened(LaneEnded { project, sha, lane, change, reason: EndReason::Closed });
    }

    /// Works until nothing is left to do; checks GitLab's rules at each write.
    pub(super) fn settle(&mut self) {
        let mut knowledge = Knowledge { doubt_age: Some(0), ..Knowledge::default() };
        for _ in 0..20 {
            match next(&self.statuses, &self.runs, knowledge) {
                Next::Rest { .. } => return,
                Next::Resolve | Next::Compare => unreachable!("every pass here settles"),
                Next::ReadPipelines => {
                    knowledge.pipelines_read = true;
                    let pipelines = self.pipelines.clone();
                    self.happened(PipelinesSeen {
                        project: project(),
                        sha: sha(),
                        read: true,
                        pipelines,
                    });
                }
                Next::Write(writes) => {
                    knowledge.pipelines_read = false;
                    self.happened(StatusesIntended { writes: writes.clone(), epoch: 1 });
                    let outcomes = writes.iter().map(|write| self.post(write)).collect();
                    self.happened(StatusesSettled { outcomes, tell: Vec::new(), read: false });
                }
            }
        }
        panic!("the statuses do not come to rest: {:#?}", self.statuses);
    }

    /// POST /statuses/:sha, as far as states go.
    pub(super) fn post(&mut self, write: &StatusWrite) -> StatusOutcome {
        let newest = self.pipelines.iter().filter(|p| p.name == write.lane).map(|p| p.id).max();
        let pipeline = write.pipeline.or(newest).unwrap_or_else(|| {
            let id = u64::try_from(self.pipelines.len()).unwrap() + 1;
            self.pipelines.push(PipelineSeen {
                id,
                name: write.lane.clone(),
                source: "external".into(),
            });
            id
        });
        let shown = self.gitlab.get(&(pipeline, write.name.clone())).copied();
        let open = shown.filter(|s| !s.terminal());
        let legal = match (open, write.state) {
            (None, _) => true,
            (Some(StatusState::Pending), new) => new != StatusState::Pending,
            (Some(_), new) => new.terminal() && new != StatusState::Skipped,
        };
        assert!(legal, "GitLab refuses {open:?} → {:?} for {}", write.state, write.name);
        self.story
            .push(format!("{pipeline} {} {:?}: {}", write.name, write.state, write.description));
        self.gitlab.insert((pipeline, write.name.clone()), write.state);
        StatusOutcome::Confirmed { pipeline, job: u64::try_from(self.story.len()).unwrap() }
    }

    pub(super) fn told(&mut self) -> String {
        self.settle();
        std::mem::take(&mut self.story).join("\n")
    }
}
