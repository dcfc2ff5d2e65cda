//! A runner that got no answer, and one that gives back what it holds.

use aldis_dispatch::{LEASE, TRACKED_LEASE};
use aldis_domain::report::Outcome;
use aldis_domain::touch::WorkKind;
use aldis_protocol::{Directive, DispatchError, Dispatcher};

use crate::bench::{Queue, request};

#[tokio::test]
async fn asked_again_it_hands_out_the_same_attempt() {
    let queue = Queue::start().await;
    queue.ask(request(1, false)).await;
    queue.ask(request(2, true)).await;
    for (id, lease) in [("a", TRACKED_LEASE), ("b", LEASE)] {
        let first = queue.ask_for(id, false).await.unwrap();
        queue.wait(lease / 2);
        let second = queue.ask_for(id, true).await.unwrap();
        assert_eq!((&second.ticket, second.attempt), (&first.ticket, 1));
        queue.wait(lease / 2);
        let alive = queue.dispatch.heartbeat(&second.ticket).await;
        assert_eq!(alive, Ok(Directive::Go), "the lease counts from the second time");
    }
    assert!(queue.ask_for("c", false).await.is_none(), "another wish is another claim");
    insta::assert_snapshot!(queue.story(1).await, @"run_requested, attempt 1");
    insta::assert_snapshot!(queue.story(2).await, @"run_requested, attempt 1");
}

#[tokio::test]
async fn who_asks_again_for_nothing_gets_the_next_run() {
    let queue = Queue::start().await;
    assert!(queue.ask_for("a", false).await.is_none());
    queue.ask(request(1, false)).await;
    assert_eq!(queue.ask_for("a", true).await.unwrap().attempt, 1);
}

#[tokio::test]
async fn a_lease_that_was_lost_meanwhile_is_not_handed_out_again() {
    let queue = Queue::start().await;
    queue.ask(request(1, false)).await;
    let first = queue.ask_for("a", false).await.unwrap();
    queue.wait(LEASE);
    let other = queue.ask_for("b", false).await.unwrap();
    assert_eq!((other.ticket.run, other.attempt), (first.ticket.run, 2));
    assert!(queue.ask_for("a", true).await.is_none());
}

#[tokio::test]
async fn what_was_taken_over_and_not_begun_counts_when_it_is_asked_for_again() {
    let queue = Queue::start().await;
    queue.ask(request(1, false)).await;
    queue.ask_for("a", false).await.unwrap();
    queue.wait(LEASE);
    // The queue's process dies between lease and attempt.
    let taken = queue.store.claim(WorkKind::Run, "runner/1 b", LEASE, 1).await.unwrap();
    assert_eq!(taken.len(), 1);
    assert_eq!(queue.ask_for("b", true).await.unwrap().attempt, 2);
    insta::assert_snapshot!(queue.story(1).await, @"run_requested, attempt 1, lost, attempt 2");
}

#[tokio::test]
async fn what_is_handed_back_is_due_at_once_and_no_attempt_is_lost() {
    let queue = Queue::start().await;
    queue.ask(request(1, false)).await;
    for _ in 0..3 {
        let ticket = queue.ticket().await;
        queue.dispatch.hand_back(&ticket).await.unwrap();
        let late = queue.finish(&ticket, Outcome::Failed).await;
        assert_eq!(late, Err(DispatchError::Stale), "it is no longer the runner's");
    }
    assert_eq!(queue.claim().await.unwrap().attempt, 1);
    insta::assert_snapshot!(queue.story(1).await, @"run_requested, attempt 1, lost through no fault, attempt 1, lost through no fault, attempt 1, lost through no fault, attempt 1");
}

#[tokio::test]
async fn what_nobody_wants_any_more_is_over_when_it_is_handed_back() {
    let queue = Queue::start().await;
    queue.ask(request(1, false)).await;
    let ticket = queue.ticket().await;
    queue.cancel(1).await;
    for _ in 0..2 {
        queue.dispatch.hand_back(&ticket).await.unwrap();
    }
    insta::assert_snapshot!(queue.story(1).await, @"run_requested, attempt 1, cancel_requested, lost through no fault, ended canceled");
    assert_eq!(queue.rows().await, (0, 0));
}

#[tokio::test]
async fn a_tracked_run_is_not_handed_back() {
    let queue = Queue::start().await;
    queue.ask(request(1, true)).await;
    let ticket = queue.ticket().await;
    assert_eq!(queue.dispatch.hand_back(&ticket).await, Err(DispatchError::Stale));
    queue.finish(&ticket, Outcome::Canceled).await.unwrap();
}
