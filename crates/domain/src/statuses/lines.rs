//! What the lines of a lane should show, by the plans and the runs.

use std::collections::BTreeMap;

use super::{Lane, Runs};
use crate::event::EndReason;
use crate::event::change::PlanVerdict;
use crate::event::resource::{LanePlanned, LaneRun, StatusState};
use crate::event::run::RunFinished;
use crate::id::RunId;
use crate::report::Outcome;
use crate::run::{Phase, Run};
use crate::text;

/// One wanted line of the pipeline view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub name: String,
    pub attempt: String,
    pub state: StatusState,
    pub description: String,
    /// The run it links to.
    pub run: Option<RunId>,
}

/// Every line of the lane, stacks first, the aggregate last. `posted`: GitLab shows something of
/// ours there already.
pub fn lines(lane: &Lane, runs: &Runs, posted: bool) -> Vec<Line> {
    let active = lane.subscribers.values().any(|s| s.ended.is_none());
    let ended = lane.subscribers.values().find_map(|s| s.ended.clone());
    let over = if active { None } else { Some(ended.unwrap_or(EndReason::Stale)) };
    let chosen = chosen_runs(lane, runs);
    let mut lines: Vec<Line> =
        chosen.values().map(|lane_run| stack_line(lane_run, runs, over.as_ref())).collect();
    let stacks: Vec<(&LaneRun, &Line)> = chosen.values().copied().zip(&lines).collect();
    let aggregate = aggregate_line(lane, &stacks, over.as_ref(), posted);
    lines.extend(aggregate);
    lines
}

/// Which run stands for each stack: the plan of a change that still looks, a merge request's
/// before a branch's, the later round, as somebody asked for it, the later key last.
fn chosen_runs<'a>(lane: &'a Lane, runs: &Runs) -> BTreeMap<&'a str, &'a LaneRun> {
    let round = |run: &RunId| runs.get(run)?.request.as_ref().map(|request| request.round);
    let mut all: Vec<(_, &LaneRun)> = Vec::new();
    for (change, subscriber) in &lane.subscribers {
        let looks = (subscriber.ended.is_none(), change.merge_request().is_some());
        let planned = subscriber.plan.iter().flat_map(|plan| &plan.runs);
        all.extend(planned.map(|run| ((looks, round(&run.run)), run)));
    }
    all.sort_by_key(|(rank, _)| *rank);
    all.into_iter().map(|(_, run)| (run.stack.as_str(), run)).collect()
}

fn stack_line(lane_run: &LaneRun, runs: &Runs, over: Option<&EndReason>) -> Line {
    let run = runs.get(&lane_run.run);
    let (state, description) = match run.map_or(Phase::Absent, Run::phase) {
        Phase::Finished(_) => finished_line(run.and_then(|r| r.finished.as_ref())),
        _ if over.is_some() => (StatusState::Canceled, ended_text(over)),
        Phase::Running => (StatusState::Running, "running".to_owned()),
        Phase::Waiting => (StatusState::Pending, waiting_text(run)),
        Phase::Absent | Phase::Queued => (StatusState::Pending, "waiting for a runner".to_owned()),
    };
    Line {
        name: lane_run.name.clone(),
        attempt: lane_run.run.to_string(),
        state,
        description: text::one_line(&description, text::DESCRIPTION),
        run: Some(lane_run.run.clone()),
    }
}

fn waiting_text(run: Option<&Run>) -> String {
    let needs = run.and_then(|r| r.request.as_ref()).map(|r| &r.needs);
    let names: Vec<&str> = needs.into_iter().flatten().map(|(stack, _)| stack.as_str()).collect();
    format!("waits for {}", names.join(", "))
}

fn finished_line(finished: Option<&RunFinished>) -> (StatusState, String) {
    let Some(finished) = finished else {
        return (StatusState::Pending, String::new());
    };
    let state = match finished.outcome {
        Outcome::Passed => StatusState::Success,
        Outcome::Failed | Outcome::TimedOut | Outcome::Broken | Outcome::Unknown => {
            StatusState::Failed
        }
        Outcome::Canceled | Outcome::Lost => StatusState::Canceled,
        Outcome::Skipped => StatusState::Skipped,
    };
    (state, text::result_line(finished))
}

fn ended_text(reason: Option<&EndReason>) -> String {
    reason.map(text::end_reason).unwrap_or_default()
}

