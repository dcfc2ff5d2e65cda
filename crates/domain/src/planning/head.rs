//! The plan of one head: draft, runs, lane.

use super::end::{leave_plan, leave_run};
use super::{Asked, Ledger, Undecided, Wish, handle_once};
use crate::change::{Change, Draft, PlanBasis, draft};
use crate::config::Stack;
use crate::config::matching::{Changed, Facts as MatchFacts, Matcher, Occasion, Rule, Verdict};
use crate::event::EndReason;
use crate::event::change::{ChangePlanned, HeadMoved, PlanVerdict, StackDecision};
use crate::event::delivery::DeliveryPlan;
use crate::event::resource::{LanePlanned, LaneRun};
use crate::id::ChangeKey;
use crate::run::Run;
use crate::statuses::Statuses;
use crate::stream;
use crate::trigger::MergeRequestAction;

/// Plans the head: which stacks run and why, the runs that stand for them, what is left behind of
/// an older plan, and what the lane shows. A command that was handled before plans nothing.
pub fn plan(ledger: &mut Ledger, wish: &Wish<'_>) -> Result<DeliveryPlan, Undecided> {
    let Some(command) = wish.command else { return wish.carry_out(ledger) };
    if let Some(planned) = handle_once(ledger, wish.key, command, |ledger| wish.carry_out(ledger))?
    {
        return Ok(planned);
    }
    let change: Change = ledger.fold(&stream::change(wish.key))?;
    let nothing = || DeliveryPlan {
        change: wish.key.clone(),
        sha: wish.facts.head.clone(),
        new_runs: false,
        stacks: Vec::new(),
    };
    Ok(change.plan().map_or_else(nothing, |plan| told(wish.key, plan, false)))
}

/// What is told of a plan that stands already.
pub fn told(change: &ChangeKey, plan: &ChangePlanned, new_runs: bool) -> DeliveryPlan {
    DeliveryPlan {
        change: change.clone(),
        sha: plan.sha.clone(),
        new_runs,
        stacks: plan.stacks.clone(),
    }
}

