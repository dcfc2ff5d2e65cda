//! The run lease in all its reachable states, and what goes wrong without each of its guards.

use aldis_test_models::check::{counterexample, stuck};
use aldis_test_models::run_lease::{
    BEGUN_ONCE, FEW_ATTEMPTS, Guard, Kind, LOSS_IS_HARMLESS, NEWEST_RESULT, NOT_GIVEN_UP,
    NOT_KILLED, ONE_AT_A_TIME, ONE_RESULT, RESULT_IS_HEARD, RunLease,
};
use stateright::{Checker, Model};

/// A shortest story in which, without the guard, the property does not hold.
fn without(guard: Guard, kind: Kind, faults: u8, property: &'static str) -> String {
    let model = RunLease { kind, without: Some(guard), faults };
    counterexample(model, property).expect("the guard is needed")
}

/// A shortest story that, without the guard, cannot be ended any more.
fn stuck_without(guard: Guard, kind: Kind, faults: u8) -> String {
    stuck(&RunLease { kind, without: Some(guard), faults }).expect("the guard is needed")
}

#[test]
fn with_all_guards_every_property_holds() {
    for kind in [Kind::Test, Kind::Tracked] {
        let checker = RunLease { kind, without: None, faults: 3 }.checker().spawn_bfs().join();
        checker.assert_properties();
        let reached = checker.unique_state_count();
        assert!(reached > 100_000, "{kind:?}: only {reached} states");
    }
}

#[test]
fn with_all_guards_every_run_can_end() {
    for kind in [Kind::Test, Kind::Tracked] {
        assert_eq!(stuck(&RunLease { kind, without: None, faults: 2 }), None);
    }
}

