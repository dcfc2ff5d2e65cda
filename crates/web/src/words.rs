//! Words that only pages need. Sentences that status lines and notes share are in the domain.

use aldis_domain::event::change::{PlanVerdict, Trust};
use aldis_domain::event::delivery::{DeliveryVerdict, Refusal, Verification};
use aldis_domain::report::{Outcome, StepResult};
use aldis_domain::text;
use aldis_domain::trigger::{Command, MergeRequestAction, Push, Trigger};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::projector::deliveries::{DeliveryEntry, DeliveryState};
use crate::projector::runs::RunState;

/// A state at a glance: a sign, a word and a colour, so that none of them is needed alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Badge {
    /// Class name: `good`, `bad`, `busy`, `calm` or `warn`.
    pub(crate) class: &'static str,
    pub(crate) icon: &'static str,
    pub(crate) word: &'static str,
}

const fn badge(class: &'static str, icon: &'static str, word: &'static str) -> Badge {
    Badge { class, icon, word }
}

/// A moment in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Moment {
    /// `2026-11-20T19:45:08Z`
    pub(crate) iso: String,
    /// `2026-11-20 19:45:08 UTC`
    pub(crate) full: String,
    /// `3 min ago`
    pub(crate) words: String,
}

/// `at` and `now` in microseconds since 1970.
pub(crate) fn moment(at: i64, now: i64) -> Moment {
    let utc = Timestamp::from_microsecond(at).unwrap_or_default().to_zoned(TimeZone::UTC);
    let seconds = (now - at) / 1_000_000;
    let words = match seconds {
        ..10 => "just now".to_owned(),
        10..60 => format!("{seconds} s ago"),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        86_400..604_800 => format!("{} ago", text::counted(days(seconds), "day")),
        _ => utc.strftime("%Y-%m-%d").to_string(),
    };
    Moment {
        iso: utc.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        full: utc.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        words,
    }
}

fn days(seconds: i64) -> u64 {
    u64::try_from(seconds / 86_400).unwrap_or(0)
}

/// The time between two moments, as people say it.
pub(crate) fn between(start: i64, end: i64) -> String {
    text::duration(u64::try_from((end - start) / 1_000).unwrap_or(0))
}

/// Where a run stands.
pub(crate) fn run_badge(state: RunState) -> Badge {
    match state {
        RunState::Waiting => badge("calm", "⋯", "waits"),
        RunState::Queued => badge("calm", "⋯", "queued"),
        RunState::Running => badge("busy", "▶", "running"),
        RunState::Ended(outcome) => match outcome {
            Outcome::Passed => badge("good", "✓", "passed"),
            Outcome::Failed => badge("bad", "✗", "failed"),
            Outcome::TimedOut => badge("bad", "✗", "timed out"),
            Outcome::Canceled => badge("calm", "⊘", "canceled"),
            Outcome::Skipped => badge("calm", "⊘", "skipped"),
            Outcome::Lost => badge("warn", "!", "lost"),
            Outcome::Unknown => badge("bad", "?", "unknown"),
            Outcome::Broken => badge("bad", "!", "not run"),
        },
    }
}

/// How a step ended.
pub(crate) fn step_badge(result: StepResult) -> Badge {
    match result {
        StepResult::Passed => badge("good", "✓", "passed"),
        StepResult::Failed => badge("bad", "✗", "failed"),
        StepResult::AllowedFailure => badge("warn", "!", "failed, allowed"),
        StepResult::TimedOut => badge("bad", "✗", "timed out"),
        StepResult::Canceled => badge("calm", "⊘", "canceled"),
        StepResult::Skipped => badge("calm", "⊘", "skipped"),
    }
}

/// Where a step of a run stands that has not told its results; `current` is the step that wrote
/// last, `None` if nothing is written by now or the run is over.
pub(crate) fn planned_step_badge(step: usize, current: Option<usize>) -> Badge {
    match current {
        Some(current) if step < current => badge("calm", "–", "done"),
        Some(current) if step == current => badge("busy", "▶", "running"),
        _ => badge("calm", "⋯", "not run"),
    }
}

