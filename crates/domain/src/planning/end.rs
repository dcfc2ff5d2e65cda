//! The end of a change: its runs and lanes are left, and what nobody else wants is canceled.

use super::{Ledger, Undecided};
use crate::change::Change;
use crate::event::EndReason;
use crate::event::change::{ChangeEnded, ChangePlanned};
use crate::event::resource::LaneEnded;
use crate::id::{ChangeKey, ProjectKey, RunId, Sha};
use crate::run::{Run, RunCommand, decide};
use crate::statuses::Statuses;
use crate::stream;

/// Ends the change, if it is known and not over yet.
pub fn end_change(
    ledger: &mut Ledger,
    key: &ChangeKey,
    reason: &EndReason,
) -> Result<(), Undecided> {
    let name = stream::change(key);
    let change: Change = ledger.fold(&name)?;
    if change.head.is_none() || change.ended.is_some() {
        return Ok(());
    }
    if let Some(plan) = change.plan() {
        leave_plan(ledger, key, plan, reason, |_| true)?;
    }
    ledger.append(&name, ChangeEnded { reason: reason.clone() });
    Ok(())
}

/// Cancels whatever of the newest plan is not over, for everybody who looks at it.
pub fn cancel_runs(ledger: &mut Ledger, key: &ChangeKey, actor: u64) -> Result<(), Undecided> {
    let change: Change = ledger.fold(&stream::change(key))?;
    for id in change.plan().into_iter().flat_map(|p| &p.stacks).filter_map(|s| s.run.as_ref()) {
        let name = stream::run(id);
        let run: Run = ledger.fold(&name)?;
        let cancel = RunCommand::Cancel { reason: EndReason::Asked { by: actor } };
        for event in decide(&run, cancel)? {
            ledger.append(&name, event);
        }
    }
    Ok(())
}

/// Ends the change's subscription to the statuses of `sha`, if it has one there.
pub fn end_lane(
    ledger: &mut Ledger,
    project: ProjectKey,
    sha: &Sha,
    change: &ChangeKey,
    reason: &EndReason,
) -> Result<(), Undecided> {
    leave_lanes(ledger, project, sha, change, reason)
}

/// Leaves the plan's runs that `cancelable` allows. If all are left or over, its lanes too.
pub(super) fn leave_plan(
    ledger: &mut Ledger,
    change: &ChangeKey,
    plan: &ChangePlanned,
    reason: &EndReason,
    cancelable: impl Fn(&Run) -> bool,
) -> Result<(), Undecided> {
    let mut kept = false;
    for run in plan.stacks.iter().filter_map(|s| s.run.as_ref()) {
        kept |= !leave_run(ledger, change, run, reason, &cancelable)?;
    }
    if !kept {
        leave_lanes(ledger, plan.posting_project, &plan.sha, change, reason)?;
    }
    Ok(())
}

/// Returns whether the change is rid of the run.
pub(super) fn leave_run(
    ledger: &mut Ledger,
    change: &ChangeKey,
    id: &RunId,
    reason: &EndReason,
    cancelable: impl Fn(&Run) -> bool,
) -> Result<bool, Undecided> {
    let name = stream::run(id);
    let run: Run = ledger.fold(&name)?;
    if run.finished.is_some() {
        return Ok(true);
    }
    if !cancelable(&run) || run.tracked() {
        return Ok(false);
    }
    let leave = RunCommand::Leave { change: change.clone(), reason: reason.clone() };
    for event in decide(&run, leave)? {
        ledger.append(&name, event);
    }
    Ok(true)
}

fn leave_lanes(
    ledger: &mut Ledger,
    project: ProjectKey,
    sha: &Sha,
    change: &ChangeKey,
    reason: &EndReason,
) -> Result<(), Undecided> {
    let name = stream::statuses(project, sha);
    let statuses: Statuses = ledger.fold(&name)?;
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
        ledger.append(&name, ended);
    }
    Ok(())
}
