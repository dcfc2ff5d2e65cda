//! The exact reason why a stack runs or does not, kept in the log and shown to people.
//!
//! Rules are stored: a variant's name and fields may be added to, never renamed.

use serde::{Deserialize, Serialize};

use crate::trigger::MergeRequestAction;

/// Globs that one rule repeats; a list may have thousands, and the config has them all.
const KEPT: usize = 10;

/// Why a stack runs, or which rule said no. `globs` are the first ten of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum Rule {
    /// Runs: a changed file is one of the stack's.
    PathMatched {
        glob: String,
        path: String,
    },
    /// Runs: the stack has no `paths`.
    EveryPath,
    /// Runs: GitLab could not tell what changed, so everything counts as changed.
    ChangesUnknown,
    /// Runs: a push to the environment's branch, and the stack has no `paths`.
    TrackedBranch {
        branch: String,
    },
    /// Runs: the tag is listed.
    TagMatched {
        tag: String,
        glob: String,
    },
    /// Runs: the stack asks for every tag.
    EveryTag,
    /// Runs: somebody named the stack in a command; nothing else was asked.
    Asked,
    /// Runs: a stack that runs needs it.
    NeededBy {
        stack: String,
    },
    /// No changed file is one of the stack's. `checked` counts the changed files.
    NoPathMatched {
        globs: Vec<String>,
        checked: u64,
    },
    /// Of the changed files that are the stack's, `paths_ignore` takes every one away; the first
    /// one stands here.
    PathsIgnored {
        glob: String,
        path: String,
    },
    /// Nothing changed.
    EmptyDiff,
    NoPushRule,
    BranchNotListed {
        branch: String,
        globs: Vec<String>,
    },
    BranchIgnored {
        branch: String,
        glob: String,
    },
    /// The stack runs for pushes to the default branch only.
    NotDefaultBranch {
        branch: String,
        default_branch: String,
    },
    NoTagRule,
    TagNotListed {
        tag: String,
        globs: Vec<String>,
    },
    NoMergeRequestRule,
    TargetBranchNotListed {
        branch: String,
        globs: Vec<String>,
    },
    ActionNotListed {
        action: MergeRequestAction,
    },
    DraftHeldBack,
    /// A command named other stacks.
    NotAsked,
    /// The stack's globs cannot be compiled. Reading a file refuses such globs, so this is about a
    /// config that another version has checked.
    GlobsUnusable {
        reason: String,
    },
}

impl Rule {
    /// One plain sentence for people, without a full stop. Names of branches, tags and paths are
    /// other people's words: whoever puts the sentence into Markdown or HTML must escape it.
    pub fn explain(&self) -> String {
        match self {
            Self::PathMatched { glob, path } => format!("{path} changed, which matches {glob}"),
            Self::EveryPath => "it runs for changes to any file".to_owned(),
            Self::ChangesUnknown => {
                "the list of changed files is not known, so every file counts as changed".to_owned()
            }
            Self::TrackedBranch { branch } => format!("{branch} is its environment's branch"),
            Self::TagMatched { tag, glob } => format!("the tag {tag} matches {glob}"),
            Self::EveryTag => "it runs for every tag".to_owned(),
            Self::Asked => "a command asked for it by name".to_owned(),
            Self::NeededBy { stack } => format!("{stack} needs it"),
            Self::NoPathMatched { globs, checked: 1 } => {
                format!("the changed file does not match {}", listed(globs))
            }
            Self::NoPathMatched { globs, checked } => {
                format!("none of the {checked} changed files matches {}", listed(globs))
            }
            Self::PathsIgnored { glob, path } => {
                format!("{path} changed, but `paths_ignore` takes it away with {glob}")
            }
            Self::EmptyDiff => "no file changed".to_owned(),
            Self::NoPushRule => "it does not run for pushes".to_owned(),
            Self::BranchNotListed { branch, globs } => {
                format!("the branch {branch} does not match {}", listed(globs))
            }
            Self::BranchIgnored { branch, glob } => {
                format!("`branches_ignore` takes the branch {branch} away with {glob}")
            }
            Self::NotDefaultBranch { branch, default_branch } => format!(
                "for pushes it runs on the default branch {default_branch} only, not on {branch}"
            ),
            Self::NoTagRule => "it does not run for tags".to_owned(),
            Self::TagNotListed { tag, globs } => {
                format!("the tag {tag} does not match {}", listed(globs))
            }
            Self::NotAsked => "a command asked for other stacks".to_owned(),
            Self::NoMergeRequestRule => "it does not run for merge requests".to_owned(),
            Self::TargetBranchNotListed { branch, globs } => {
                format!("the target branch {branch} does not match {}", listed(globs))
            }
            Self::ActionNotListed { action } => {
                format!("it does not run when a merge request is {}", word(*action))
            }
            Self::DraftHeldBack => "it does not run for drafts".to_owned(),
            Self::GlobsUnusable { reason } => format!("its globs cannot be used: {reason}"),
        }
    }
}

/// The part of a list that a rule keeps.
pub(super) fn kept(globs: &[String]) -> Vec<String> {
    globs.iter().take(KEPT).cloned().collect()
}

/// The first few globs, so that a sentence stays one.
fn listed(globs: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = globs.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if globs.len() > SHOWN { format!("{shown} or the others") } else { shown }
}

fn word(action: MergeRequestAction) -> &'static str {
    match action {
        MergeRequestAction::Opened => "opened",
        MergeRequestAction::Updated => "updated",
        MergeRequestAction::Reopened => "reopened",
        MergeRequestAction::Retargeted => "retargeted",
        MergeRequestAction::Ready => "marked as ready",
        MergeRequestAction::Labeled => "labeled",
        MergeRequestAction::Closed => "closed",
        MergeRequestAction::Merged => "merged",
        MergeRequestAction::Edited => "edited",
    }
}
