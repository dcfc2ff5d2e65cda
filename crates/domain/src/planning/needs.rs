//! Runs that wait for others: released when all they need has passed, skipped when it cannot.

use super::{Ledger, Undecided};
use crate::change::Change;
use crate::id::ChangeKey;
use crate::run::{Phase, Run, decide, needs_verdict};
use crate::stream;

/// A run ended that others of this change may wait for.
pub fn look_at_needs(ledger: &mut Ledger, key: &ChangeKey) -> Result<(), Undecided> {
    let change: Change = ledger.fold(&stream::change(key))?;
    let Some(plan) = change.plan() else { return Ok(()) };
    // A skipped run may decide those behind it: go on until nothing moves.
    let mut moved = true;
    while moved {
        moved = false;
        for id in plan.stacks.iter().filter_map(|s| s.run.as_ref()) {
            moved |= settle_needs(ledger, &stream::run(id))?;
        }
    }
    Ok(())
}

/// Lets a waiting run go on or end, if the runs it needs decide it. Returns whether they did.
pub(super) fn settle_needs(ledger: &mut Ledger, name: &str) -> Result<bool, Undecided> {
    let run: Run = ledger.fold(name)?;
    if run.phase() != Phase::Waiting {
        return Ok(false);
    }
    let needs = run.request.as_ref().map(|r| r.needs.clone()).unwrap_or_default();
    let mut phases = Vec::with_capacity(needs.len());
    for (stack, id) in &needs {
        let needed: Run = ledger.fold(&stream::run(id))?;
        phases.push((stack, needed.phase()));
    }
    let Some(command) = needs_verdict(phases) else { return Ok(false) };
    let events = decide(&run, command)?;
    let moved = !events.is_empty();
    for event in events {
        ledger.append(name, event);
    }
    Ok(moved)
}