fn aggregate_line(
    lane: &Lane,
    stacks: &[(&LaneRun, &Line)],
    over: Option<&EndReason>,
    posted: bool,
) -> Option<Line> {
    let plans: Vec<&LanePlanned> = lane
        .subscribers
        .values()
        .filter(|s| over.is_some() || s.ended.is_none())
        .filter_map(|s| s.plan.as_ref())
        .collect();
    let name = match plans.iter().find_map(|p| p.aggregate.clone()) {
        Some(name) => name,
        None if plans.is_empty() || posted => lane.admitted.clone()?,
        None => return None,
    };
    let (state, description) = match over {
        Some(_) if plans.is_empty() => (StatusState::Canceled, ended_text(over)),
        None if plans.is_empty() => (StatusState::Pending, "finding out what to run".to_owned()),
        _ => planned_aggregate(&plans, stacks, over, posted || lane.admitted.is_some())?,
    };
    Some(Line {
        name,
        attempt: format!("plan-{}", lane.generation),
        state,
        description: text::one_line(&description, text::DESCRIPTION),
        run: None,
    })
}

/// The table of the aggregate: the worst of the plans that look at the lane.
fn planned_aggregate(
    plans: &[&LanePlanned],
    stacks: &[(&LaneRun, &Line)],
    over: Option<&EndReason>,
    promised: bool,
) -> Option<(StatusState, String)> {
    let of = |wanted: fn(&PlanVerdict) -> bool| plans.iter().find(|p| wanted(&p.verdict));
    if let Some(LanePlanned { verdict: PlanVerdict::ConfigError { findings }, .. }) =
        of(|v| matches!(v, PlanVerdict::ConfigError { .. }))
    {
        return Some((StatusState::Failed, text::config_error(findings)));
    }
    if !stacks.is_empty() {
        return Some(roll_up(stacks, over));
    }
    if of(|v| matches!(v, PlanVerdict::AwaitingApproval)).is_some() {
        return Some(match over {
            Some(_) => (StatusState::Canceled, ended_text(over)),
            None => (StatusState::Pending, "waits for approval: it comes from outside".to_owned()),
        });
    }
    if of(|v| matches!(v, PlanVerdict::DraftsHeldBack)).is_some() {
        return Some((
            StatusState::Skipped,
            "held back while the merge request is a draft".to_owned(),
        ));
    }
    if of(|v| matches!(v, PlanVerdict::SkippedByAuthor)).is_some() {
        return Some((StatusState::Skipped, "skipped on the author's request".to_owned()));
    }
    let merge_request = plans.iter().any(|p| p.change.merge_request().is_some());
    match of(|v| matches!(v, PlanVerdict::Nothing { .. })) {
        Some(plan) if promised || merge_request => {
            Some((StatusState::Success, format!("0 of {} affected", text::stacks(plan.stacks))))
        }
        None if promised => Some((StatusState::Success, "no .aldis.yml".to_owned())),
        _ => None,
    }
}

fn roll_up(stacks: &[(&LaneRun, &Line)], over: Option<&EndReason>) -> (StatusState, String) {
    let with = |state: StatusState| -> Vec<&str> {
        stacks.iter().filter(|(_, l)| l.state == state).map(|(r, _)| r.stack.as_str()).collect()
    };
    let total = u64::try_from(stacks.len()).unwrap_or(u64::MAX);
    if stacks.iter().any(|(_, line)| !line.state.terminal()) {
        let begun = stacks.iter().any(|(_, line)| line.state != StatusState::Pending);
        let state = if begun { StatusState::Running } else { StatusState::Pending };
        return (state, text::stacks(total));
    }
    let failed = with(StatusState::Failed);
    if !failed.is_empty() {
        let unknown = stacks.iter().any(|(_, l)| l.description.starts_with(text::UNKNOWN));
        let tail = if unknown { format!(" ({})", text::UNKNOWN) } else { String::new() };
        let count = format!("{} of {} failed: ", failed.len(), text::stacks(total));
        return (StatusState::Failed, format!("{count}{}{tail}", failed.join(", ")));
    }
    let canceled = with(StatusState::Canceled);
    if !canceled.is_empty() {
        let why = match (over, shared_reason(stacks)) {
            (Some(reason), _) => text::end_reason(reason),
            // Whoever else looks at the lane, the author wants to know why.
            (None, Some(reason)) => reason.to_owned(),
            (None, None) => format!(
                "{} of {} canceled: {}",
                canceled.len(),
                text::stacks(total),
                canceled.join(", ")
            ),
        };
        return (StatusState::Canceled, why);
    }
    (StatusState::Success, format!("{} passed", text::stacks(total)))
}

/// What every stack says, if all say the same.
fn shared_reason<'a>(stacks: &[(&LaneRun, &'a Line)]) -> Option<&'a str> {
    let (_, first) = stacks.first()?;
    let all = stacks.iter().all(|(_, line)| {
        line.state == StatusState::Canceled && line.description == first.description
    });
    all.then_some(first.description.as_str())
}