/// What became of a delivery.
pub(crate) fn delivery_badge(state: &DeliveryState, runs: u64) -> Badge {
    match state {
        DeliveryState::Waiting => badge("busy", "⋯", "waits"),
        DeliveryState::Refused { .. } => badge("bad", "✗", "refused"),
        DeliveryState::Quarantined { .. } => badge("warn", "!", "not understood"),
        DeliveryState::Decided { decision, .. } => match decision {
            DeliveryVerdict::Planned if runs > 0 => badge("good", "✓", "runs"),
            DeliveryVerdict::Planned => badge("calm", "–", "nothing to run"),
            DeliveryVerdict::Ignored { .. } => badge("calm", "–", "nothing to do"),
            DeliveryVerdict::Command { .. } => badge("good", "✓", "command"),
            DeliveryVerdict::Ended => badge("calm", "⊘", "ended"),
            DeliveryVerdict::Noted => badge("calm", "–", "noted"),
            DeliveryVerdict::Unreadable { .. } => badge("bad", "!", "no access"),
        },
    }
}

/// What was decided, in one line for lists.
pub(crate) fn delivery_line(entry: &DeliveryEntry) -> String {
    let DeliveryEntry { state, runs, stacks, .. } = entry;
    match state {
        DeliveryState::Decided { decision: DeliveryVerdict::Planned, .. } => {
            format!(
                "{runs} of {} {}",
                text::stacks(*stacks),
                if *runs == 1 { "runs" } else { "run" }
            )
        }
        DeliveryState::Waiting => "not looked at yet".to_owned(),
        _ => delivery_sentence(state),
    }
}

/// What was decided, as a sentence.
pub(crate) fn delivery_sentence(state: &DeliveryState) -> String {
    match state {
        DeliveryState::Waiting => "It is safely stored and will be looked at next.".to_owned(),
        DeliveryState::Refused { reason, times } => match times {
            1 => refusal(*reason).to_owned(),
            _ => format!("{} This happened {times} times.", refusal(*reason)),
        },
        DeliveryState::Quarantined { problem } => {
            format!("It is authentic and kept, but could not be read: {problem}")
        }
        DeliveryState::Decided { decision, .. } => match decision {
            DeliveryVerdict::Planned => "Every stack was decided on; see below.".to_owned(),
            DeliveryVerdict::Ignored { reason } | DeliveryVerdict::Command { reason } => {
                reason.clone()
            }
            DeliveryVerdict::Ended => "The change is over; what ran for it was ended.".to_owned(),
            DeliveryVerdict::Noted => {
                "GitLab's own pipelines changed; the statuses look for their place again."
                    .to_owned()
            }
            DeliveryVerdict::Unreadable { reason, .. } => reason.clone(),
        },
    }
}

fn refusal(reason: Refusal) -> &'static str {
    match reason {
        Refusal::MissingSecret => {
            "It carried no secret. Set the webhook's secret token in GitLab to the one Aldis was given."
        }
        Refusal::WrongSecret => {
            "Its secret token is another one. Set the webhook's secret token in GitLab to the one Aldis was given."
        }
        Refusal::BadSignature => {
            "Its signature does not fit. Compare the webhook's signing token in GitLab with the one Aldis was given."
        }
        Refusal::StaleTimestamp => {
            "It was signed too long ago, or in the future. Compare the clocks of both machines."
        }
        Refusal::SignatureRequired => {
            "This hook has signed its deliveries before, and this one is not signed."
        }
        Refusal::TooLarge => "Its body is larger than Aldis takes.",
    }
}

/// How a delivery proved itself.
pub(crate) fn verification(verified: Option<Verification>, previous: bool) -> String {
    let how = match verified {
        None => return "not authentic".to_owned(),
        Some(Verification::Signature) => "signature",
        Some(Verification::Token) => "secret token",
    };
    if previous { format!("{how} (the previous one: change it in GitLab)") } else { how.to_owned() }
}

