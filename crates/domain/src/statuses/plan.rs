//! From what a commit's statuses show to what they should show: the next thing to do.

use super::{Lane, Line, Row, Runs, Statuses, lines};
use crate::event::resource::{StatusState, StatusWrite};
use crate::note::QUIET_SECONDS;

/// What the caller knows beside the log.
#[derive(Debug, Clone, Copy, Default)]
pub struct Knowledge {
    /// GitLab's pipelines were read in this very pass.
    pub pipelines_read: bool,
    /// Seconds since the first status was confirmed; `None`: there is none yet.
    pub first_status_age: Option<u64>,
    /// Seconds since GitLab was last read because an answer was lost; `None`: never.
    pub doubt_age: Option<u64>,
}

/// The next thing to do for a commit's statuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// An earlier writer left no outcome: read the statuses and settle before writing.
    Resolve,
    /// Read what the lines show: a write without an answer may have landed after it was looked for.
    Compare,
    /// Read the commit's pipelines: the home may have moved.
    ReadPipelines,
    /// Write these lines, in this order, stopping at the first that may be tried again: what
    /// follows may not end before that line is announced.
    Write(Vec<StatusWrite>),
    /// All is as it should be. Look again after so many seconds, if given.
    Rest { look_again: Option<u64> },
}

/// After this many seconds the home is looked for once more: by then GitLab has made the pipelines
/// that belong to the push.
const SECOND_LOOK: u64 = 20;

/// Decides the next step. The order of the writes is the barrier: what is not announced yet comes
/// first, what ends comes last.
pub fn next(statuses: &Statuses, runs: &Runs, knowledge: Knowledge) -> Next {
    if statuses.in_doubt.is_some() {
        return Next::Resolve;
    }
    // The very first status waits for nothing. A merge request's own lane is the exception: it
    // exists only in a pipeline that GitLab made.
    let homeless = statuses.lanes.iter().any(|(name, lane)| own_lane(name) && lane.home.is_none());
    let first = statuses.rows.is_empty() && !homeless;
    if !first && (statuses.pipelines_stale || homeless) && !knowledge.pipelines_read {
        return Next::ReadPipelines;
    }
    let mut writes = Vec::new();
    let mut unfinished = false;
    for (name, lane) in &statuses.lanes {
        if own_lane(name) && lane.home.is_none() {
            continue;
        }
        let wanted = lines(lane, runs, posted(statuses, lane));
        unfinished |= wanted.iter().any(|line| !line.state.terminal());
        lane_writes(statuses, name, lane, &wanted, &mut writes);
    }
    let ends_all = !unfinished && writes.iter().any(|(_, w)| w.state.terminal());
    if ends_all && !first && !knowledge.pipelines_read {
        return Next::ReadPipelines;
    }
    if writes.is_empty() {
        return rest(statuses, unfinished, knowledge);
    }
    writes.sort_by_key(|(rank, _)| *rank);
    Next::Write(writes.into_iter().map(|(_, write)| write).collect())
}

/// Whether the lane is a merge request's, not a branch's or tag's.
fn own_lane(name: &str) -> bool {
    name.starts_with("refs/merge-requests/")
}

fn rest(statuses: &Statuses, unfinished: bool, knowledge: Knowledge) -> Next {
    let until_quiet = statuses.may_land.then(|| {
        let age = knowledge.doubt_age.unwrap_or(QUIET_SECONDS);
        QUIET_SECONDS.saturating_sub(age)
    });
    if until_quiet == Some(0) {
        return Next::Compare;
    }
    let is_seen_once = unfinished && !statuses.looked_again && !knowledge.pipelines_read;
    let second_look = knowledge.first_status_age.filter(|_| is_seen_once);
    let until_second_look = second_look.map(|age| SECOND_LOOK.saturating_sub(age));
    if until_second_look == Some(0) {
        return Next::ReadPipelines;
    }
    Next::Rest { look_again: until_quiet.into_iter().chain(until_second_look).min() }
}

fn posted(statuses: &Statuses, lane: &Lane) -> bool {
    let home = lane.home;
    statuses
        .rows
        .keys()
        .any(|(pipeline, _)| Some(*pipeline) == home || lane.former.contains(pipeline))
}

