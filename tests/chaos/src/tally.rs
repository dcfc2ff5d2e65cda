//! Whether what was planned has happened.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::fault::Fault;
use crate::plan::Planned;

/// Faults by kind.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// How many were planned, and how many were carried out.
    counts: BTreeMap<&'static str, (u64, u64)>,
    /// Why some were not.
    pub(crate) problems: Vec<String>,
}

impl Tally {
    pub(crate) fn of(plan: &[Planned]) -> Self {
        let mut tally = Self::default();
        for planned in plan {
            tally.counts.entry(planned.fault.kind()).or_default().0 += 1;
        }
        tally
    }

    /// What became of a fault.
    pub(crate) fn note(&mut self, fault: &Fault, done: Result<()>) {
        match done {
            Ok(()) => self.counts.entry(fault.kind()).or_default().1 += 1,
            Err(error) => self.problems.push(format!("no {fault}: {error:#}")),
        }
    }

    /// One line: `18 of 18 kills, …`.
    pub(crate) fn told(&self) -> String {
        let counts = self.counts.iter();
        let told = counts.map(|(kind, (planned, done))| format!("{done} of {planned} {kind}"));
        told.collect::<Vec<_>>().join(", ")
    }

    /// Each kind of which less has happened than was planned, and why.
    pub(crate) fn shortfalls(&self) -> Vec<String> {
        let mut told = self.problems.clone();
        let short = self.counts.iter().filter(|(_, (planned, done))| done < planned);
        told.extend(
            short.map(|(kind, (planned, done))| format!("only {done} of {planned} {kind}")),
        );
        told
    }
}
