//! The statuses of a commit: what GitLab should show, what it shows, and the writes between.
//!
//! A lane is a pipeline ref of the posting project; merge requests subscribe to lanes. GitLab's job
//! state machine is kept here, so that no illegal or needless write is ever sent (GitLab:
//! `app/services/ci/create_commit_status_service.rb`, `app/models/commit_status.rb`).

mod lines;
mod plan;
mod settle;

use std::collections::{BTreeMap, BTreeSet};

use crate::event::resource::{
    LanePlanned, PipelineSeen, RefusalClass, StatusOutcome, StatusShown, StatusState, StatusWrite,
};
use crate::event::{EndReason, Event};
use crate::fold::Fold;
use crate::id::{ChangeKey, RunId};
use crate::run::Run;

pub use lines::{Line, lines};
pub use plan::{Knowledge, Next, next};
pub use settle::{Visible, compare, settle};

/// The runs a commit's plans name.
pub type Runs = BTreeMap<RunId, Run>;

/// Everything known of the statuses of one (posting project, sha).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statuses {
    pub lanes: BTreeMap<String, Lane>,
    /// What each line shows, by pipeline and name.
    pub rows: BTreeMap<(u64, String), Row>,
    /// Writes that were intended and of which nothing more is known.
    pub in_doubt: Option<Vec<StatusWrite>>,
    /// A write got no answer, and GitLab may still carry it out: what the lines show is to be
    /// compared when it no longer can.
    pub may_land: bool,
    /// GitLab said that the pipelines of this commit changed, or a merge request joined.
    pub pipelines_stale: bool,
    /// Lines that GitLab will not take, by lane and name, for one attempt.
    pub refused: BTreeMap<(String, String), Refused>,
    /// The pipelines were looked at again after the first status.
    pub looked_again: bool,
}

/// One pipeline ref.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lane {
    /// The pipeline that the lines are pinned to.
    pub home: Option<u64>,
    /// Pipelines that were home before.
    pub former: BTreeSet<u64>,
    /// Name of the aggregate that was promised before there was a plan.
    pub admitted: Option<String>,
    pub subscribers: BTreeMap<ChangeKey, Subscriber>,
    /// Raised by each plan that names other runs: a new attempt of the aggregate.
    pub generation: u32,
}

/// A change that looks at the lane.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Subscriber {
    pub plan: Option<LanePlanned>,
    pub ended: Option<EndReason>,
}

/// What a line shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub attempt: String,
    pub state: StatusState,
    pub description: String,
}

/// A line GitLab will not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub attempt: String,
    pub class: RefusalClass,
    pub message: String,
}

impl StatusState {
    /// Whether GitLab counts it as over.
    pub fn terminal(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

impl Fold for Statuses {
    fn apply(&mut self, event: &Event) {
        match event {
            Event::LaneAdmitted(admitted) => {
                let lane = self.lanes.entry(admitted.lane.clone()).or_default();
                lane.admitted = Some(admitted.aggregate.clone());
                let subscriber = lane.subscribers.entry(admitted.change.clone()).or_default();
                subscriber.ended = None;
            }
            Event::LanePlanned(planned) => self.planned(planned),
            Event::LaneEnded(ended) => {
                self.lanes.entry(ended.lane.clone()).or_default();
                for lane in self.lanes_of(&ended.lane, &ended.change) {
                    lane.subscribers.entry(ended.change.clone()).or_default().ended =
                        Some(ended.reason.clone());
                }
            }
            Event::PipelinesSeen(seen) if seen.read => self.pipelines(&seen.pipelines),
            Event::PipelinesSeen(_) => self.pipelines_stale = true,
            Event::StatusesIntended(intended) => self.in_doubt = Some(intended.writes.clone()),
            Event::StatusesSettled(settled) => {
                let writes = self.in_doubt.take().unwrap_or_default();
                for (write, outcome) in writes.into_iter().zip(&settled.outcomes) {
                    self.settled(write, outcome);
                }
                self.may_land |= settled.read;
            }
            Event::StatusesCompared(compared) => {
                self.may_land = false;
                for line in &compared.lines {
                    self.compared(line);
                }
            }
            _ => {}
        }
    }
}

impl Statuses {
    fn planned(&mut self, planned: &LanePlanned) {
        self.lanes.entry(planned.lane.clone()).or_default();
        let mut joins = false;
        for lane in self.lanes_of(&planned.lane, &planned.change) {
            let subscriber = lane.subscribers.entry(planned.change.clone()).or_default();
            joins |= subscriber.plan.is_none();
            let same = subscriber.ended.is_none()
                && subscriber
                    .plan
                    .as_ref()
                    .is_some_and(|p| p.runs == planned.runs && p.verdict == planned.verdict);
            subscriber.plan = Some(planned.clone());
            subscriber.ended = None;
            if !same {
                lane.generation += 1;
            }
        }
        self.pipelines_stale |= joins && planned.change.merge_request().is_some();
    }

    /// The named lane, and the merge request's own lane if GitLab made a pipeline for it.
    fn lanes_of<'a>(
        &'a mut self,
        named: &'a str,
        change: &'a ChangeKey,
    ) -> impl Iterator<Item = &'a mut Lane> {
        self.lanes
            .iter_mut()
            .filter(move |(name, lane)| *name == named || lane.subscribers.contains_key(change))
            .map(|(_, lane)| lane)
    }