/// Barrier order: announcements that leave a line unfinished, other unfinished states, ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Ends a superseded attempt, so that the next may begin on the same line.
    Clear,
    AnnounceAggregate,
    Announce,
    Progress,
    End,
    /// The aggregate ends after its stacks.
    EndAggregate,
}

fn lane_writes(
    statuses: &Statuses,
    name: &str,
    lane: &Lane,
    wanted: &[Line],
    writes: &mut Vec<(Rank, StatusWrite)>,
) {
    for line in wanted {
        let refused = statuses.refused.get(&(name.to_owned(), line.name.clone()));
        if refused.is_some_and(|r| r.attempt == line.attempt) {
            continue;
        }
        let row = lane.home.and_then(|home| statuses.rows.get(&(home, line.name.clone())));
        writes.extend(
            step(row, line).map(|(rank, state)| (rank, write(name, line, state, lane.home))),
        );
        if line.state.terminal() {
            writes.extend(lane.former.iter().filter_map(|former| {
                let row = statuses.rows.get(&(*former, line.name.clone()))?;
                let open = !row.state.terminal();
                open.then(|| {
                    (Rank::End, write(name, line, reachable(row.state, line.state), Some(*former)))
                })
            }));
        }
    }
    abandoned(statuses, name, lane, wanted, writes);
}

/// Lines of ours that no plan names any more end `canceled`.
fn abandoned(
    statuses: &Statuses,
    name: &str,
    lane: &Lane,
    wanted: &[Line],
    writes: &mut Vec<(Rank, StatusWrite)>,
) {
    let homes = lane.home.iter().chain(&lane.former);
    for home in homes {
        let open = statuses.rows.iter().filter(|((pipeline, line), row)| {
            pipeline == home && !row.state.terminal() && !wanted.iter().any(|w| w.name == *line)
        });
        writes.extend(open.map(|((pipeline, line), row)| {
            let write = StatusWrite {
                lane: name.to_owned(),
                name: line.clone(),
                attempt: row.attempt.clone(),
                state: StatusState::Canceled,
                description: "no longer planned".to_owned(),
                run: None,
                pipeline: Some(*pipeline),
            };
            (Rank::End, write)
        }));
    }
}

/// The state to write so that the row comes nearer to the line; `None`: nothing may or need be
/// written.
fn step(row: Option<&Row>, line: &Line) -> Option<(Rank, StatusState)> {
    let aggregate = line.run.is_none();
    let announce = if aggregate { Rank::AnnounceAggregate } else { Rank::Announce };
    let end = if aggregate { Rank::EndAggregate } else { Rank::End };
    let Some(row) = row else {
        let rank = if line.state.terminal() { end } else { announce };
        return Some((rank, line.state));
    };
    let same_attempt = row.attempt == line.attempt;
    match (row.state, line.state) {
        (old, new) if old.terminal() && new.terminal() => {
            // A stack's line leads to its run, so another run's is written even if it says the same.
            let alike = aggregate && row.description == line.description;
            (old != new || !(same_attempt || alike)).then_some((end, new))
        }
        // A line that is over begins again only for a new attempt.
        (old, new) if old.terminal() => (!same_attempt).then_some((announce, new)),
        (old, new) if new.terminal() => Some((end, reachable(old, new))),
        (StatusState::Pending, StatusState::Running) => {
            Some((Rank::Progress, StatusState::Running))
        }
        (StatusState::Running, StatusState::Pending) if !same_attempt => {
            Some((Rank::Clear, StatusState::Canceled))
        }
        _ => None,
    }
}

/// GitLab refuses running → skipped (`:skip` from running).
fn reachable(from: StatusState, to: StatusState) -> StatusState {
    match (from, to) {
        (StatusState::Running, StatusState::Skipped) => StatusState::Canceled,
        _ => to,
    }
}

fn write(lane: &str, line: &Line, state: StatusState, pipeline: Option<u64>) -> StatusWrite {
    StatusWrite {
        lane: lane.to_owned(),
        name: line.name.clone(),
        attempt: line.attempt.clone(),
        state,
        description: line.description.clone(),
        run: line.run.clone(),
        pipeline,
    }
}
