//! What the note says: gathered from the change and its runs, rendered by the template.

use std::sync::LazyLock;

use serde::Serialize;
use tera::{Context, Tera};

use super::markdown::{fenced, inline};
use crate::change::{Change, planned_runs};
use crate::event::change::{ChangePlanned, PlanVerdict};
use crate::id::{ChangeKey, RunId};
use crate::report::{Outcome, PlanAction, PlanReport, Report, TestReport};
use crate::run::{Phase, Run};
use crate::statuses::{Runs, Statuses};
use crate::text;
use crate::trigger::Command;

/// Soft cap of a body, in bytes. GitLab takes a million characters; people do not.
const SOFT_CAP: usize = 60_000;
/// What the table, the history and the frame may take of it.
const FRAME: usize = 20_000;
/// Longest result in a table cell, in characters.
const CELL: usize = 200;
const HISTORY_ROWS: usize = 30;

static TEMPLATES: LazyLock<Tera> = LazyLock::new(|| {
    let mut tera = Tera::default();
    tera.add_raw_template("note.md", include_str!("note.md"))
        .expect("the template is part of the program");
    tera
});

/// Where the note's links lead.
#[derive(Debug, Clone, Copy)]
pub struct Links<'a> {
    /// The bot's public base URL, no slash at its end.
    pub base: &'a str,
}

/// What the note tells of.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// Every run that a plan of the change names.
    pub runs: &'a Runs,
    /// The statuses of the head.
    pub statuses: &'a Statuses,
}

#[derive(Serialize)]
struct Row {
    icon: &'static str,
    stack: String,
    url: String,
    result: String,
    took: String,
}

#[derive(Serialize)]
struct HistoryRow {
    commit: String,
    stack: String,
    url: String,
    result: String,
}

/// First line of the note of `change`: hidden from people, found by us.
pub fn marker(change: &ChangeKey) -> String {
    format!("<!-- aldis:note {change} -->")
}

/// The body that should stand, or `None` while there is nothing to tell: a note is first written
/// when a run ends, the config is wrong, approval is awaited, GitLab refuses a status, or somebody
/// asks for help. `exists`: there is a note already, so it must follow.
pub fn body(
    key: &ChangeKey,
    change: &Change,
    shown: Shown<'_>,
    exists: bool,
    links: Links<'_>,
) -> Option<String> {
    let runs = shown.runs;
    let plan = change.plan()?;
    let current = current_runs(plan, runs);
    let ended = current.iter().any(|(_, _, run)| run.finished.is_some());
    let urgent =
        matches!(plan.verdict, PlanVerdict::ConfigError { .. } | PlanVerdict::AwaitingApproval);
    let refused = refusals(plan, shown.statuses);
    let replies = replies(change);
    if !(exists || ended || urgent || !refused.is_empty() || !replies.is_empty()) {
        return None;
    }
    let table: Vec<Row> =
        current.iter().map(|(stack, id, run)| row(stack, id, run, links)).collect();
    let mut context = Context::new();
    context.insert("marker", &marker(key));
    context.insert("headline", &headline(plan, &current));
    context.insert("table", &table);
    context.insert("refused", &refused);
    context.insert("replies", &replies);
    context.insert("sections", &sections(plan, &current, links));
    context.insert("history", &history(change, plan, runs, links));
    context.insert("commit", plan.sha.short());
    context.insert("why", &format!("{}/changes/{}", links.base, path_of(key)));
    let text = TEMPLATES.render("note.md", &context);
    Some(text.expect("the template names only what is inserted above"))
}

/// The change as one segment of a URL's path.
fn path_of(key: &ChangeKey) -> String {
    key.to_string().replace('/', "%2F")
}

fn current_runs<'a>(plan: &'a ChangePlanned, runs: &'a Runs) -> Vec<(&'a str, &'a RunId, &'a Run)> {
    let planned = planned_runs(plan).into_iter();
    planned.filter_map(|(stack, id)| Some((stack, id, runs.get(id)?))).collect()
}

/// Status lines that GitLab does not take, with its reason.
fn refusals(plan: &ChangePlanned, statuses: &Statuses) -> Vec<String> {
    let current = statuses
        .refused
        .iter()
        .filter(|((lane, _), _)| *lane == plan.lane || lane.starts_with("refs/merge-requests/"));
    let lines = current.map(|((_, name), refused)| {
        format!("{}: {}", inline(name, CELL), inline(&refused.message, CELL))
    });
    let mut lines: Vec<String> = lines.collect();
    lines.dedup();
    lines
}