#[test]
fn a_run_whose_runner_died_is_never_ended() {
    insta::assert_snapshot!(stuck_without(Guard::LeaseRunsOut, Kind::Test, 1), @"
    runner A asks for a run
    the queue leases to runner A what is due
    fault: runner A dies
    ");
}

#[test]
fn a_lease_is_not_told_from_the_one_before_and_no_attempt_begins() {
    insta::assert_snapshot!(stuck_without(Guard::EpochGrows, Kind::Test, 1), @"
    runner A asks for a run
    the queue leases to runner A what is due
    fault: runner A dies
    ");
}

#[test]
fn an_attempt_begins_that_is_given_up_at_once() {
    insta::assert_snapshot!(without(Guard::StartIsFenced, Kind::Tracked, 1, NOT_GIVEN_UP), @"
    runner A asks for a run
    the queue leases to runner A what is due
    time passes
    time passes
    fault: time passes, and a lease with it
    runner B asks for a run
    the queue leases to runner B what is due
    the queue makes runner A's lease long
    the queue appends runner A's attempt
    the queue makes runner B's lease long
    the queue appends runner B's attempt
    ");
}

#[test]
fn a_deployment_is_given_up_before_it_was_handed_out() {
    insta::assert_snapshot!(without(Guard::LongLeaseFirst, Kind::Tracked, 1, NOT_GIVEN_UP), @"
    runner A asks for a run
    the queue leases to runner A what is due
    time passes
    time passes
    the queue appends runner A's attempt
    fault: time passes, and a lease with it
    runner B asks for a run
    the queue leases to runner B what is due
    the queue appends runner B's attempt
    ");
}

#[test]
fn a_lost_answer_makes_a_deployment_unknown() {
    insta::assert_snapshot!(without(Guard::ClaimIsRepeatable, Kind::Tracked, 1, LOSS_IS_HARMLESS), @"
    runner A asks for a run
    the queue leases to runner A what is due
    the queue makes runner A's lease long
    time passes
    time passes
    time passes
    the queue appends runner A's attempt
    fault: runner A gets no answer to its claim
    time passes
    time passes
    runner A asks for a run
    the queue leases to runner A what is due
    the queue makes runner A's lease long
    the queue appends runner A's attempt
    ");
}

#[test]
fn a_runner_that_is_well_loses_its_run() {
    insta::assert_snapshot!(without(Guard::HeartbeatExtends, Kind::Test, 1, NOT_GIVEN_UP), @"
    runner A asks for a run
    the queue leases to runner A what is due
    time passes
    the queue appends runner A's attempt
    runner A hears the answer
    fault: runner A freezes
    time passes
    time passes
    runner A goes on
    runner A sends a heartbeat
    the queue answers runner A's heartbeat
    runner A hears the answer to its heartbeat
    runner B asks for a run
    the queue leases to runner B what is due
    the queue appends runner B's attempt
    ");
}

#[test]
fn a_runner_that_is_cut_off_executes_beside_the_next() {
    insta::assert_snapshot!(without(Guard::OwnDeadline, Kind::Test, 2, ONE_AT_A_TIME), @"
    runner A asks for a run
    the queue leases to runner A what is due
    time passes
    the queue appends runner A's attempt
    runner A hears the answer
    fault: time passes, and a lease with it
    fault: time passes, and a lease with it
    runner B asks for a run
    the queue leases to runner B what is due
    the queue appends runner B's attempt
    runner B hears the answer
    ");
}

#[test]
fn a_runner_whose_answer_was_slow_ends_too_late() {
    insta::assert_snapshot!(without(Guard::DeadlineFromSending, Kind::Test, 1, ONE_AT_A_TIME), @"
    runner A asks for a run
    the queue leases to runner A what is due
    time passes
    the queue appends runner A's attempt
    runner A hears the answer
    time passes
    fault: time passes, and a lease with it
    runner B asks for a run
    the queue leases to runner B what is due
    the queue appends runner B's attempt
    runner B hears the answer
    ");
}

#[test]
fn a_deployment_is_begun_twice() {
    insta::assert_snapshot!(without(Guard::OneTrackedAttempt, Kind::Tracked, 1, BEGUN_ONCE), @"
    runner A asks for a run
    the queue leases to runner A what is due
    the queue makes runner A's lease long
    time passes
    time passes
    time passes
    the queue appends runner A's attempt
    runner A hears the answer
    runner A's steps end, and it tells so
    time passes
    fault: time passes, and a lease with it
    runner B asks for a run
    the queue leases to runner B what is due
    the queue makes runner B's lease long
    the queue appends runner B's attempt
    runner B hears the answer
    ");
}

#[test]
fn a_run_takes_one_runner_after_another() {
    insta::assert_snapshot!(without(Guard::TwoTestAttempts, Kind::Test, 1, FEW_ATTEMPTS), @"
    runner A asks for a run
    runner B asks for a run
    the queue leases to runner A what is due
    time passes
    the queue appends runner A's attempt
    fault: time passes, and a lease with it
    runner A hears the answer
    time passes
    the queue leases to runner B what is due
    time passes
    time passes
    the queue appends runner B's attempt
    runner B hears the answer
    time passes
    runner A asks for a run
    the queue leases to runner A what is due
    the queue appends runner A's attempt
    ");
}

#[test]
fn a_deployment_is_ended_in_the_middle() {
    insta::assert_snapshot!(without(Guard::TrackedGoesOn, Kind::Tracked, 1, NOT_KILLED), @"
    runner A asks for a run
    the queue leases to runner A what is due
    the queue makes runner A's lease long
    time passes
    time passes
    time passes
    the queue appends runner A's attempt
    runner A hears the answer
    runner A sends a heartbeat
    fault: runner A freezes
    time passes
    time passes
    runner A goes on
    runner B asks for a run
    the queue leases to runner B what is due
    the queue answers runner A's heartbeat
    runner A hears the answer to its heartbeat
    ");
}

#[test]
fn an_older_attempts_result_is_taken() {
    insta::assert_snapshot!(without(Guard::StaleResultIsRefused, Kind::Test, 1, NEWEST_RESULT), @"
    runner A asks for a run
    the queue leases to runner A what is due
    time passes
    the queue appends runner A's attempt
    runner A hears the answer
    runner A's steps end, and it tells so
    time passes
    fault: time passes, and a lease with it
    runner B asks for a run
    the queue leases to runner B what is due
    the queue appends runner B's attempt
    the result of epoch 1 arrives
    ");
}

#[test]
fn a_result_told_twice_is_taken_twice() {
    insta::assert_snapshot!(without(Guard::FirstResultCounts, Kind::Test, 0, ONE_RESULT), @"
    runner A asks for a run
    the queue leases to runner A what is due
    the queue appends runner A's attempt
    runner A hears the answer
    runner A's steps end, and it tells so
    the result of epoch 1 arrives
    the result of epoch 1 arrives
    ");
}

#[test]
fn an_unknown_deployment_stays_unknown() {
    insta::assert_snapshot!(without(Guard::LateResultCorrects, Kind::Tracked, 1, RESULT_IS_HEARD), @"
    runner A asks for a run
    the queue leases to runner A what is due
    the queue makes runner A's lease long
    time passes
    time passes
    time passes
    the queue appends runner A's attempt
    runner A hears the answer
    runner A's steps end, and it tells so
    time passes
    fault: time passes, and a lease with it
    runner B asks for a run
    the queue leases to runner B what is due
    the queue makes runner B's lease long
    the queue appends runner B's attempt
    the result of epoch 1 arrives
    ");
}

#[test]
fn a_result_that_meets_the_next_claim_is_lost() {
    insta::assert_snapshot!(without(Guard::ResultNeedsNoLease, Kind::Tracked, 1, RESULT_IS_HEARD), @"
    runner A asks for a run
    the queue leases to runner A what is due
    the queue makes runner A's lease long
    time passes
    time passes
    time passes
    the queue appends runner A's attempt
    runner A hears the answer
    runner A's steps end, and it tells so
    time passes
    fault: time passes, and a lease with it
    runner B asks for a run
    the queue leases to runner B what is due
    the result of epoch 1 arrives
    ");
}

#[test]
fn a_run_without_a_row_is_never_looked_at_again() {
    insta::assert_snapshot!(stuck_without(Guard::RowGoesWithResult, Kind::Test, 1), @"
    runner A asks for a run
    the queue leases to runner A what is due
    the queue appends runner A's attempt
    runner A hears the answer
    runner A's steps end, and it tells so
    the result of epoch 1 arrives
    fault: the process of all of them dies before the result is appended
    ");
}
