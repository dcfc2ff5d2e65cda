//! A change: one merge request or ref. Its state, and the plan for one of its heads.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::matching::{Rule, Verdict};
use crate::config::{Config, Stack};
use crate::event::change::{
    ChangePlanned, CommandHandled, HeadMoved, MergeRequestFacts, PlanVerdict, StackDecision, Trust,
};
use crate::event::{EndReason, Event};
use crate::fold::Fold;
use crate::id::{ProjectKey, RunId, Sha};
use crate::trigger::Command;

/// GitLab's access level of a Developer: what commands and trust ask for.
pub const DEVELOPER: u32 = 30;

/// How many old plans a change keeps for its note's history.
const KEPT_PLANS: usize = 20;
/// How many comment commands a change keeps to answer in its note.
const KEPT_COMMANDS: usize = 5;

/// Everything known of one change.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Change {
    pub head: Option<Sha>,
    pub merge_request: Option<MergeRequestFacts>,
    /// Newest last; at most the last 20.
    pub plans: Vec<ChangePlanned>,
    pub ended: Option<EndReason>,
    /// Comment commands that were dealt with, by note and command.
    pub commands: BTreeSet<(u64, String)>,
    /// The last of them, oldest first.
    pub handled: Vec<CommandHandled>,
}

impl Fold for Change {
    fn apply(&mut self, event: &Event) {
        match event {
            Event::HeadMoved(HeadMoved { sha, merge_request }) => {
                self.head = Some(sha.clone());
                self.merge_request.clone_from(merge_request);
                self.ended = None;
            }
            Event::ChangePlanned(plan) => {
                if self.plans.len() == KEPT_PLANS {
                    self.plans.remove(0);
                }
                self.plans.push(plan.clone());
                self.ended = None;
            }
            Event::CommandHandled(handled) => {
                self.commands.insert((handled.note, command_key(&handled.command)));
                if self.handled.len() == KEPT_COMMANDS {
                    self.handled.remove(0);
                }
                self.handled.push(handled.clone());
            }
            Event::ChangeEnded(ended) => self.ended = Some(ended.reason.clone()),
            _ => {}
        }
    }
}

impl Change {
    /// The newest plan.
    pub fn plan(&self) -> Option<&ChangePlanned> {
        self.plans.last()
    }

    /// The newest plan, if it is one for `sha` and the change has not ended since.
    pub fn plan_for(&self, sha: &Sha) -> Option<&ChangePlanned> {
        self.plan().filter(|plan| plan.sha == *sha && self.ended.is_none())
    }
}

/// What makes two commands of one note the same.
pub fn command_key(command: &Command) -> String {
    match command {
        Command::Test { stacks } => format!("test {}", stacks.join(" ")),
        Command::Retest => "retest".to_owned(),
        Command::Cancel => "cancel".to_owned(),
        Command::Help => "help".to_owned(),
    }
}

/// The config file as it was found.
#[derive(Debug, Clone, PartialEq)]
pub enum ConfigFound {
    Missing,
    /// Findings as `aldis lint` prints them.
    Invalid(Vec<String>),
    Valid(Box<Config>),
}

/// What the plan of a head is made from, stacks aside.
#[derive(Debug, Clone, Copy)]
pub struct PlanBasis<'a> {
    pub trust: Trust,
    pub config: &'a ConfigFound,
    /// The author asks not to be tested.
    pub skip: bool,
}

/// A stack that will run.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    pub stack: String,
    pub rule: Rule,
    pub tracked: bool,
    pub definition: Stack,
}

/// A plan without run ids yet: these follow from the definitions' digests.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    pub verdict: PlanVerdict,
    pub chosen: Vec<Chosen>,
    /// Stacks that do not run, and the rule that said no.
    pub refused: Vec<(String, Rule)>,
}

/// Decides for every stack whether it runs, and what that makes of the plan as a whole. `judge`
/// applies the matching rules to one stack.
pub fn draft(
    basis: PlanBasis<'_>,
    previous: Option<&ChangePlanned>,
    judge: impl Fn(&str, &Stack) -> Verdict,
) -> Draft {
    let empty = |verdict| Draft { verdict, chosen: Vec::new(), refused: Vec::new() };
    let config = match basis.config {
        ConfigFound::Missing => return empty(PlanVerdict::NoConfig),
        ConfigFound::Invalid(findings) => {
            return empty(PlanVerdict::ConfigError {
                findings: findings.iter().take(20).cloned().collect(),
            });
        }
        ConfigFound::Valid(config) => config,
    };
    if basis.skip && config.skip_ci {
        return empty(PlanVerdict::SkippedByAuthor);
    }
    let mut draft = empty(PlanVerdict::Runs);
    for (name, stack) in &config.stacks {
        match judge(name, stack) {
            Verdict::Run { rule, tracked } => {
                draft.chosen.push(Chosen {
                    stack: name.clone(),
                    rule,
                    tracked,
                    definition: stack.clone(),
                });
            }
            Verdict::No { rule } => match carried_over(previous, name, &rule) {
                Some(old) => draft.chosen.push(Chosen {
                    stack: name.clone(),
                    rule: old.rule.clone(),
                    tracked: old.tracked,
                    definition: stack.clone(),
                }),
                None => draft.refused.push((name.clone(), rule)),
            },
        }
    }
    add_needed(config, &mut draft);
    draft.verdict = verdict(basis.trust, config, &draft);
    draft
}

