//! Whether a stack runs for what happened, and by which rule. Called by the planner's decision and
//! by `aldis lint`; pure, so a backtest gets the same answer from the same facts.

use super::glob::{Globs, Kind};
use super::model::{MergeRequestRule, PushRule, Stack, TagRule};
pub use super::rule::Rule;
use super::rule::kept;
use crate::trigger::MergeRequestAction;

/// What happened. Names of branches and tags are bare, without `refs/heads/` or `refs/tags/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion<'a> {
    Push {
        branch: &'a str,
    },
    /// A tag was made or moved; a deleted one is no occasion.
    Tag {
        tag: &'a str,
    },
    MergeRequest {
        action: MergeRequestAction,
        target_branch: &'a str,
        draft: bool,
    },
    /// A comment on a merge request asks for runs. `named`: this stack by name, so neither its
    /// rules nor its paths are asked; else all stacks for merge requests that the change affects.
    Command {
        named: bool,
    },
}

/// Which files a change touches, from the repository's root; a renamed file with both its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed<'a> {
    Paths(&'a [String]),
    /// The list is missing or cut short: every file counts as touched.
    Unknown,
}

/// Everything that a verdict depends on besides the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts<'a> {
    pub occasion: Occasion<'a>,
    /// The project's, for stacks that name no branch of their own.
    pub default_branch: &'a str,
    pub changed: Changed<'a>,
}

/// Whether a stack runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// `tracked`: the run makes a deployment to the stack's environment.
    Run {
        rule: Rule,
        tracked: bool,
    },
    No {
        rule: Rule,
    },
}

/// One stack's globs, compiled. Make it once per config and judge as often as needed.
#[derive(Debug)]
pub struct Matcher<'s> {
    stack: &'s Stack,
    /// Compiled, or why not.
    lists: Result<Lists, String>,
}

#[derive(Debug)]
struct Lists {
    paths: Globs,
    paths_ignore: Globs,
    branches: Globs,
    branches_ignore: Globs,
    tags: Globs,
    target_branches: Globs,
}

/// Judges once. For many facts make a [`Matcher`].
pub fn judge(stack: &Stack, facts: &Facts<'_>) -> Verdict {
    Matcher::new(stack).judge(facts)
}

impl<'s> Matcher<'s> {
    /// Compiles the globs of `stack`. If they cannot be compiled every verdict says so.
    pub fn new(stack: &'s Stack) -> Self {
        Self { stack, lists: Lists::new(stack) }
    }

    /// Whether the stack runs for these facts.
    pub fn judge(&self, facts: &Facts<'_>) -> Verdict {
        let lists = match &self.lists {
            Ok(lists) => lists,
            Err(reason) => {
                return Verdict::No { rule: Rule::GlobsUnusable { reason: reason.clone() } };
            }
        };
        let tracked = self.tracked(facts);
        let judged = self.occasion(lists, facts, tracked);
        match judged {
            Ok(rule) => Verdict::Run { rule, tracked },
            Err(rule) => Verdict::No { rule },
        }
    }

    fn tracked(&self, facts: &Facts<'_>) -> bool {
        match (facts.occasion, &self.stack.environment) {
            (Occasion::Push { branch }, Some(environment)) => {
                branch == environment.tracked_branch.as_deref().unwrap_or(facts.default_branch)
            }
            _ => false,
        }
    }

    /// The rule that lets it run, or the one that does not.
    fn occasion(&self, lists: &Lists, facts: &Facts<'_>, tracked: bool) -> Result<Rule, Rule> {
        let on = &self.stack.on;
        match facts.occasion {
            Occasion::Push { branch } if tracked => {
                let rule = lists.changed(facts.changed)?;
                let tracked = Rule::TrackedBranch { branch: branch.to_owned() };
                Ok(if rule == Rule::EveryPath { tracked } else { rule })
            }
            Occasion::Push { branch } => {
                lists.push(on.push.as_ref(), branch, facts.default_branch)?;
                lists.changed(facts.changed)
            }
            Occasion::Tag { tag } => lists.tag(on.tag.as_ref(), tag),
            Occasion::MergeRequest { action, target_branch, draft } => {
                lists.merge_request(on.merge_request.as_ref(), action, target_branch, draft)?;
                lists.changed(facts.changed)
            }
            Occasion::Command { named: true } => Ok(Rule::Asked),
            Occasion::Command { named: false } => {
                on.merge_request.as_ref().ok_or(Rule::NoMergeRequestRule)?;
                lists.changed(facts.changed)
            }
        }
    }
}

