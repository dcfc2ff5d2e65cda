//! Lines like `/close` in a comment are carried out with the author's rights and removed.
//! After `lib/gitlab/quick_actions/extractor.rb` and `lib/gitlab/regex.rb` of GitLab.

use serde_json::{Map, Value, json};

use super::{AccessLevel, State};
use crate::answer::Answer;
use crate::error::SimError;
use crate::ids::{MergeRequestRef, UserId};

/// Commands that GitLab knows on a merge request; any other line stays text.
const KNOWN: &[&str] = &[
    "approve",
    "assign",
    "assign_reviewer",
    "award",
    "clear_estimate",
    "close",
    "copy_metadata",
    "done",
    "draft",
    "estimate",
    "label",
    "labels",
    "lock",
    "merge",
    "milestone",
    "react",
    "ready",
    "reassign",
    "rebase",
    "relabel",
    "remove_estimate",
    "remove_milestone",
    "reopen",
    "request_review",
    "reviewer",
    "ship",
    "spend",
    "submit_review",
    "subscribe",
    "tableflip",
    "target_branch",
    "title",
    "todo",
    "unapprove",
    "unassign",
    "unassign_reviewer",
    "unlabel",
    "unlock",
    "unsubscribe",
    "wip",
];

/// One command and the rest of its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) name: String,
    pub(crate) args: String,
}

/// What the commands of one comment changed.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    pub(crate) changes: Map<String, Value>,
    pub(crate) summary: Vec<String>,
}

/// Splits a comment into the text that stays and the commands that run.
pub(crate) fn extract(body: &str) -> (String, Vec<Command>) {
    let body = body.replace("\r\n", "\n");
    let lines: Vec<&str> = body.split('\n').collect();
    let (mut kept, mut commands) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < lines.len() {
        if let Some(end) = block_end(&lines, at) {
            kept.extend_from_slice(&lines[at..=end]);
            at = end + 1;
            continue;
        }
        match command(lines[at]) {
            Some(found) => commands.push(found),
            None => kept.push(lines[at]),
        }
        at += 1;
    }
    (kept.join("\n").trim_end_matches('\n').to_owned(), commands)
}

/// Last line of the protected block that starts here. A code block ends only at a line of
/// exactly three backticks, however long its opening fence is; an unclosed block protects nothing.
fn block_end(lines: &[&str], start: usize) -> Option<usize> {
    let first = lines[start];
    let ends: Box<dyn Fn(&str) -> bool> = if first.starts_with("```") {
        Box::new(|line| line.trim_end_matches(' ') == "```")
    } else if first.trim_end_matches(' ') == ">>>" {
        Box::new(|line| line.trim_end_matches(' ') == ">>>")
    } else if is_tag(first, "<") && !first.starts_with("<!--") {
        Box::new(|line| is_tag(line, "</"))
    } else {
        return None;
    };
    // At least one line lies between, except in a code block, where the info string will do.
    let from = start + if first.len() > 3 && first.starts_with("```") { 1 } else { 2 };
    (from..lines.len()).find(|at| ends(lines[*at]))
}

/// A line that is one tag and nothing else.
fn is_tag(line: &str, opening: &str) -> bool {
    let inner = line.trim_end_matches(' ').strip_prefix(opening).and_then(|l| l.strip_suffix('>'));
    inner.is_some_and(|inner| !inner.is_empty() && !inner.contains('>'))
}

fn command(line: &str) -> Option<Command> {
    let rest = line.strip_prefix('/')?;
    let (name, args) = rest.split_once(' ').unwrap_or((rest, ""));
    let name = name.trim_end().to_ascii_lowercase();
    KNOWN.contains(&name.as_str()).then(|| Command { name, args: args.trim().to_owned() })
}

impl State {
    /// Carries the commands out; the whole comment is refused if none of them applies.
    pub(super) fn run_commands(
        &mut self,
        mr: MergeRequestRef,
        user: UserId,
        commands: &[Command],
    ) -> Result<Applied, Answer> {
        let mut applied = Applied::default();
        for command in commands {
            if let Some((key, value)) = self.run_command(mr, user, command)? {
                applied.changes.insert(key.to_owned(), value);
                applied.summary.push(format!("Applied /{}.", command.name));
                let line = format!(
                    "{} {mr} quick action by {}: /{}",
                    self.path(mr.project),
                    self.username(user),
                    command.name
                );
                self.tell(line);
            }
        }
        if !commands.is_empty() && applied.summary.is_empty() {
            return Err(Answer::message(400, "400 Bad request - Commands did not apply"));
        }
        Ok(applied)
    }

