//! The sticky note in all its reachable states, and what goes wrong without each of its guards.

use aldis_test_models::check::{counterexample, stuck};
use aldis_test_models::note::{Guard, NONE_IS_LEFT, ONE_NOTE, StickyNote};
use stateright::{Checker, Model};

/// Processes crash, dawdle and are cut off.
const CALM: StickyNote = StickyNote { without: None, faults: 1, freezes: false, edits: true };
/// One of them also freezes at the worst moment.
const FROZEN: StickyNote = StickyNote { freezes: true, ..CALM };

/// A shortest story in which, without the guard, the property does not hold.
fn without(guard: Guard, model: &StickyNote, property: &'static str) -> String {
    counterexample(StickyNote { without: Some(guard), ..*model }, property)
        .expect("the guard is needed")
}

/// A shortest story that, without the guard, cannot be ended any more.
fn stuck_without(guard: Guard, model: &StickyNote) -> String {
    stuck(&StickyNote { without: Some(guard), ..*model }).expect("the guard is needed")
}

fn holds(model: StickyNote, states: usize) {
    let checker = model.checker().spawn_bfs().join();
    checker.assert_properties();
    let reached = checker.unique_state_count();
    assert!(reached > states, "only {reached} states");
}

#[test]
fn with_all_guards_nobody_sees_two_notes() {
    holds(CALM, 100_000);
}

#[test]
fn with_all_guards_the_note_can_always_come_right() {
    assert_eq!(stuck(&CALM), None);
}

#[test]
fn a_freeze_makes_at_most_one_more_note() {
    holds(FROZEN, 100_000);
}

#[test]
fn a_second_note_is_always_healed() {
    assert_eq!(stuck(&FROZEN), None);
}