impl Lists {
    fn new(stack: &Stack) -> Result<Self, String> {
        let path = |list: &[String]| Globs::new(list, Kind::Path);
        let name = |list: Option<&Vec<String>>| {
            Globs::new(list.map(Vec::as_slice).unwrap_or_default(), Kind::Name)
        };
        let push = stack.on.push.as_ref();
        let merge_request = stack.on.merge_request.as_ref();
        Ok(Self {
            paths: path(&stack.paths)?,
            paths_ignore: path(&stack.paths_ignore)?,
            branches: name(push.map(|rule| &rule.branches))?,
            branches_ignore: name(push.map(|rule| &rule.branches_ignore))?,
            tags: name(stack.on.tag.as_ref().map(|rule| &rule.tags))?,
            target_branches: name(merge_request.map(|rule| &rule.target_branches))?,
        })
    }

    fn push(&self, rule: Option<&PushRule>, branch: &str, default: &str) -> Result<(), Rule> {
        let rule = rule.ok_or(Rule::NoPushRule)?;
        if rule.default_branch && branch != default {
            let (branch, default_branch) = (branch.to_owned(), default.to_owned());
            return Err(Rule::NotDefaultBranch { branch, default_branch });
        }
        let mut room = Vec::new();
        if !self.branches.is_empty() && self.branches.find(branch, &mut room).is_none() {
            let globs = kept(self.branches.list());
            return Err(Rule::BranchNotListed { branch: branch.to_owned(), globs });
        }
        match self.branches_ignore.find(branch, &mut room) {
            Some(glob) => {
                Err(Rule::BranchIgnored { branch: branch.to_owned(), glob: glob.to_owned() })
            }
            None => Ok(()),
        }
    }

    fn tag(&self, rule: Option<&TagRule>, tag: &str) -> Result<Rule, Rule> {
        rule.ok_or(Rule::NoTagRule)?;
        if self.tags.is_empty() {
            return Ok(Rule::EveryTag);
        }
        let tag = tag.to_owned();
        match self.tags.find(&tag, &mut Vec::new()) {
            Some(glob) => Ok(Rule::TagMatched { glob: glob.to_owned(), tag }),
            None => Err(Rule::TagNotListed { tag, globs: kept(self.tags.list()) }),
        }
    }

    fn merge_request(
        &self,
        rule: Option<&MergeRequestRule>,
        action: MergeRequestAction,
        target_branch: &str,
        draft: bool,
    ) -> Result<(), Rule> {
        let rule = rule.ok_or(Rule::NoMergeRequestRule)?;
        if !rule.actions.contains(&action) {
            return Err(Rule::ActionNotListed { action });
        }
        let globs = &self.target_branches;
        if !globs.is_empty() && globs.find(target_branch, &mut Vec::new()).is_none() {
            let (branch, globs) = (target_branch.to_owned(), kept(globs.list()));
            return Err(Rule::TargetBranchNotListed { branch, globs });
        }
        if draft && !rule.draft { Err(Rule::DraftHeldBack) } else { Ok(()) }
    }

    fn changed(&self, changed: Changed<'_>) -> Result<Rule, Rule> {
        let everything = self.paths.is_empty() && self.paths_ignore.is_empty();
        let paths = match changed {
            Changed::Paths([]) => return Err(Rule::EmptyDiff),
            _ if everything => return Ok(Rule::EveryPath),
            Changed::Unknown => return Ok(Rule::ChangesUnknown),
            Changed::Paths(paths) => paths,
        };
        let mut room = Vec::new();
        let mut ignored = None;
        for path in paths {
            let glob = if self.paths.is_empty() {
                None
            } else {
                match self.paths.find(path, &mut room) {
                    Some(glob) => Some(glob),
                    None => continue,
                }
            };
            match (self.paths_ignore.find(path, &mut room), glob) {
                (None, None) => return Ok(Rule::EveryPath),
                (None, Some(glob)) => {
                    let (glob, path) = (glob.to_owned(), path.clone());
                    return Ok(Rule::PathMatched { glob, path });
                }
                (Some(glob), _) => ignored = ignored.or(Some((glob, path))),
            }
        }
        Err(match ignored {
            Some((glob, path)) => Rule::PathsIgnored { glob: glob.to_owned(), path: path.clone() },
            None => Rule::NoPathMatched {
                globs: kept(self.paths.list()),
                checked: u64::try_from(paths.len()).unwrap_or(u64::MAX),
            },
        })
    }
}
