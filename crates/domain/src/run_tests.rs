//! The life of a run, told by commands.

use super::*;
use crate::event::change::Trust;
use crate::samples::run_requested;

/// Plays the commands and tells each one's events or its "no".
fn play(tracked: bool, commands: Vec<RunCommand>) -> String {
    let mut run = Run::of(&[run_requested(tracked).into()]);
    let mut story = Vec::new();
    for command in commands {
        story.push(match decide(&run, command) {
            Ok(events) => {
                for event in &events {
                    run.apply(event);
                }
                events.iter().map(tell).collect::<Vec<_>>().join(", ")
            }
            Err(no) => format!("no: {no}"),
        });
    }
    story.join("\n")
}

fn tell(event: &Event) -> String {
    match event {
        Event::RunFinished(finished) => format!("{} {:?}", event.kind(), finished.outcome),
        _ => event.kind().to_owned(),
    }
}

fn start(epoch: u64) -> RunCommand {
    RunCommand::Start { epoch, runner: "slot-1".into() }
}

fn finish(epoch: u64, outcome: Outcome) -> RunCommand {
    RunCommand::Finish { epoch, outcome, report: Report::default() }
}

fn lose(epoch: u64, counts: bool) -> RunCommand {
    RunCommand::Lose { epoch, counts }
}

fn leave(change: &str) -> RunCommand {
    RunCommand::Leave { change: change.parse().unwrap(), reason: EndReason::Closed }
}

fn join(change: &str) -> RunCommand {
    let audience =
        Audience { change: change.parse().unwrap(), posting_project: ProjectKey::new(1, 42) };
    RunCommand::Join { audience, needed: false, delivery: None }
}

#[test]
fn the_first_finish_counts_and_a_stale_epoch_is_refused() {
    insta::assert_snapshot!(play(false, vec![
        start(1), lose(1, true), start(2), finish(1, Outcome::Passed), finish(2, Outcome::Failed), finish(2, Outcome::Passed),
    ]), @r"
    attempt_started
    attempt_lost
    attempt_started
    no: another attempt holds the run
    run_finished Failed
    no: the run is over
    ");
}

#[test]
fn a_test_run_is_tried_twice_and_our_own_restart_does_not_count() {
    insta::assert_snapshot!(play(false, vec![
        start(1), lose(1, false), start(2), lose(2, true), start(3), lose(3, true), start(4),
    ]), @r"
    attempt_started
    attempt_lost
    attempt_started
    attempt_lost
    attempt_started
    attempt_lost, run_finished Lost
    no: the run is over
    ");
}

#[test]
fn a_tracked_run_is_started_once_and_a_late_finish_corrects_unknown() {
    insta::assert_snapshot!(play(true, vec![
        start(1), lose(1, true), start(2), finish(1, Outcome::Passed), finish(1, Outcome::Failed),
    ]), @r"
    attempt_started
    attempt_lost, run_finished Unknown
    no: the run is over
    run_finished Passed
    no: the run is over
    ");
}

#[test]
fn it_ends_when_the_last_who_wants_it_leaves_unless_it_deploys() {
    insta::assert_snapshot!(play(false, vec![join("mr-1.42-8"), leave("mr-1.42-7"), leave("mr-1.42-7"), leave("mr-1.42-8")]), @r"
    run_joined
    run_left

    run_left, run_finished Canceled
    ");
    insta::assert_snapshot!(play(false, vec![start(1), leave("mr-1.42-7"), finish(1, Outcome::Canceled)]), @r"
    attempt_started
    run_left, cancel_requested
    run_finished Canceled
    ");
    insta::assert_snapshot!(play(true, vec![start(1), leave("mr-1.42-7"), finish(1, Outcome::Passed)]), @r"
    attempt_started
    run_left
    run_finished Passed
    ");
}

#[test]
fn keys_that_differ_in_any_part_are_different_runs() {
    let sha: Sha = "a".repeat(40).parse().unwrap();
    let key = RunKey {
        project: ProjectKey::new(1, 42),
        sha: &sha,
        stack: "web",
        definition: "{}",
        trust: Trust::Member,
        tracked: false,
        round: 0,
    };
    let texts = [
        key,
        RunKey { project: ProjectKey::new(2, 42), ..key },
        RunKey { stack: "we", definition: "b{}", ..key },
        RunKey { trust: Trust::Fork, ..key },
        RunKey { tracked: true, ..key },
        RunKey { round: 1, ..key },
    ]
    .map(|k| k.canonical());
    let distinct: std::collections::BTreeSet<_> = texts.iter().collect();
    assert_eq!(distinct.len(), texts.len());
}
