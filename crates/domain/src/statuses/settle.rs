//! After a lost answer: what GitLab shows decides what became of the intended writes.

use crate::event::resource::{StatusOutcome, StatusState, StatusWrite};

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

/// The outcome of each write, by what is visible now.
pub fn settle(writes: &[StatusWrite], visible: &[Visible]) -> Vec<StatusOutcome> {
    writes.iter().map(|write| outcome(write, visible)).collect()
}

fn outcome(write: &StatusWrite, visible: &[Visible]) -> StatusOutcome {
    let here = |line: &&Visible| {
        line.name == write.name
            && write.pipeline.map_or(line.lane == write.lane, |pinned| line.pipeline == pinned)
    };
    let Some(line) = visible.iter().filter(here).max_by_key(|line| line.job) else {
        return StatusOutcome::NotDone;
    };
    let (pipeline, job) = (line.pipeline, line.job);
    if line.state == write.state && line.description == write.description {
        StatusOutcome::Confirmed { pipeline, job }
    } else {
        StatusOutcome::Differs { pipeline, job, state: line.state }
    }
}
