//! The end of a change: its runs and lanes are left, and what nobody else wants is canceled.

use aldis_bus::Topic;
use aldis_domain::change::Change;
use aldis_domain::event::EndReason;
use aldis_domain::event::change::{ChangeEnded, ChangePlanned};
use aldis_domain::event::resource::LaneEnded;
use aldis_domain::id::{ChangeKey, ProjectKey, RunId, Sha};
use aldis_domain::run::{Run, RunCommand, decide};
use aldis_domain::statuses::Statuses;
use aldis_domain::stream;
use aldis_store::{Meta, StoreError, Unit, transact};

use crate::plan::Source;
use crate::{PlanError, Planner};

impl Planner {
    pub(crate) async fn end_change(
        &self,
        key: &ChangeKey,
        reason: EndReason,
        source: &Source,
    ) -> Result<(), PlanError> {
        let name = stream::change(key);
        transact!(self.store, source.meta.clone(), unit => {
            let change: Change = unit.fold(&name).await?;
            if change.head.is_none() || change.ended.is_some() {
                return Ok(());
            }
            if let Some(plan) = change.plan() {
                leave_plan(unit, key, plan, &reason, |_| true).await?;
            }
            unit.append(&name, ChangeEnded { reason: reason.clone() });
            Ok::<_, PlanError>(())
        })?;
        self.bus.hint(Topic::Cancel);
        Ok(())
    }

    /// Ends the change's subscription to the statuses of `sha`, if it has one there.
    pub(crate) async fn end_lane(
        &self,
        project: ProjectKey,
        sha: &Sha,
        change: &ChangeKey,
        reason: &EndReason,
        meta: &Meta,
    ) -> Result<(), StoreError> {
        transact!(self.store, meta.clone(), unit => {
            leave_lanes(unit, project, sha, change, reason).await
        })
    }
}

/// Leaves the plan's runs that `cancelable` allows. If all are left or over, its lanes too.
pub(crate) async fn leave_plan(
    unit: &mut Unit,
    change: &ChangeKey,
    plan: &ChangePlanned,
    reason: &EndReason,
    cancelable: impl Fn(&Run) -> bool,
) -> Result<(), PlanError> {
    let mut kept = false;
    for run in plan.stacks.iter().filter_map(|s| s.run.as_ref()) {
        kept |= !leave_run(unit, change, run, reason, &cancelable).await?;
    }
    if !kept {
        leave_lanes(unit, plan.posting_project, &plan.sha, change, reason).await?;
    }
    Ok(())
}

/// Returns whether the change is rid of the run.
pub(crate) async fn leave_run(
    unit: &mut Unit,
    change: &ChangeKey,
    id: &RunId,
    reason: &EndReason,
    cancelable: impl Fn(&Run) -> bool,
) -> Result<bool, PlanError> {
    let name = stream::run(id);
    let run: Run = unit.fold(&name).await?;
    if run.finished.is_some() {
        return Ok(true);
    }
    if !cancelable(&run) || run.tracked() {
        return Ok(false);
    }
    let leave = RunCommand::Leave { change: change.clone(), reason: reason.clone() };
    for event in decide(&run, leave)? {
        unit.append(&name, event);
    }
    Ok(true)
}

async fn leave_lanes(
    unit: &mut Unit,
    project: ProjectKey,
    sha: &Sha,
    change: &ChangeKey,
    reason: &EndReason,
) -> Result<(), StoreError> {
    let name = stream::statuses(project, sha);
    let statuses: Statuses = unit.fold(&name).await?;
    let lane = statuses
        .lanes
        .iter()
        .find(|(_, lane)| lane.subscribers.get(change).is_some_and(|s| s.ended.is_none()));
    if let Some((lane, _)) = lane {
        let ended = LaneEnded {
            project,
            sha: sha.clone(),
            lane: lane.clone(),
            change: change.clone(),
            reason: reason.clone(),
        };
        unit.append(&name, ended);
    }
    Ok(())
}