    fn run_command(
        &mut self,
        mr: MergeRequestRef,
        user: UserId,
        command: &Command,
    ) -> Result<Option<(&'static str, Value)>, SimError> {
        let author = self.merge_request(mr)?.author == user;
        let developer = self.need(mr.project, user, AccessLevel::Developer).is_ok();
        if !developer && !author {
            return Ok(None);
        }
        let (change, done) = match command.name.as_str() {
            "close" => (("state_event", json!("close")), self.close(mr, user)),
            "reopen" => (("state_event", json!("reopen")), self.reopen(mr, user)),
            "merge" if developer => (("merge", json!(true)), self.merge(mr, user).map(drop)),
            "approve" if developer => (("approved", json!(true)), self.approve(mr, user, true)),
            "unapprove" => (("approved", json!(false)), self.approve(mr, user, false)),
            "draft" | "wip" => (("wip_event", json!("draft")), self.set_draft(mr, user, true)),
            "ready" => (("wip_event", json!("ready")), self.set_draft(mr, user, false)),
            "title" => (("title", json!(command.args)), self.set_title(mr, user, &command.args)),
            "label" | "labels" | "unlabel" | "relabel" => {
                (("label_ids", json!([])), self.label_command(mr, user, command))
            }
            _ => (("noop", json!(command.name)), Ok(())),
        };
        match done {
            Ok(()) => Ok(Some(change)),
            Err(SimError::Refused(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn label_command(
        &mut self,
        mr: MergeRequestRef,
        user: UserId,
        command: &Command,
    ) -> Result<(), SimError> {
        let given: Vec<String> = command
            .args
            .split(['~', ' ', ','])
            .map(|word| word.trim_matches('"').to_owned())
            .filter(|word| !word.is_empty())
            .collect();
        let mut labels = self.merge_request(mr)?.labels.clone();
        match command.name.as_str() {
            "relabel" => labels = given,
            "unlabel" => labels.retain(|label| !given.is_empty() && !given.contains(label)),
            _ => labels.extend(given),
        }
        self.set_labels(mr, user, labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commands found and the text that stays, with line ends shown.
    fn check(body: &str) -> String {
        let (text, commands) = extract(body);
        let names: Vec<String> = commands
            .iter()
            .map(|c| format!("/{} {}", c.name, c.args).trim_end().to_owned())
            .collect();
        let text = text.replace('\n', "⏎");
        format!("[{}] {text}", names.join(", ")).trim_end().to_owned()
    }

    #[test]
    fn commands_are_found_only_where_gitlab_looks() {
        let cases = [
            "/close",
            "text\n/CLOSE\r\nmore",
            "/label ~one ~\"two words\"",
            "/retest\n/closed\n /close\nsee /close",
            "```\n/close\n```\n/reopen",
            "```sh\n/close\n```",
            "````\n/close\n````",
            "````\nx\n```\n/close\n````",
            "```\n/close",
            ">>>\n/close\n>>>\n/reopen",
            "<details>\n/close\n</details>\n/reopen",
            "<!-- marker -->\n/close\n</details>",
            "<b>x</b>\n/close\n</b>",
        ];
        let found: Vec<String> = cases.iter().map(|case| check(case)).collect();
        insta::assert_snapshot!(found.join("\n"), @r#"
        [/close]
        [/close] text⏎more
        [/label ~one ~"two words"]
        [] /retest⏎/closed⏎ /close⏎see /close
        [/reopen] ```⏎/close⏎```
        [] ```sh⏎/close⏎```
        [/close] ````⏎````
        [/close] ````⏎x⏎```⏎````
        [/close] ```
        [/reopen] >>>⏎/close⏎>>>
        [/reopen] <details>⏎/close⏎</details>
        [/close] <!-- marker -->⏎</details>
        [/close] <b>x</b>⏎</b>
        "#);
    }
}
