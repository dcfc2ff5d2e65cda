//! Which run stands for each chosen stack: the one that is there, or a new one.

use std::collections::BTreeMap;

use aldis_domain::change::{Chosen, Draft, by_need};
use aldis_domain::event::change::{ChangePlanned, PlanVerdict, StackDecision};
use aldis_domain::event::run::{Audience, Deploys, RunRequested};
use aldis_domain::id::RunId;
use aldis_domain::report::Outcome;
use aldis_domain::run::{Phase, Run, RunCommand, RunKey, decide, id_of};
use aldis_domain::stream;
use aldis_store::{Unit, sha256};

use super::{Asked, Attempt, branch_of};
use crate::PlanError;
use crate::needs::settle_needs;

/// Nobody asks for the same run so often in earnest.
const MOST_ROUNDS: u32 = 1_000;

impl Attempt<'_> {
    /// One decision per stack in name order, and whether a run is new.
    pub(super) async fn decisions(
        &self,
        unit: &mut Unit,
        draft: &Draft,
        previous: Option<&ChangePlanned>,
    ) -> Result<(Vec<StackDecision>, bool), PlanError> {
        let mut runs: BTreeMap<String, RunId> = BTreeMap::new();
        let mut any_new = false;
        if draft.verdict == PlanVerdict::Runs {
            for chosen in by_need(&draft.chosen) {
                let needed =
                    draft.chosen.iter().any(|c| c.definition.needs.contains(&chosen.stack));
                let old = previous
                    .and_then(|p| p.stacks.iter().find(|s| s.stack == chosen.stack))
                    .and_then(|s| s.run.as_ref());
                let (id, new) = self.run_for(unit, chosen, old, needed, &runs).await?;
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
    async fn run_for(
        &self,
        unit: &mut Unit,
        chosen: &Chosen,
        old: Option<&RunId>,
        needed: bool,
        others: &BTreeMap<String, RunId>,
    ) -> Result<(RunId, bool), PlanError> {
        let mut round = 0;
        if let Some(old) = old {
            let run: Run = unit.fold(&stream::run(old)).await?;
            if let Some(request) = run.request.as_ref().filter(|r| self.same_wish(r, chosen)) {
                if self.content_with(&run, chosen) {
                    self.join(unit, old, &run, needed)?;
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
                sha256,
            );
            let run: Run = unit.fold(&stream::run(&id)).await?;
            if run.satisfies() || round == last {
                self.join(unit, &id, &run, needed)?;
                return Ok((id, false));
            }
            if run.phase() == Phase::Absent {
                self.request(unit, &id, chosen, round, needed, others).await?;
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

    /// Whether the run that stands is result enough for what is asked.
    fn content_with(&self, run: &Run, chosen: &Chosen) -> bool {
        let over = matches!(run.phase(), Phase::Finished(_));
        let passed = run.phase() == Phase::Finished(Outcome::Passed);
        match self.asked {
            Asked::Test(stacks) if stacks.is_empty() || stacks.contains(&chosen.stack) => {
                run.satisfies() && !over
            }
            Asked::Retest => run.satisfies() && (passed || !over),
            _ => run.satisfies(),
        }
    }

    fn audience(&self) -> Audience {
        Audience { change: self.key.clone(), posting_project: self.facts.posting_project }
    }

    fn join(&self, unit: &mut Unit, id: &RunId, run: &Run, needed: bool) -> Result<(), PlanError> {
        let delivery = self.source.delivery.clone();
        let join = RunCommand::Join { audience: self.audience(), needed, delivery };
        for event in decide(run, join)? {
            unit.append(&stream::run(id), event);
        }
        Ok(())
    }

    async fn request(
        &self,
        unit: &mut Unit,
        id: &RunId,
        chosen: &Chosen,
        round: u32,
        needed: bool,
        others: &BTreeMap<String, RunId>,
    ) -> Result<(), PlanError> {
        let needs = chosen.definition.needs.iter();
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
            needs: needs.filter_map(|n| Some((n.clone(), others.get(n)?.clone()))).collect(),
            needed,
            why: chosen.rule.explain(),
            delivery: self.source.delivery.clone(),
        };
        let name = stream::run(id);
        unit.append(&name, request);
        settle_needs(unit, &name).await?;
        Ok(())
    }
}