    /// Homes are chosen again: the newest pipeline of each lane's ref, as GitLab itself would pick
    /// (`app/finders/ci/pipelines_for_merge_request_finder.rb`). A merge request's own pipelines
    /// open a lane for each subscribed merge request they belong to.
    fn pipelines(&mut self, seen: &[PipelineSeen]) {
        self.pipelines_stale = false;
        self.looked_again |= !self.rows.is_empty();
        self.open_merge_request_lanes(seen);
        for (name, lane) in &mut self.lanes {
            let newest = seen.iter().filter(|p| p.name == *name).map(|p| p.id).max();
            if let Some(newest) = newest.filter(|newest| lane.home != Some(*newest)) {
                lane.former.extend(lane.home);
                lane.home = Some(newest);
            }
        }
    }

    fn open_merge_request_lanes(&mut self, seen: &[PipelineSeen]) {
        let mut joining = Vec::new();
        for lane in self.lanes.values() {
            for (change, subscriber) in &lane.subscribers {
                let Some(iid) = change.merge_request() else { continue };
                let name = format!("refs/merge-requests/{iid}/head");
                let known =
                    self.lanes.get(&name).is_some_and(|l| l.subscribers.contains_key(change));
                if !known && seen.iter().any(|p| p.name == name) {
                    joining.push((name, change.clone(), subscriber.clone()));
                }
            }
        }
        for (name, change, subscriber) in joining {
            let lane = self.lanes.entry(name).or_default();
            lane.generation += 1;
            lane.subscribers.insert(change, subscriber);
        }
    }

    fn settled(&mut self, write: StatusWrite, outcome: &StatusOutcome) {
        let lane = self.lanes.entry(write.lane.clone()).or_default();
        let (pipeline, state) = match outcome {
            StatusOutcome::Confirmed { pipeline, .. } => (*pipeline, write.state),
            StatusOutcome::Differs { pipeline, state, .. } => (*pipeline, *state),
            StatusOutcome::NotDone => return,
            StatusOutcome::HomeGone => {
                let gone = write.pipeline;
                lane.home = lane.home.filter(|home| Some(*home) != gone);
                lane.former.retain(|former| Some(*former) != gone);
                self.rows.retain(|(pipeline, _), _| Some(*pipeline) != gone);
                self.pipelines_stale = true;
                return;
            }
            StatusOutcome::Refused { class, message } => {
                let refused =
                    Refused { attempt: write.attempt, class: *class, message: message.clone() };
                self.refused.insert((write.lane, write.name), refused);
                return;
            }
        };
        lane.home = lane.home.or(Some(pipeline));
        let row = Row { attempt: write.attempt, state, description: write.description };
        self.rows.insert((pipeline, write.name), row);
    }

    fn compared(&mut self, line: &StatusShown) {
        let StatusShown { pipeline, name, state, description } = line.clone();
        let shown = Row { attempt: String::new(), state, description: description.clone() };
        let row = self.rows.entry((pipeline, name)).or_insert(shown);
        (row.state, row.description) = (state, description);
    }

    /// Every run that a plan of this commit names.
    pub fn runs(&self) -> BTreeSet<RunId> {
        let plans = self
            .lanes
            .values()
            .flat_map(|l| l.subscribers.values())
            .filter_map(|s| s.plan.as_ref());
        plans.flat_map(|p| &p.runs).map(|r| r.run.clone()).collect()
    }
}

#[cfg(test)]
#[path = "statuses/tests.rs"]
mod tests;
