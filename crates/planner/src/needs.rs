//! Runs that wait for others: released when all they need has passed, skipped when it cannot.

use aldis_domain::change::Change;
use aldis_domain::id::ChangeKey;
use aldis_domain::run::{Phase, Run, decide, needs_verdict};
use aldis_domain::stream;
use aldis_store::{Meta, Unit, transact};

use crate::{PlanError, Planner};

impl Planner {
    /// A run ended that others of this change may wait for.
    pub(crate) async fn look_at_needs(&self, key: &ChangeKey) -> Result<(), PlanError> {
        let name = stream::change(key);
        transact!(self.store, Meta::from_source("planner"), unit => {
            let change: Change = unit.fold(&name).await?;
            let Some(plan) = change.plan() else { return Ok(()) };
            // A skipped run may decide those behind it: go on until nothing moves.
            let mut moved = true;
            while moved {
                moved = false;
                for id in plan.stacks.iter().filter_map(|s| s.run.as_ref()) {
                    moved |= settle_needs(unit, &stream::run(id)).await?;
                }
            }
            Ok(())
        })
    }
}

/// Lets a waiting run go on or end, if the runs it needs decide it. Returns whether they did.
pub(crate) async fn settle_needs(unit: &mut Unit, name: &str) -> Result<bool, PlanError> {
    let run: Run = unit.fold(name).await?;
    if run.phase() != Phase::Waiting {
        return Ok(false);
    }
    let needs = run.request.as_ref().map(|r| r.needs.clone()).unwrap_or_default();
    let mut phases = Vec::with_capacity(needs.len());
    for (stack, id) in &needs {
        let needed: Run = unit.fold(&stream::run(id)).await?;
        phases.push((stack, needed.phase()));
    }
    let Some(command) = needs_verdict(phases) else { return Ok(false) };
    let events = decide(&run, command)?;
    let moved = !events.is_empty();
    for event in events {
        unit.append(name, event);
    }
    Ok(moved)
}