#[test]
fn a_process_that_died_keeps_the_note_for_itself() {
    insta::assert_snapshot!(stuck_without(Guard::LeaseRunsOut, &CALM), @"
    A takes the lease
    fault: A dies
    ");
}

#[test]
fn nobody_knows_of_a_creation_that_was_sent() {
    insta::assert_snapshot!(without(Guard::IntentFirst, &CALM, ONE_NOTE), @"
    A takes the lease
    A looks at the log
    A writes down that it will create the note
    A looks at the clock
    A sends the creation
    A gives the call up
    A takes the lease
    A looks at the log
    A writes down that it will create the note
    A looks at the clock
    A sends the creation
    GitLab makes a note
    GitLab makes a note
    ");
}

#[test]
fn a_process_that_was_overtaken_creates() {
    insta::assert_snapshot!(without(Guard::IntentIsFenced, &CALM, ONE_NOTE), @"
    A takes the lease
    A looks at the log
    the lease runs out
    B takes the lease
    B looks at the log
    A writes down that it will create the note
    A looks at the clock
    A sends the creation
    B writes down that it will create the note
    B looks at the clock
    B sends the creation
    GitLab makes a note
    GitLab makes a note
    ");
}

#[test]
fn an_old_outcome_ends_anothers_doubt() {
    insta::assert_snapshot!(without(Guard::OutcomeIsFenced, &CALM, ONE_NOTE), @"
    A takes the lease
    A looks at the log
    A writes down that it will create the note
    time passes
    time passes
    A looks at the clock
    A takes the lease
    A looks at the log
    time passes
    A begins to resolve a doubt
    A reads the list of notes
    the lease runs out
    B takes the lease
    B looks at the log
    B begins to resolve a doubt
    B reads the list of notes
    B concludes from the list
    B looks for a second note
    B deletes all but the oldest note
    B looks at the log
    B writes down that it will create the note
    A concludes from the list
    B looks at the clock
    B sends the creation
    B gives the call up
    B takes the lease
    B looks at the log
    B writes down that it will create the note
    B looks at the clock
    B sends the creation
    GitLab makes a note
    GitLab makes a note
    ");
}

#[test]
fn what_came_is_made_again() {
    insta::assert_snapshot!(without(Guard::ReadFirst, &CALM, ONE_NOTE), @"
    A takes the lease
    A looks at the log
    A writes down that it will create the note
    A looks at the clock
    A sends the creation
    A gives the call up
    A takes the lease
    A looks at the log
    GitLab makes a note
    time passes
    time passes
    time passes
    A begins to resolve a doubt
    A reads the list of notes
    A concludes from the list
    A looks for a second note
    A deletes all but the oldest note
    A looks at the log
    A writes down that it will create the note
    A looks at the clock
    A sends the creation
    GitLab makes a note
    ");
}

#[test]
fn what_comes_late_was_made_again() {
    insta::assert_snapshot!(without(Guard::QuietPeriod, &CALM, ONE_NOTE), @"
    A takes the lease
    A looks at the log
    A writes down that it will create the note
    A looks at the clock
    A sends the creation
    A gives the call up
    A takes the lease
    A looks at the log
    A begins to resolve a doubt
    A reads the list of notes
    A concludes from the list
    A looks for a second note
    A deletes all but the oldest note
    A looks at the log
    A writes down that it will create the note
    A looks at the clock
    A sends the creation
    GitLab makes a note
    GitLab makes a note
    ");
}

#[test]
fn what_came_after_the_list_was_made_again() {
    insta::assert_snapshot!(without(Guard::AgeBeforeList, &CALM, ONE_NOTE), @"
    A takes the lease
    A looks at the log
    A writes down that it will create the note
    A looks at the clock
    A sends the creation
    A gives the call up
    A takes the lease
    A looks at the log
    A begins to resolve a doubt
    A reads the list of notes
    GitLab makes a note
    time passes
    time passes
    time passes
    A concludes from the list
    A looks for a second note
    A deletes all but the oldest note
    A looks at the log
    A writes down that it will create the note
    A looks at the clock
    A sends the creation
    GitLab makes a note
    ");
}

#[test]
fn a_slow_process_sends_after_the_quiet_period() {
    insta::assert_snapshot!(without(Guard::SendSoon, &CALM, ONE_NOTE), @"
    A takes the lease
    A looks at the log
    A writes down that it will create the note
    time passes
    time passes
    A looks at the clock
    A sends the creation
    A gives the call up
    A takes the lease
    A looks at the log
    time passes
    A begins to resolve a doubt
    A reads the list of notes
    A concludes from the list
    A looks for a second note
    A deletes all but the oldest note
    A looks at the log
    A writes down that it will create the note
    A looks at the clock
    A sends the creation
    GitLab makes a note
    GitLab makes a note
    ");
}

#[test]
fn a_slow_call_leaves_too_late() {
    insta::assert_snapshot!(without(Guard::CallEnds, &CALM, ONE_NOTE), @"
    A takes the lease
    A looks at the log
    A writes down that it will create the note
    time passes
    A looks at the clock
    A sends the creation
    A gives the call up
    A takes the lease
    A looks at the log
    time passes
    time passes
    A begins to resolve a doubt
    A reads the list of notes
    A concludes from the list
    A looks for a second note
    A deletes all but the oldest note
    A looks at the log
    A writes down that it will create the note
    A looks at the clock
    A sends the creation
    GitLab makes a note
    GitLab makes a note
    ");
}

#[test]
fn whoever_lost_the_lease_leaves_a_second_note() {
    insta::assert_snapshot!(without(Guard::HealAfterCreation, &FROZEN, NONE_IS_LEFT), @"
    A takes the lease
    A looks at the log
    A writes down that it will create the note
    A looks at the clock
    fault: A freezes
    time passes
    time passes
    A goes on
    A sends the creation
    time passes
    the lease runs out
    B takes the lease
    B looks at the log
    B begins to resolve a doubt
    B reads the list of notes
    B concludes from the list
    B looks for a second note
    B deletes all but the oldest note
    B looks at the log
    B writes down that it will create the note
    B looks at the clock
    B sends the creation
    GitLab makes a note
    B writes down the outcome
    B looks at the log
    B has nothing to do
    GitLab makes a note
    A writes down the outcome
    ");
}

#[test]
fn a_second_note_stays_for_ever() {
    insta::assert_snapshot!(stuck_without(Guard::HealAfterEdit, &FROZEN), @"
    A takes the lease
    A looks at the log
    A writes down that it will create the note
    A looks at the clock
    fault: A freezes
    time passes
    time passes
    A goes on
    A sends the creation
    A gives the call up
    A takes the lease
    A looks at the log
    time passes
    A begins to resolve a doubt
    A reads the list of notes
    A concludes from the list
    A looks for a second note
    A deletes all but the oldest note
    A looks at the log
    A writes down that it will create the note
    A looks at the clock
    A sends the creation
    GitLab makes a note
    A writes down the outcome
    A looks for a second note
    ");
}