/// What runs for this head is not taken away by an action that the stack does not listen to, nor by
/// news that come again after somebody asked for it by a command.
fn carried_over<'a>(
    previous: Option<&'a ChangePlanned>,
    stack: &str,
    rule: &Rule,
) -> Option<&'a StackDecision> {
    let old = previous?.stacks.iter().find(|old| old.stack == stack && old.run.is_some())?;
    let stays = matches!(rule, Rule::ActionNotListed { .. } | Rule::DraftHeldBack);
    (stays || old.rule == Rule::Asked).then_some(old)
}

/// What a chosen stack needs runs with it, whatever its own rules say: else it would wait for ever.
fn add_needed(config: &Config, draft: &mut Draft) {
    let mut queue: Vec<(String, String)> = draft
        .chosen
        .iter()
        .flat_map(|c| c.definition.needs.iter().map(|need| (need.clone(), c.stack.clone())))
        .collect();
    while let Some((need, by)) = queue.pop() {
        let Some(definition) = config.stacks.get(&need) else { continue };
        if draft.chosen.iter().any(|c| c.stack == need) {
            continue;
        }
        draft.refused.retain(|(stack, _)| *stack != need);
        queue.extend(definition.needs.iter().map(|n| (n.clone(), need.clone())));
        let definition = definition.clone();
        draft.chosen.push(Chosen {
            stack: need,
            rule: Rule::NeededBy { stack: by },
            tracked: false,
            definition,
        });
    }
    draft.chosen.sort_by(|a, b| a.stack.cmp(&b.stack));
}

fn verdict(trust: Trust, config: &Config, draft: &Draft) -> PlanVerdict {
    if draft.chosen.is_empty() {
        let held = draft.refused.iter().any(|(_, rule)| matches!(rule, Rule::DraftHeldBack));
        let stacks = u64::try_from(config.stacks.len()).unwrap_or(u64::MAX);
        return if held { PlanVerdict::DraftsHeldBack } else { PlanVerdict::Nothing { stacks } };
    }
    if trust == Trust::Member { PlanVerdict::Runs } else { PlanVerdict::AwaitingApproval }
}

/// Stacks in an order in which what is needed comes before what needs it.
pub fn by_need(chosen: &[Chosen]) -> Vec<&Chosen> {
    let names: BTreeMap<&str, &Chosen> = chosen.iter().map(|c| (c.stack.as_str(), c)).collect();
    let mut done = BTreeSet::new();
    let mut order = Vec::new();
    // Needs are free of cycles: the reader refuses them. A pass that adds nothing ends all the same.
    while order.len() < names.len() {
        let before = order.len();
        for (name, chosen) in &names {
            let ready = chosen
                .definition
                .needs
                .iter()
                .all(|n| done.contains(n.as_str()) || !names.contains_key(n.as_str()));
            if ready && done.insert(*name) {
                order.push(*chosen);
            }
        }
        if order.len() == before {
            break;
        }
    }
    order
}

/// Which trust a merge request's author has: who may push to the project may also run in it.
pub fn trust(target: ProjectKey, facts: &MergeRequestFacts, author_level: u32) -> Trust {
    match facts.source_project {
        Some(source) if source == target.id && author_level >= DEVELOPER => Trust::Member,
        Some(source) if source == target.id => Trust::Unknown,
        _ => Trust::Fork,
    }
}

/// Runs of the plan by stack.
pub fn planned_runs(plan: &ChangePlanned) -> BTreeMap<&str, &RunId> {
    plan.stacks.iter().filter_map(|s| Some((s.stack.as_str(), s.run.as_ref()?))).collect()
}

/// Whether the head commit's message asks not to be tested, as GitLab reads it
/// (`lib/gitlab/ci/pipeline/chain/skip.rb`).
pub fn asks_to_skip(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["[skip ci]", "[ci skip]", "[ci-skip]", "[skip-ci]", "[ci_skip]", "[skip_ci]"]
        .iter()
        .any(|word| message.contains(word))
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
