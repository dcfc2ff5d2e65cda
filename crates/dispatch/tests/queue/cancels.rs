//! Runs that nobody wants any more.

use std::time::Duration;

use aldis_bus::Topic;
use aldis_dispatch::LEASE;
use aldis_domain::report::Outcome;
use aldis_protocol::{Directive, Dispatcher};

use crate::bench::{Queue, request};

#[tokio::test]
async fn a_running_run_is_told_at_its_heartbeat() {
    let queue = Queue::start().await;
    queue.ask(request(1, false)).await;
    let ticket = queue.ticket().await;
    queue.cancel(1).await;
    assert_eq!(queue.dispatch.heartbeat(&ticket).await, Ok(Directive::Cancel));
    queue.finish(&ticket, Outcome::Canceled).await.unwrap();
    insta::assert_snapshot!(queue.story(1).await, @"run_requested, attempt 1, cancel_requested, ended canceled");
    assert_eq!(queue.rows().await, (0, 0));
}

#[tokio::test]
async fn a_running_run_is_told_by_a_hint() {
    let queue = Queue::start().await;
    queue.ask(request(1, false)).await;
    let ticket = queue.ticket().await;
    let (dispatch, of) = (queue.dispatch.clone(), ticket.clone());
    let told = tokio::spawn(async move { dispatch.canceled(&of).await });
    for _ in 0..20 {
        // A hint without a cancel means nothing.
        queue.bus.hint(Topic::Cancel);
        assert_eq!(queue.dispatch.heartbeat(&ticket).await, Ok(Directive::Go));
    }
    assert!(!told.is_finished());
    queue.cancel(1).await;
    queue.bus.hint(Topic::Cancel);
    // Well before it would have looked by itself.
    tokio::time::timeout(Duration::from_secs(8), told).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_ended_before_it_was_told_counts() {
    let queue = Queue::start().await;
    queue.ask(request(1, false)).await;
    let ticket = queue.ticket().await;
    queue.cancel(1).await;
    queue.finish(&ticket, Outcome::Passed).await.unwrap();
    insta::assert_snapshot!(queue.story(1).await, @"run_requested, attempt 1, cancel_requested, ended passed");
}

#[tokio::test]
async fn a_canceled_run_whose_runner_vanished_is_not_tried_again() {
    let queue = Queue::start().await;
    queue.ask(request(1, false)).await;
    queue.ticket().await;
    queue.cancel(1).await;
    queue.wait(LEASE);
    assert!(queue.claim().await.is_none());
    insta::assert_snapshot!(queue.story(1).await, @"run_requested, attempt 1, cancel_requested, lost, ended canceled");
    assert_eq!(queue.rows().await, (0, 0));
}

#[tokio::test]
async fn a_queued_run_that_was_canceled_is_never_handed_out() {
    let queue = Queue::start().await;
    queue.ask(request(1, false)).await;
    queue.ask(request(2, false)).await;
    queue.cancel(1).await;
    assert_eq!(queue.ticket().await.run, crate::bench::run(2));
    insta::assert_snapshot!(queue.story(1).await, @"run_requested, ended canceled");
    assert_eq!(queue.rows().await, (0, 1));
}