/// What became of the last comment commands, where there is something to say.
fn replies(change: &Change) -> Vec<String> {
    let last = change.handled.iter().rev().take(REPLIES).rev();
    let said = last.filter_map(|handled| {
        let word = crate::change::command_key(&handled.command);
        match &handled.refused {
            Some(reason) => {
                Some(format!("`/{}` was refused: {}", plain(&word), inline(reason, CELL)))
            }
            None => matches!(handled.command, Command::Help).then(|| HELP.to_owned()),
        }
    });
    said.collect()
}

/// Inside a code span only a backtick could do harm.
fn plain(word: &str) -> String {
    text::one_line(&word.replace('`', "'"), CELL)
}

const REPLIES: usize = 3;

/// The commands stand in code spans, so that quoting them starts nothing.
const HELP: &str = "Commands, each at the start of a line of a new comment, for Developers and above: \
    `/test` runs all stacks that the change affects, `/test api web` just these, `/retest` runs again \
    what did not pass, `/cancel` ends what runs, `/help` shows this.";

fn headline(plan: &ChangePlanned, current: &[(&str, &RunId, &Run)]) -> String {
    match &plan.verdict {
        PlanVerdict::ConfigError { .. } => return "✗ `.aldis.yml` cannot be used".to_owned(),
        PlanVerdict::AwaitingApproval => return "⏸ Waits for approval".to_owned(),
        PlanVerdict::NoConfig => return "There is no `.aldis.yml`".to_owned(),
        PlanVerdict::SkippedByAuthor => return "Skipped on the author's request".to_owned(),
        PlanVerdict::Nothing { stacks } => {
            return format!("0 of {} affected", text::stacks(*stacks));
        }
        PlanVerdict::DraftsHeldBack => return "⏸ Held back while this is a draft".to_owned(),
        PlanVerdict::Runs => {}
    }
    let total = text::stacks(u64::try_from(current.len()).unwrap_or(u64::MAX));
    let count = |wanted: fn(Outcome) -> bool| {
        let ended = current.iter().filter_map(|(_, _, run)| run.finished.as_ref());
        ended.filter(|f| wanted(f.outcome)).count()
    };
    let open = current.iter().filter(|(_, _, run)| run.finished.is_none()).count();
    let red = count(|o| {
        !matches!(o, Outcome::Passed | Outcome::Canceled | Outcome::Skipped | Outcome::Lost)
    });
    let passed = count(|o| o == Outcome::Passed);
    let going = if open > 0 { format!(", {open} not done yet") } else { String::new() };
    if red > 0 {
        format!("✗ {red} of {total} failed{going}")
    } else if open > 0 {
        format!("⏳ {passed} of {total} passed{going}")
    } else if passed == current.len() {
        format!("✓ {total} passed")
    } else {
        format!("⊘ {passed} of {total} passed, the others did not finish")
    }
}

fn icon(run: &Run) -> &'static str {
    match run.phase() {
        Phase::Absent | Phase::Waiting | Phase::Queued => "⏳",
        Phase::Running => "▶",
        Phase::Finished(Outcome::Passed) => "✅",
        Phase::Finished(Outcome::Canceled | Outcome::Lost) => "🚫",
        Phase::Finished(Outcome::Skipped) => "⏭",
        Phase::Finished(_) => "❌",
    }
}

fn result(run: &Run) -> String {
    match (&run.finished, run.phase()) {
        (Some(finished), _) => inline(&text::result_line(finished), CELL),
        (None, Phase::Running) => "running".to_owned(),
        (None, Phase::Waiting) => "waits for other stacks".to_owned(),
        (None, _) => "waits for a runner".to_owned(),
    }
}

fn run_url(id: &RunId, links: Links<'_>) -> String {
    format!("{}/runs/{id}", links.base)
}

fn row(stack: &str, id: &RunId, run: &Run, links: Links<'_>) -> Row {
    let took = run.finished.as_ref().map(|f| text::total_millis(&f.report)).filter(|ms| *ms > 0);
    Row {
        icon: icon(run),
        stack: inline(stack, CELL),
        url: run_url(id, links),
        result: result(run),
        took: took.map(text::duration).unwrap_or_default(),
    }
}

