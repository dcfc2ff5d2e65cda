//! The plan of one head: draft, runs, lanes, all in one append.

mod runs;

use aldis_domain::change::{Change, ConfigFound, Draft, PlanBasis, draft};
use aldis_domain::config::matching::{
    Changed, Facts as MatchFacts, Matcher, Occasion, Rule, Verdict,
};
use aldis_domain::config::{Stack, StatusConfig};
use aldis_domain::event::EndReason;
use aldis_domain::event::change::{ChangePlanned, HeadMoved, PlanVerdict, StackDecision};
use aldis_domain::event::delivery::DeliveryPlan;
use aldis_domain::event::resource::{LanePlanned, LaneRun};
use aldis_domain::id::{ChangeKey, Sha};
use aldis_domain::run::Run;
use aldis_domain::statuses::Statuses;
use aldis_domain::stream;
use aldis_domain::trigger::MergeRequestAction;
use aldis_gitlab::MergeRequest;
use aldis_store::{Meta, Unit, transact};

use crate::admit::short_name;
use crate::end::{leave_plan, leave_run};
use crate::gather::Facts;
use crate::project::Project;
use crate::{PlanError, Planner};

/// Tries after which a merge request whose diff GitLab does not finish is planned as if everything
/// had changed.
const DIFF_TRIES: u32 = 12;

/// On whose behalf something is planned.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) meta: Meta,
    pub(crate) delivery: Option<String>,
    /// Failed tries before this one.
    pub(crate) tries: u32,
}

/// What asks for a plan.
#[derive(Debug, Clone)]
pub(crate) enum Asked {
    Push {
        before: Option<Sha>,
        skip: bool,
    },
    Tag,
    /// The head of a merge request's branch moved, as a push tells it.
    HeadMoved,
    MergeRequest(MergeRequestAction),
    /// `/test`, with the stacks it names.
    Test(Vec<String>),
    /// `/retest`
    Retest,
}

impl Planner {
    pub(crate) async fn plan_ref(
        &self,
        change: &ChangeKey,
        project: &Project,
        head: &Sha,
        asked: Asked,
        source: &Source,
    ) -> Result<DeliveryPlan, PlanError> {
        let ChangeKey::Ref { name, .. } = change else {
            return Err(PlanError::NotReady(std::time::Duration::ZERO));
        };
        let before = match &asked {
            Asked::Push { before, .. } => before.clone(),
            _ => None,
        };
        let mut facts = self.ref_facts(project, name, head, before.as_ref()).await?;
        facts.skip |= matches!(asked, Asked::Push { skip: true, .. });
        self.commit_plan(change, project, &facts, &asked, source).await
    }

    pub(crate) async fn plan_opened(
        &self,
        change: &ChangeKey,
        project: &Project,
        mr: &MergeRequest,
        head: &Sha,
        asked: Asked,
        source: &Source,
    ) -> Result<DeliveryPlan, PlanError> {
        if matches!(asked, Asked::HeadMoved) {
            let known = self.change(change).await?;
            if let Some(plan) = known.plan_for(head) {
                return Ok(told(change, plan, false));
            }
        }
        let ready = mr.diff_refs.is_some();
        if !ready && source.tries < DIFF_TRIES {
            return Err(PlanError::NotReady(std::time::Duration::from_secs(1)));
        }
        let facts = self.merge_request_facts(project, mr, head, ready).await?;
        self.commit_plan(change, project, &facts, &asked, source).await
    }

    async fn commit_plan(
        &self,
        key: &ChangeKey,
        project: &Project,
        facts: &Facts,
        asked: &Asked,
        source: &Source,
    ) -> Result<DeliveryPlan, PlanError> {
        let status = match &facts.config {
            ConfigFound::Valid(config) => config.status.clone(),
            _ => self.known_status(project).await?,
        };
        let configured = !matches!(facts.config, ConfigFound::Missing);
        self.observe(project, configured, status.aggregate.clone()).await?;
        let plan = transact!(self.store, source.meta.clone(), unit => {
            Attempt { key, facts, asked, source, status: &status }.carry_out(unit).await
        })?;
        self.bus.hint(aldis_bus::Topic::Cancel);
        Ok(plan)
    }

