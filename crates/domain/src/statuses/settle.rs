//! After a lost answer: what GitLab shows decides what became of the intended writes, at once and
//! when none of them can land any more.

use std::collections::BTreeMap;

use super::{Row, Statuses};
use crate::event::resource::{
    StatusOutcome, StatusShown, StatusState, StatusWrite, StatusesCompared,
};

/// A status line as GitLab lists it, of our own bot user, newest of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visible {
    pub job: u64,
    pub pipeline: u64,
    /// The pipeline's ref.
    pub lane: String,
    pub name: String,
    pub state: StatusState,
    pub description: String,
}

/// The outcome of each write, by what is visible now. `known`: what each line showed before the
/// writes were intended, by pipeline and name. A line that still shows it was not written; else
/// the end of an earlier attempt would pass for the beginning of the next.
pub fn settle(
    writes: &[StatusWrite],
    visible: &[Visible],
    known: &BTreeMap<(u64, String), Row>,
) -> Vec<StatusOutcome> {
    writes.iter().map(|write| outcome(write, visible, known)).collect()
}

fn outcome(
    write: &StatusWrite,
    visible: &[Visible],
    known: &BTreeMap<(u64, String), Row>,
) -> StatusOutcome {
    let here = |line: &&Visible| {
        line.name == write.name
            && write.pipeline.map_or(line.lane == write.lane, |pinned| line.pipeline == pinned)
    };
    let Some(line) = visible.iter().filter(here).max_by_key(|line| line.job) else {
        return StatusOutcome::NotDone;
    };
    let (pipeline, job) = (line.pipeline, line.job);
    let shows = |state, description: &str| line.state == state && line.description == description;
    let before = known.get(&(pipeline, write.name.clone()));
    let before = before.filter(|row| shows(row.state, &row.description));
    match before {
        Some(row) if row.attempt != write.attempt => StatusOutcome::NotDone,
        _ if shows(write.state, &write.description) => StatusOutcome::Confirmed { pipeline, job },
        Some(_) => StatusOutcome::NotDone,
        None => StatusOutcome::Differs { pipeline, job, state: line.state },
    }
}

/// The lines in pipelines of ours that show something else than is known.
pub fn compare(statuses: &Statuses, visible: &[Visible]) -> StatusesCompared {
    let ours = |pipeline: u64| {
        let mut lanes = statuses.lanes.values();
        lanes.any(|lane| lane.home == Some(pipeline) || lane.former.contains(&pipeline))
    };
    let mut newest: BTreeMap<(u64, &str), &Visible> = BTreeMap::new();
    for line in visible.iter().filter(|line| ours(line.pipeline)) {
        let known = newest.entry((line.pipeline, &line.name)).or_insert(line);
        if line.job > known.job {
            *known = line;
        }
    }
    let differs = |line: &&Visible| {
        let known = statuses.rows.get(&(line.pipeline, line.name.clone()));
        known.is_none_or(|row| (row.state, &row.description) != (line.state, &line.description))
    };
    let lines = newest.into_values().filter(differs).map(|line| StatusShown {
        pipeline: line.pipeline,
        name: line.name.clone(),
        state: line.state,
        description: line.description.clone(),
    });
    StatusesCompared { lines: lines.collect() }
}