/// Details below the table, whole or not at all: a section that would go over the cap is told of
/// in one line.
fn sections(
    plan: &ChangePlanned,
    current: &[(&str, &RunId, &Run)],
    links: Links<'_>,
) -> Vec<String> {
    let mut all = Vec::new();
    match &plan.verdict {
        PlanVerdict::ConfigError { findings } => {
            all.push((fenced("text", &findings.join("\n")), String::new()));
        }
        PlanVerdict::AwaitingApproval => all.push((AWAITING.to_owned(), String::new())),
        _ => {}
    }
    for (stack, id, run) in current {
        let Some(finished) = &run.finished else { continue };
        let url = run_url(id, links);
        for (title, block) in details(&finished.report, finished.outcome) {
            let summary = format!(
                "<details><summary>{}: {}</summary>",
                inline(stack, CELL),
                inline(&title, CELL)
            );
            let instead = format!(
                "{}: {} is on [the run's page]({url}).",
                inline(stack, CELL),
                inline(&title, CELL)
            );
            all.push((format!("{summary}\n\n{block}\n\n</details>"), instead));
        }
    }
    let mut room = SOFT_CAP - FRAME;
    let fit = |(section, instead): (String, String)| {
        if section.len() <= room {
            room -= section.len();
            section
        } else {
            instead
        }
    };
    all.into_iter().map(fit).collect()
}

/// Approval by comment does not exist yet; saying so beats silence.
const AWAITING: &str = "This comes from a fork, or from somebody who may not push here. Nothing of it is run \
    before a person with push rights approves it, and approving is not available in this version. \
    To have it tested, push the same commits to a branch of this project.";

fn details(report: &Report, outcome: Outcome) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if let Some(tests) = report.tests.as_ref().filter(|t| !t.failures.is_empty()) {
        found.push((text::test_line(tests), fenced("text", &failures(tests))));
    }
    found.extend(report.plans.iter().map(|plan| {
        let line = text::plan_line(std::slice::from_ref(plan)).unwrap_or_default();
        (format!("{line} in {}", plan.file), fenced("diff", &plan_diff(plan)))
    }));
    let red = matches!(outcome, Outcome::Failed | Outcome::TimedOut | Outcome::Broken);
    if red && report.tests.as_ref().is_none_or(|t| t.failures.is_empty()) && !report.tail.is_empty()
    {
        found.push(("last lines of the output".to_owned(), fenced("text", &report.tail)));
    }
    if !report.remarks.is_empty() {
        found.push(("remarks".to_owned(), fenced("text", &report.remarks.join("\n"))));
    }
    found
}

fn failures(tests: &TestReport) -> String {
    let mut text = String::new();
    for failure in &tests.failures {
        text.push_str(&failure.name);
        text.push('\n');
        for line in failure.message.lines() {
            text.push_str("    ");
            text.push_str(line);
            text.push('\n');
        }
    }
    let more = (tests.failed + tests.errored)
        .saturating_sub(u64::try_from(tests.failures.len()).unwrap_or(0));
    if more > 0 {
        text.push_str(&format!("… and {more} more\n"));
    }
    text
}

fn plan_diff(plan: &PlanReport) -> String {
    let mut text = String::new();
    for resource in &plan.resources {
        let sign = match resource.action {
            PlanAction::Create => "+",
            PlanAction::Update => "!",
            PlanAction::Delete => "-",
            PlanAction::Replace => "-/+",
            PlanAction::Read => "<=",
        };
        text.push_str(&format!("{sign} {}\n", resource.address));
        for attribute in &resource.attributes {
            text.push_str(&format!("    {attribute}\n"));
        }
    }
    text
}

/// Runs of older plans, and of older rounds of this head, newest first.
fn history(
    change: &Change,
    plan: &ChangePlanned,
    runs: &Runs,
    links: Links<'_>,
) -> Vec<HistoryRow> {
    let now = planned_runs(plan);
    let mut rows = Vec::new();
    let mut seen: Vec<&RunId> = now.values().copied().collect();
    for old in change.plans.iter().rev() {
        for (stack, id) in planned_runs(old) {
            let Some(run) = runs.get(id).filter(|r| r.finished.is_some()) else { continue };
            if seen.contains(&id) || rows.len() == HISTORY_ROWS {
                continue;
            }
            seen.push(id);
            rows.push(HistoryRow {
                commit: old.sha.short().to_owned(),
                stack: inline(stack, CELL),
                url: run_url(id, links),
                result: format!("{} {}", icon(run), result(run)),
            });
        }
    }
    rows
}