    /// Where there is no valid config, the names of the last one.
    async fn known_status(&self, project: &Project) -> Result<StatusConfig, PlanError> {
        let known = self.known_project(project.key).await?.0;
        let aggregate = known.map_or(Some(DEFAULT_STATUS.to_owned()), |known| known.aggregate);
        Ok(StatusConfig { prefix: DEFAULT_STATUS.to_owned(), aggregate })
    }
}

/// Prefix and aggregate name without a config.
pub(crate) const DEFAULT_STATUS: &str = "aldis";

/// One try to plan a head; repeated from the start if somebody else was faster.
struct Attempt<'a> {
    key: &'a ChangeKey,
    facts: &'a Facts,
    asked: &'a Asked,
    source: &'a Source,
    status: &'a StatusConfig,
}

impl Attempt<'_> {
    async fn carry_out(&self, unit: &mut Unit) -> Result<DeliveryPlan, PlanError> {
        let name = stream::change(self.key);
        let change: Change = unit.fold(&name).await?;
        let head = &self.facts.head;
        let previous = change.plan_for(head).cloned();
        let draft = self.draft(&change, previous.as_ref());
        let (decisions, new_runs) = self.decisions(unit, &draft, previous.as_ref()).await?;
        let plan = self.plan(draft.verdict, decisions);
        if change.head.as_ref() != Some(head)
            || change.merge_request != self.facts.merge_request
            || change.ended.is_some()
        {
            let merge_request = self.facts.merge_request.clone();
            unit.append(&name, HeadMoved { sha: head.clone(), merge_request });
        }
        if let Some(old) = change.plan().filter(|_| change.ended.is_none()) {
            self.leave_behind(unit, old, &plan).await?;
        }
        if previous.as_ref() != Some(&plan) {
            unit.append(&name, plan.clone());
        }
        self.plan_lane(unit, &plan).await?;
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
    async fn leave_behind(
        &self,
        unit: &mut Unit,
        old: &ChangePlanned,
        plan: &ChangePlanned,
    ) -> Result<(), PlanError> {
        if old.sha == plan.sha {
            let wanted = |id| plan.stacks.iter().any(|s| s.run.as_ref() == Some(id));
            for id in old.stacks.iter().filter_map(|s| s.run.as_ref()).filter(|id| !wanted(id)) {
                leave_run(unit, self.key, id, &EndReason::Stale, |_| true).await?;
            }
            return Ok(());
        }
        // Every commit of the default branch keeps its result.
        let default = format!("refs/heads/{}", self.facts.default_branch);
        let keeps = matches!(self.key, ChangeKey::Ref { name, .. } if *name == default);
        let reason = EndReason::Superseded { by: plan.sha.clone() };
        leave_plan(unit, self.key, old, &reason, |run: &Run| {
            let asks =
                run.request.as_ref().is_some_and(|r| r.definition.concurrency.cancel_superseded);
            asks && !keeps
        })
        .await
    }

    async fn plan_lane(&self, unit: &mut Unit, plan: &ChangePlanned) -> Result<(), PlanError> {
        if plan.lane.is_empty() {
            return Ok(());
        }
        let name = stream::statuses(plan.posting_project, &plan.sha);
        let statuses: Statuses = unit.fold(&name).await?;
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
            unit.append(&name, planned);
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

fn told(change: &ChangeKey, plan: &ChangePlanned, new_runs: bool) -> DeliveryPlan {
    DeliveryPlan {
        change: change.clone(),
        sha: plan.sha.clone(),
        new_runs,
        stacks: plan.stacks.clone(),
    }
}

/// The branch a run deploys from.
pub(crate) fn branch_of(key: &ChangeKey) -> String {
    match key {
        ChangeKey::Ref { name, .. } => short_name(name).to_owned(),
        ChangeKey::MergeRequest { .. } => String::new(),
    }
}
