//! Words for people, shared by status lines, notes and pages.

use crate::event::EndReason;
use crate::event::run::RunFinished;
use crate::report::{Outcome, PlanReport, Report, StepReport, StepResult, TestReport};

/// GitLab's limit for a status description and a target URL, in characters.
pub const DESCRIPTION: usize = 255;

/// How a run of unknown outcome is told.
pub const UNKNOWN: &str = "outcome unknown";

/// `text` on one line of at most `limit` characters, without control characters.
pub fn one_line(text: &str, limit: usize) -> String {
    let flat: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let flat = flat.split_whitespace().collect::<Vec<_>>().join(" ");
    if flat.chars().count() <= limit {
        return flat;
    }
    let kept: String = flat.chars().take(limit.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// `1 stack`, `3 stacks`.
pub fn stacks(count: u64) -> String {
    counted(count, "stack")
}

/// `1 test`, `3 tests`.
pub fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Milliseconds as people say them: `820 ms`, `12 s`, `3 min 20 s`.
pub fn duration(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0 => format!("{millis} ms"),
        1..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// Why something was ended.
pub fn end_reason(reason: &EndReason) -> String {
    match reason {
        EndReason::Superseded { by } => format!("superseded by {}", by.short()),
        EndReason::Closed => "the merge request was closed".to_owned(),
        EndReason::Merged => "the merge request was merged".to_owned(),
        EndReason::Deleted => "the branch or tag was deleted".to_owned(),
        EndReason::Asked { .. } => "canceled on request".to_owned(),
        EndReason::NeedFailed { stack } => format!("{stack} did not pass"),
        EndReason::Stale => "no longer the head".to_owned(),
    }
}

/// The first finding, and how many more there are.
pub fn config_error(findings: &[String]) -> String {
    match findings {
        [] => "the config file is not valid".to_owned(),
        [only] => only.clone(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    }
}

/// A finished run in one line: the result first, then what it changes.
pub fn result_line(finished: &RunFinished) -> String {
    let report = &finished.report;
    match finished.outcome {
        Outcome::Passed => passed(report),
        Outcome::Failed => failed(report),
        Outcome::TimedOut => match failed_step(report) {
            Some(step) => format!("{} ran out of time after {}", step.name, duration(step.millis)),
            None => "ran out of time".to_owned(),
        },
        Outcome::Broken => report.trouble.clone().unwrap_or_else(|| "could not be run".to_owned()),
        Outcome::Unknown => format!("{UNKNOWN}: the runner vanished"),
        Outcome::Lost => "every attempt lost its runner".to_owned(),
        Outcome::Canceled | Outcome::Skipped => {
            finished.reason.as_ref().map_or_else(|| "canceled".to_owned(), end_reason)
        }
    }
}

fn passed(report: &Report) -> String {
    let mut parts = Vec::new();
    parts.extend(report.tests.as_ref().map(|tests| {
        format!("{} passed", counted(tests.total - tests.skipped.min(tests.total), "test"))
    }));
    parts.extend(plan_line(&report.plans));
    if parts.is_empty() {
        parts.push(format!("passed in {}", duration(total_millis(report))));
    }
    parts.join("; ")
}

fn failed(report: &Report) -> String {
    let mut parts = Vec::new();
    parts.extend(report.tests.as_ref().filter(|t| t.failed + t.errored > 0).map(test_line));
    if parts.is_empty() {
        parts.push(match failed_step(report) {
            Some(StepReport { name, exit: Some(code), .. }) => {
                format!("{name} failed with exit code {code}")
            }
            Some(step) => format!("{} failed", step.name),
            None => report.trouble.clone().unwrap_or_else(|| "failed".to_owned()),
        });
    }
    parts.extend(plan_line(&report.plans));
    parts.join("; ")
}

/// `3 failed of 120`.
pub fn test_line(tests: &TestReport) -> String {
    format!("{} failed of {}", tests.failed + tests.errored, counted(tests.total, "test"))
}

/// `+1 ~0 −0` over all plans; `None` without a plan.
pub fn plan_line(plans: &[PlanReport]) -> Option<String> {
    let sum = |of: fn(&PlanReport) -> u64| plans.iter().map(of).sum::<u64>();
    (!plans.is_empty())
        .then(|| format!("+{} ~{} −{}", sum(|p| p.add), sum(|p| p.change), sum(|p| p.destroy)))
}

/// The step that made the run fail.
pub fn failed_step(report: &Report) -> Option<&StepReport> {
    report.steps.iter().find(|s| matches!(s.result, StepResult::Failed | StepResult::TimedOut))
}

/// Time of all steps together.
pub fn total_millis(report: &Report) -> u64 {
    report.steps.iter().map(|s| s.millis).sum()
}
