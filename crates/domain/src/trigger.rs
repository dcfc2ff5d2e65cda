//! What a delivery means to us: every payload field that a decision may read, and nothing else.
//!
//! No prose and no names of people are kept: an actor is a number, a comment is the commands in it.

use serde::{Deserialize, Serialize};

use crate::id::{ChangeKey, ProjectKey, Sha};

/// The meaning of one webhook delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Trigger {
    Push(Push),
    Tag(Push),
    MergeRequest(MergeRequestTrigger),
    Note(NoteTrigger),
    Pipeline(PipelineTrigger),
    /// Authentic and understood, but nothing we act on (an issue, a job, a release …).
    Other {
        event: String,
    },
}

/// A branch or tag that was made, moved or deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    pub project: ProjectKey,
    /// Full name: `refs/heads/…` or `refs/tags/…`.
    pub name: String,
    /// `None`: the ref was made by this push.
    pub before: Option<Sha>,
    /// The commit (for an annotated tag not the tag object). `None`: the ref was deleted.
    pub after: Option<Sha>,
    pub actor: u64,
    /// `git push -o ci.skip`, where GitLab tells it.
    #[serde(default)]
    pub skip_ci: bool,
}

/// What happened to a merge request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeRequestTrigger {
    /// The target project.
    pub project: ProjectKey,
    pub iid: u64,
    pub action: MergeRequestAction,
    pub head: Option<Sha>,
    /// `None`: the fork is gone.
    pub source_project: Option<u64>,
    pub source_branch: String,
    pub target_branch: String,
    pub draft: bool,
    pub actor: u64,
}

/// Told apart by `action`, `oldrev` and `changes` of the payload, never by its title.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeRequestAction {
    Opened,
    /// New commits.
    Updated,
    Reopened,
    /// The target branch changed.
    Retargeted,
    /// Draft no more.
    Ready,
    Labeled,
    Closed,
    Merged,
    /// Title, reviewers, approvals, draft again …: nothing to run for.
    Edited,
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteTrigger {
    pub project: ProjectKey,
    pub note: u64,
    /// The merge request it stands on; `None`: an issue, commit or snippet.
    pub merge_request: Option<u64>,
    /// Old servers send no action; a missing one counts as made.
    pub created: bool,
    pub system: bool,
    pub actor: u64,
    pub commands: Vec<Command>,
}

/// A line of a comment that speaks to us. Parsed at a line's start only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// `/test [stack…]`: run the named stacks, or all that the change affects.
    Test {
        stacks: Vec<String>,
    },
    /// `/retest`: run again what did not pass.
    Retest,
    /// `/cancel`: end what runs for this merge request.
    Cancel,
    Help,
}

/// A pipeline of GitLab's own appeared or moved; ours are `source: external`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineTrigger {
    pub project: ProjectKey,
    pub pipeline: u64,
    pub sha: Sha,
    /// The source branch even for merge-request pipelines.
    pub name: String,
    pub source: String,
    pub merge_request: Option<u64>,
}

impl Trigger {
    /// The project the payload names, if it names one we read.
    pub fn project(&self) -> Option<ProjectKey> {
        match self {
            Self::Push(push) | Self::Tag(push) => Some(push.project),
            Self::MergeRequest(mr) => Some(mr.project),
            Self::Note(note) => Some(note.project),
            Self::Pipeline(pipeline) => Some(pipeline.project),
            Self::Other { .. } => None,
        }
    }

    /// The change it is about, if it is about one.
    pub fn change(&self) -> Option<ChangeKey> {
        match self {
            Self::Push(push) | Self::Tag(push) => {
                Some(ChangeKey::Ref { project: push.project, name: push.name.clone() })
            }
            Self::MergeRequest(mr) => {
                Some(ChangeKey::MergeRequest { project: mr.project, iid: mr.iid })
            }
            Self::Note(note) => {
                note.merge_request.map(|iid| ChangeKey::MergeRequest { project: note.project, iid })
            }
            Self::Pipeline(_) | Self::Other { .. } => None,
        }
    }
}

/// Reads the commands of a comment: lines that start with one of our words. Lines inside fenced
/// code and quoted lines do not count, so that quoting a help text starts nothing.
pub fn commands(text: &str) -> Vec<Command> {
    let mut fence: Option<&str> = None;
    let mut found = Vec::new();
    for line in text.lines() {
        let bare = line.trim_start();
        let marker = ["```", "~~~"].into_iter().find(|m| bare.starts_with(m));
        match (fence, marker) {
            (None, Some(open)) => fence = Some(open),
            (Some(open), Some(close)) if open == close => fence = None,
            (None, None) => found.extend(command(line)),
            _ => {}
        }
    }
    found
}

fn command(line: &str) -> Option<Command> {
    let mut words = line.strip_prefix('/')?.split_whitespace();
    let command = match words.next()? {
        "test" => Command::Test { stacks: words.map(str::to_owned).collect() },
        "retest" => Command::Retest,
        "cancel" => Command::Cancel,
        "help" => Command::Help,
        _ => return None,
    };
    Some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_stand_at_a_lines_start_and_outside_code() {
        let text = "please\n/test api web\n> /retest\n```\n/cancel\n```\n /help\n/help\n/rebase";
        insta::assert_debug_snapshot!(commands(text), @r#"
        [
            Test {
                stacks: [
                    "api",
                    "web",
                ],
            },
            Help,
        ]
        "#);
    }
}