/// What a delivery means.
pub(crate) fn trigger(trigger: &Trigger) -> String {
    match trigger {
        Trigger::Push(push) => pushed(push, "branch"),
        Trigger::Tag(push) => pushed(push, "tag"),
        Trigger::MergeRequest(mr) => format!("!{} {}", mr.iid, action(mr.action)),
        Trigger::Note(note) => {
            let place = match note.merge_request {
                Some(iid) => format!("comment on !{iid}"),
                None => "comment".to_owned(),
            };
            let commands: Vec<String> = note.commands.iter().map(command).collect();
            if commands.is_empty() { place } else { format!("{place}: {}", commands.join(", ")) }
        }
        Trigger::Pipeline(pipeline) => {
            format!("pipeline {} of {}", pipeline.pipeline, short_ref(&pipeline.name))
        }
        Trigger::Other { event } => event.clone(),
    }
}

fn pushed(push: &Push, kind: &str) -> String {
    let name = short_ref(&push.name);
    match (&push.before, &push.after) {
        (_, None) => format!("{kind} {name} deleted"),
        (None, Some(_)) => format!("new {kind} {name}"),
        (Some(_), Some(_)) => format!("push to {name}"),
    }
}

/// A ref as people say it.
pub(crate) fn short_ref(name: &str) -> &str {
    name.strip_prefix("refs/heads/").or_else(|| name.strip_prefix("refs/tags/")).unwrap_or(name)
}

/// A command as it is typed.
pub(crate) fn command(command: &Command) -> String {
    match command {
        Command::Test { stacks } if stacks.is_empty() => "/test".to_owned(),
        Command::Test { stacks } => format!("/test {}", stacks.join(" ")),
        Command::Retest => "/retest".to_owned(),
        Command::Cancel => "/cancel".to_owned(),
        Command::Help => "/help".to_owned(),
    }
}

fn action(action: MergeRequestAction) -> &'static str {
    match action {
        MergeRequestAction::Opened => "opened",
        MergeRequestAction::Updated => "got new commits",
        MergeRequestAction::Reopened => "reopened",
        MergeRequestAction::Retargeted => "got another target branch",
        MergeRequestAction::Ready => "is ready",
        MergeRequestAction::Labeled => "labeled",
        MergeRequestAction::Closed => "closed",
        MergeRequestAction::Merged => "merged",
        MergeRequestAction::Edited => "edited",
    }
}

/// A plan as a whole.
pub(crate) fn plan_verdict(verdict: &PlanVerdict) -> String {
    match verdict {
        PlanVerdict::NoConfig => "There is no .aldis.yml, so nothing runs.".to_owned(),
        PlanVerdict::ConfigError { .. } => "The config file cannot be used:".to_owned(),
        PlanVerdict::SkippedByAuthor => "The author asked not to be tested.".to_owned(),
        PlanVerdict::Nothing { stacks } => {
            format!("None of {} is affected.", text::stacks(*stacks))
        }
        PlanVerdict::DraftsHeldBack => "Held back until the merge request leaves draft.".to_owned(),
        PlanVerdict::AwaitingApproval => {
            "Comes from a fork or from somebody who may not push here: nothing runs before it is approved."
                .to_owned()
        }
        PlanVerdict::Runs => "Stacks run.".to_owned(),
    }
}

/// Who asked, as far as trust goes.
pub(crate) fn trust(trust: Trust) -> &'static str {
    match trust {
        Trust::Member => "member of the project",
        Trust::Fork => "from a fork",
        Trust::Unknown => "may not push to the project",
    }
}

/// A character of foreign text as pages show it. Control characters go; those that turn the direction of writing are shown as unknown, because
/// they make text look like something else.
pub(crate) fn shown(c: char) -> Option<char> {
    match c {
        '\t' | '\n' => Some(c),
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            Some(char::REPLACEMENT_CHARACTER)
        }
        c if c.is_control() => None,
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_as_people_do() {
        let now = 1_795_203_908_000_000;
        let words: Vec<String> = [0, 59, 61, 7_200, 90_000, 200_000, 700_000]
            .into_iter()
            .map(|ago| moment(now - ago * 1_000_000, now).words)
            .collect();
        insta::assert_snapshot!(
            words.join(", "),
            @"just now, 59 s ago, 1 min ago, 2 h ago, 1 day ago, 2 days ago, 2026-11-12"
        );
        assert_eq!(moment(now, now).full, "2026-11-20 19:45:08 UTC");
        assert_eq!(moment(i64::MAX, now).iso, "1970-01-01T00:00:00Z");
    }
}
