//! The process that holds queue and runner ends and starts again.

use aldis_dispatch::LEASE;
use aldis_domain::report::Outcome;
use aldis_protocol::{DispatchError, Dispatcher};

use crate::bench::{Queue, request};

#[tokio::test]
async fn a_restart_is_no_attempt() {
    let mut queue = Queue::start().await;
    queue.ask(request(1, false)).await;
    let mut last = queue.claim().await.unwrap();
    for _ in 0..3 {
        queue.restart().await;
        // At once: nobody waits for the lease of a process that is gone.
        let next = queue.claim().await.unwrap();
        assert_eq!(next.attempt, 1);
        assert!(next.ticket.epoch > last.ticket.epoch);
        assert_eq!(queue.dispatch.heartbeat(&last.ticket).await, Err(DispatchError::Stale));
        let late = queue.finish(&last.ticket, Outcome::Failed).await;
        assert_eq!(late, Err(DispatchError::Stale));
        last = next;
    }
    queue.finish(&last.ticket, Outcome::Passed).await.unwrap();
    insta::assert_snapshot!(queue.story(1).await, @"run_requested, attempt 1, lost through no fault, attempt 1, lost through no fault, attempt 1, lost through no fault, attempt 1, ended passed");
}

#[tokio::test]
async fn a_restart_after_a_lost_attempt_leaves_the_second_one() {
    let mut queue = Queue::start().await;
    queue.ask(request(1, false)).await;
    queue.ticket().await;
    queue.wait(LEASE);
    assert_eq!(queue.claim().await.unwrap().attempt, 2);
    queue.restart().await;
    assert_eq!(queue.claim().await.unwrap().attempt, 2);
    queue.wait(LEASE);
    assert!(queue.claim().await.is_none());
    insta::assert_snapshot!(queue.story(1).await, @"run_requested, attempt 1, lost, attempt 2, lost through no fault, attempt 2, lost, ended lost");
}

#[tokio::test]
async fn nobody_deploys_twice_also_after_a_restart() {
    let mut queue = Queue::start().await;
    queue.ask(request(1, true)).await;
    queue.ask(request(2, true)).await;
    let running = queue.ticket().await;
    queue.restart().await;
    let next = queue.ticket().await;
    assert_ne!(next.run, running.run, "only what never began");
    assert!(queue.claim().await.is_none());
    insta::assert_snapshot!(queue.story(1).await, @"run_requested, attempt 1, lost through no fault, ended unknown");
    insta::assert_snapshot!(queue.story(2).await, @"run_requested, attempt 1");
}

#[tokio::test]
async fn a_cancel_outlives_a_restart() {
    let mut queue = Queue::start().await;
    queue.ask(request(1, false)).await;
    queue.ticket().await;
    queue.cancel(1).await;
    queue.restart().await;
    assert!(queue.claim().await.is_none());
    insta::assert_snapshot!(queue.story(1).await, @"run_requested, attempt 1, cancel_requested, lost through no fault, ended canceled");
    assert_eq!(queue.rows().await, (0, 0));
}
