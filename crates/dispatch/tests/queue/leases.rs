//! Who holds a run, and what becomes of it when nobody hears of them.

use aldis_dispatch::LEASE;
use aldis_domain::report::Outcome;
use aldis_domain::touch::WorkKind;
use aldis_protocol::{Directive, DispatchError, Dispatcher};

use crate::bench::{Queue, request};

#[tokio::test]
async fn heartbeats_keep_a_run() {
    let queue = Queue::start().await;
    queue.ask(request(1, false)).await;
    let ticket = queue.ticket().await;
    for _ in 0..10 {
        queue.wait(LEASE / 2);
        assert_eq!(queue.dispatch.heartbeat(&ticket).await, Ok(Directive::Go));
        assert!(queue.claim().await.is_none());
    }
    queue.finish(&ticket, Outcome::Passed).await.unwrap();
    assert_eq!(queue.rows().await, (0, 0));
    insta::assert_snapshot!(queue.story(1).await, @"run_requested, attempt 1, ended passed");
}

#[tokio::test]
async fn a_stale_runner_is_refused() {
    let queue = Queue::start().await;
    queue.ask(request(1, false)).await;
    let first = queue.ticket().await;
    queue.wait(LEASE);
    let second = queue.ticket().await;
    assert_eq!(first.run, second.run);
    assert!(first.epoch < second.epoch);
    assert_eq!(queue.dispatch.heartbeat(&first).await, Err(DispatchError::Stale));
    assert_eq!(queue.finish(&first, Outcome::Failed).await, Err(DispatchError::Stale));
    assert_eq!(queue.dispatch.heartbeat(&second).await, Ok(Directive::Go));
    queue.finish(&second, Outcome::Passed).await.unwrap();
    assert_eq!(queue.finish(&first, Outcome::Failed).await, Err(DispatchError::Stale));
    insta::assert_snapshot!(queue.story(1).await, @"run_requested, attempt 1, lost, attempt 2, ended passed");
}

#[tokio::test]
async fn a_late_runner_whose_run_nobody_took_is_heard() {
    let queue = Queue::start().await;
    queue.ask(request(1, false)).await;
    let ticket = queue.ticket().await;
    queue.wait(LEASE * 3);
    assert_eq!(queue.dispatch.heartbeat(&ticket).await, Ok(Directive::Go));
    queue.wait(LEASE * 3);
    queue.finish(&ticket, Outcome::Passed).await.unwrap();
    insta::assert_snapshot!(queue.story(1).await, @"run_requested, attempt 1, ended passed");
    assert!(queue.claim().await.is_none());
}

#[tokio::test]
async fn a_test_run_is_tried_twice() {
    let queue = Queue::start().await;
    queue.ask(request(1, false)).await;
    assert_eq!(queue.claim().await.unwrap().attempt, 1);
    queue.wait(LEASE);
    let second = queue.claim().await.unwrap();
    assert_eq!(second.attempt, 2);
    queue.wait(LEASE);
    assert!(queue.claim().await.is_none());
    insta::assert_snapshot!(queue.story(1).await, @"run_requested, attempt 1, lost, attempt 2, lost, ended lost");
    assert_eq!(queue.rows().await, (0, 0));
    // The last runner lives after all. It is told nothing that it could repair.
    queue.finish(&second.ticket, Outcome::Passed).await.unwrap();
    assert_eq!(queue.dispatch.heartbeat(&second.ticket).await, Err(DispatchError::Stale));
    insta::assert_snapshot!(queue.story(1).await, @"run_requested, attempt 1, lost, attempt 2, lost, ended lost");
}

#[tokio::test]
async fn a_tracked_run_starts_once_and_may_end_late() {
    let queue = Queue::start().await;
    queue.ask(request(1, true)).await;
    let ticket = queue.ticket().await;
    queue.wait_seconds(99);
    assert!(queue.claim().await.is_none());
    assert_eq!(queue.rows().await, (0, 1), "given up late");
    queue.wait_seconds(1);
    assert!(queue.claim().await.is_none(), "never a second attempt");
    insta::assert_snapshot!(queue.story(1).await, @"run_requested, attempt 1, lost, ended unknown");
    assert_eq!(queue.rows().await, (0, 0));
    assert_eq!(queue.dispatch.heartbeat(&ticket).await, Ok(Directive::Go), "its steps go on");
    queue.finish(&ticket, Outcome::Passed).await.unwrap();
    insta::assert_snapshot!(queue.story(1).await, @"run_requested, attempt 1, lost, ended unknown, ended passed");
    assert_eq!(queue.dispatch.heartbeat(&ticket).await, Err(DispatchError::Stale));
    queue.finish(&ticket, Outcome::Failed).await.unwrap();
    insta::assert_snapshot!(queue.story(1).await, @"run_requested, attempt 1, lost, ended unknown, ended passed");
    assert!(queue.claim().await.is_none());
}

/// The claim is committed before the attempt begins, and only the attempt takes the run away.
#[tokio::test]
async fn between_the_next_claim_and_its_attempt_the_last_runner_is_heard() {
    for is_tracked in [false, true] {
        let queue = Queue::start().await;
        queue.ask(request(1, is_tracked)).await;
        let ticket = queue.ticket().await;
        queue.wait_seconds(600);
        let claimed = queue.store.claim(WorkKind::Run, "another", LEASE, 1).await.unwrap();
        assert_eq!(claimed[0].took_over, Some(ticket.epoch));
        let heard = queue.dispatch.heartbeat(&ticket).await;
        assert_eq!(heard.is_ok(), is_tracked, "a test run is another's now");
        queue.finish(&ticket, Outcome::Passed).await.unwrap();
        assert_eq!(queue.story(1).await, "run_requested, attempt 1, ended passed");
        assert_eq!(queue.rows().await, (0, 0));
    }
}

#[tokio::test]
async fn a_tracked_runs_heartbeat_keeps_it_for_long() {
    let queue = Queue::start().await;
    queue.ask(request(1, true)).await;
    let ticket = queue.ticket().await;
    queue.wait_seconds(60);
    assert_eq!(queue.dispatch.heartbeat(&ticket).await, Ok(Directive::Go));
    queue.wait_seconds(99);
    assert!(queue.claim().await.is_none());
    assert_eq!(queue.rows().await, (0, 1));
}

#[tokio::test]
async fn the_first_end_counts() {
    let queue = Queue::start().await;
    queue.ask(request(1, false)).await;
    let ticket = queue.ticket().await;
    queue.finish(&ticket, Outcome::Failed).await.unwrap();
    let head = queue.store.head().await.unwrap();
    queue.finish(&ticket, Outcome::Failed).await.unwrap();
    queue.finish(&ticket, Outcome::Passed).await.unwrap();
    assert_eq!(queue.store.head().await.unwrap(), head);
    insta::assert_snapshot!(queue.story(1).await, @"run_requested, attempt 1, ended failed");
}