impl Wish<'_> {
    fn carry_out(&self, ledger: &mut Ledger) -> Result<DeliveryPlan, Undecided> {
        let name = stream::change(self.key);
        let change: Change = ledger.fold(&name)?;
        let head = &self.facts.head;
        let previous = change.plan_for(head).cloned();
        let draft = self.draft(&change, previous.as_ref());
        let (decisions, new_runs) = self.decisions(ledger, &draft, previous.as_ref())?;
        let plan = self.plan(draft.verdict, decisions);
        if change.head.as_ref() != Some(head)
            || change.merge_request != self.facts.merge_request
            || change.ended.is_some()
        {
            let merge_request = self.facts.merge_request.clone();
            ledger.append(&name, HeadMoved { sha: head.clone(), merge_request });
        }
        if let Some(old) = change.plan().filter(|_| change.ended.is_none()) {
            self.leave_behind(ledger, old, &plan)?;
        }
        if previous.as_ref() != Some(&plan) {
            ledger.append(&name, plan.clone());
        }
        self.plan_lane(ledger, &plan)?;
        Ok(told(self.key, &plan, new_runs))
    }

    fn draft(&self, change: &Change, previous: Option<&ChangePlanned>) -> Draft {
        let basis = PlanBasis {
            trust: self.facts.trust,
            config: &self.facts.config,
            skip: self.facts.skip,
        };
        draft(basis, previous, |name, stack| match self.asked {
            Asked::Test(stacks) if !stacks.is_empty() && !stacks.iter().any(|s| s == name) => {
                standing(previous, name)
            }
            _ => self.judge(name, stack, change),
        })
    }

    fn judge(&self, name: &str, stack: &Stack, change: &Change) -> Verdict {
        let merge_request = self.facts.merge_request.as_ref();
        let of = |action| {
            let (target_branch, draft) =
                merge_request.map_or(("", false), |mr| (mr.target_branch.as_str(), mr.draft));
            Occasion::MergeRequest { action, target_branch, draft }
        };
        let occasion = match self.asked {
            Asked::Push { .. } => Occasion::Push { branch: &self.facts.lane },
            Asked::Tag => Occasion::Tag { tag: &self.facts.lane },
            // A push may be told before the merge request that it opened.
            Asked::HeadMoved if change.plans.is_empty() => of(MergeRequestAction::Opened),
            Asked::HeadMoved => of(MergeRequestAction::Updated),
            Asked::MergeRequest(action) => of(*action),
            Asked::Test(stacks) => Occasion::Command { named: stacks.iter().any(|s| s == name) },
            Asked::Retest => Occasion::Command { named: false },
        };
        let changed = match &self.facts.changed {
            Some(paths) => Changed::Paths(paths),
            None => Changed::Unknown,
        };
        Matcher::new(stack).judge(&MatchFacts {
            occasion,
            default_branch: &self.facts.default_branch,
            changed,
        })
    }

    fn plan(&self, verdict: PlanVerdict, stacks: Vec<StackDecision>) -> ChangePlanned {
        let facts = self.facts;
        ChangePlanned {
            sha: facts.head.clone(),
            trust: facts.trust,
            access_level: facts.access_level,
            config: facts.basis.clone(),
            verdict,
            stacks,
            changed_paths: facts
                .changed
                .as_ref()
                .map(|p| u64::try_from(p.len()).unwrap_or(u64::MAX)),
            posting_project: facts.posting_project,
            lane: facts.lane.clone(),
        }
    }

    /// What the older plan started and this one does not want: runs of a superseded head, and of
    /// stacks that are no longer affected.
    fn leave_behind(
        &self,
        ledger: &mut Ledger,
        old: &ChangePlanned,
        plan: &ChangePlanned,
    ) -> Result<(), Undecided> {
        if old.sha == plan.sha {
            let wanted = |id| plan.stacks.iter().any(|s| s.run.as_ref() == Some(id));
            for id in old.stacks.iter().filter_map(|s| s.run.as_ref()).filter(|id| !wanted(id)) {
                leave_run(ledger, self.key, id, &EndReason::Stale, |_| true)?;
            }
            return Ok(());
        }
        // Every commit of the default branch keeps its result.
        let default = format!("refs/heads/{}", self.facts.default_branch);
        let keeps = matches!(self.key, ChangeKey::Ref { name, .. } if *name == default);
        let reason = EndReason::Superseded { by: plan.sha.clone() };
        leave_plan(ledger, self.key, old, &reason, |run: &Run| {
            let asks =
                run.request.as_ref().is_some_and(|r| r.definition.concurrency.cancel_superseded);
            asks && !keeps
        })
    }

    fn plan_lane(&self, ledger: &mut Ledger, plan: &ChangePlanned) -> Result<(), Undecided> {
        if plan.lane.is_empty() {
            return Ok(());
        }
        let name = stream::statuses(plan.posting_project, &plan.sha);
        let statuses: Statuses = ledger.fold(&name)?;
        let runs = plan.stacks.iter().filter_map(|decision| {
            let run = decision.run.clone()?;
            let name = format!("{}/{}", self.status.prefix, decision.stack);
            Some(LaneRun { stack: decision.stack.clone(), name, run })
        });
        let planned = LanePlanned {
            project: plan.posting_project,
            sha: plan.sha.clone(),
            lane: plan.lane.clone(),
            change: self.key.clone(),
            verdict: plan.verdict.clone(),
            aggregate: self.status.aggregate.clone(),
            runs: runs.collect(),
            stacks: u64::try_from(plan.stacks.len()).unwrap_or(u64::MAX),
        };
        let known = statuses.lanes.get(&plan.lane).and_then(|l| l.subscribers.get(self.key));
        let same = known.is_some_and(|s| s.ended.is_none() && s.plan.as_ref() == Some(&planned));
        // Where nothing was promised and nothing will be shown, no work is made.
        let silent = known.is_none()
            && (matches!(plan.verdict, PlanVerdict::NoConfig)
                || (matches!(plan.verdict, PlanVerdict::Nothing { .. })
                    && self.key.merge_request().is_none()));
        if !same && !silent {
            ledger.append(&name, planned);
        }
        Ok(())
    }
}

/// A command that names other stacks leaves this one as it stands.
fn standing(previous: Option<&ChangePlanned>, stack: &str) -> Verdict {
    let old = previous.and_then(|p| p.stacks.iter().find(|s| s.stack == stack));
    match old.filter(|old| old.run.is_some()) {
        Some(old) => Verdict::Run { rule: old.rule.clone(), tracked: old.tracked },
        None => Verdict::No { rule: old.map_or(Rule::NotAsked, |old| old.rule.clone()) },
    }
}
