//! Which run stands for each chosen stack: the one that is there, or a new one.

use std::collections::BTreeMap;

use super::needs::settle_needs;
use super::{Asked, Ledger, Undecided, Wish, branch_of};
use crate::change::{Chosen, Draft, by_need};
use crate::event::EndReason;
use crate::event::change::{ChangePlanned, PlanVerdict, StackDecision};
use crate::event::run::{Audience, Deploys, RunRequested};
use crate::id::RunId;
use crate::report::Outcome;
use crate::run::{Phase, Run, RunCommand, RunKey, decide, id_of};
use crate::stream;

/// Nobody asks for the same run so often in earnest.
const MOST_ROUNDS: u32 = 1_000;

impl Wish<'_> {
    /// One decision per stack in name order, and whether a run is new.
    pub(super) fn decisions(
        &self,
        ledger: &mut Ledger,
        draft: &Draft,
        previous: Option<&ChangePlanned>,
    ) -> Result<(Vec<StackDecision>, bool), Undecided> {
        let mut runs: BTreeMap<String, RunId> = BTreeMap::new();
        let mut any_new = false;
        if draft.verdict == PlanVerdict::Runs {
            for chosen in by_need(&draft.chosen) {
                let needed =
                    draft.chosen.iter().any(|c| c.definition.needs.contains(&chosen.stack));
                let old = previous
                    .and_then(|p| p.stacks.iter().find(|s| s.stack == chosen.stack))
                    .and_then(|s| s.run.as_ref());
                let (id, new) = self.run_for(ledger, chosen, old, needed, &runs)?;
                any_new |= new;
                runs.insert(chosen.stack.clone(), id);
            }
        }
        let chosen = draft.chosen.iter().map(|c| StackDecision {
            stack: c.stack.clone(),
            rule: c.rule.clone(),
            run: runs.get(&c.stack).cloned(),
            tracked: c.tracked,
        });
        let refused = draft.refused.iter().map(|(stack, rule)| StackDecision {
            stack: stack.clone(),
            rule: rule.clone(),
            run: None,
            tracked: false,
        });
        let mut decisions: Vec<StackDecision> = chosen.chain(refused).collect();
        decisions.sort_by(|a, b| a.stack.cmp(&b.stack));
        Ok((decisions, any_new))
    }

    /// Joins a run that satisfies the wish, or asks for a new one in the first free round.
    fn run_for(
        &self,
        ledger: &mut Ledger,
        chosen: &Chosen,
        old: Option<&RunId>,
        needed: bool,
        others: &BTreeMap<String, RunId>,
    ) -> Result<(RunId, bool), Undecided> {
        let mut round = 0;
        if let Some(old) = old {
            let run: Run = ledger.fold(&stream::run(old))?;
            if let Some(request) = run.request.as_ref().filter(|r| self.same_wish(r, chosen)) {
                if self.keeps(&run, chosen, others) {
                    self.join(ledger, old, &run, needed)?;
                    return Ok((old.clone(), false));
                }
                round = request.round + 1;
            }
        }
        let definition = serde_json::to_string(&chosen.definition).unwrap_or_default();
        let last = round + MOST_ROUNDS;
        loop {
            let id = id_of(
                &RunKey {
                    project: self.key.project(),
                    sha: &self.facts.head,
                    stack: &chosen.stack,
                    definition: &definition,
                    trust: self.facts.trust,
                    tracked: chosen.tracked,
                    round,
                },
                self.sha256,
            );
            let run: Run = ledger.fold(&stream::run(&id))?;
            if self.content_with(&run, chosen, others) || round == last {
                self.join(ledger, &id, &run, needed)?;
                return Ok((id, false));
            }
            if run.phase() == Phase::Absent {
                self.request(ledger, &id, chosen, round, needed, others)?;
                return Ok((id, true));
            }
            round += 1;
        }
    }

    fn same_wish(&self, request: &RunRequested, chosen: &Chosen) -> bool {
        request.definition == chosen.definition
            && request.trust == self.facts.trust
            && request.deploys.is_some() == chosen.tracked
    }

    /// Whether the change stays with the run that it has. A hook that comes late, or once more,
    /// does not begin what a person has stopped.
    fn keeps(&self, run: &Run, chosen: &Chosen, others: &BTreeMap<String, RunId>) -> bool {
        let stopped = matches!(run.cancel, Some(EndReason::Asked { .. }));
        self.content_with(run, chosen, others) || stopped && !self.asks_anew(chosen)
    }

    /// Whether the run, whoever asked for it, is result enough for what is asked now. Who asks for
    /// it anew wants another one also where the change itself has none yet: its commit may be red
    /// by the run of another change.
    fn content_with(&self, run: &Run, chosen: &Chosen, others: &BTreeMap<String, RunId>) -> bool {
        if !self.asks_anew(chosen) {
            return stands(run, chosen, others);
        }
        match run.phase() {
            Phase::Finished(Outcome::Passed) => matches!(self.asked, Asked::Retest),
            Phase::Finished(_) => false,
            _ => run.satisfies(),
        }
    }

    /// Whether a person asks for this very stack.
    fn asks_anew(&self, chosen: &Chosen) -> bool {
        match self.asked {
            Asked::Test(stacks) => stacks.is_empty() || stacks.contains(&chosen.stack),
            Asked::Retest => true,
            _ => false,
        }
    }

    fn audience(&self) -> Audience {
        Audience { change: self.key.clone(), posting_project: self.facts.posting_project }
    }

    fn join(
        &self,
        ledger: &mut Ledger,
        id: &RunId,
        run: &Run,
        needed: bool,
    ) -> Result<(), Undecided> {
        let delivery = self.delivery.map(str::to_owned);
        let join = RunCommand::Join { audience: self.audience(), needed, delivery };
        for event in decide(run, join)? {
            ledger.append(&stream::run(id), event);
        }
        Ok(())
    }

    fn request(
        &self,
        ledger: &mut Ledger,
        id: &RunId,
        chosen: &Chosen,
        round: u32,
        needed: bool,
        others: &BTreeMap<String, RunId>,
    ) -> Result<(), Undecided> {
        let deploys = chosen.definition.environment.clone().filter(|_| chosen.tracked);
        let request = RunRequested {
            run: id.clone(),
            project: self.key.project(),
            sha: self.facts.head.clone(),
            stack: chosen.stack.clone(),
            definition: chosen.definition.clone(),
            trust: self.facts.trust,
            round,
            audience: self.audience(),
            git_ref: self.facts.git_ref.clone(),
            deploys: deploys
                .map(|environment| Deploys { environment, branch: branch_of(self.key) }),
            needs: needs_of(chosen, others),
            needed,
            why: chosen.rule.explain(),
            delivery: self.delivery.map(str::to_owned),
        };
        let name = stream::run(id);
        ledger.append(&name, request);
        settle_needs(ledger, &name)?;
        Ok(())
    }
}

/// Whether the run is still the answer. One that was skipped is, as long as the very runs stand
/// that it waited for: doing it over would only skip it again.
fn stands(run: &Run, chosen: &Chosen, others: &BTreeMap<String, RunId>) -> bool {
    let skipped = run.phase() == Phase::Finished(Outcome::Skipped);
    let same_needs = || run.request.as_ref().is_some_and(|r| r.needs == needs_of(chosen, others));
    run.satisfies() || skipped && same_needs()
}

fn needs_of(chosen: &Chosen, others: &BTreeMap<String, RunId>) -> BTreeMap<String, RunId> {
    let needs = chosen.definition.needs.iter();
    needs.filter_map(|need| Some((need.clone(), others.get(need)?.clone()))).collect()
}
