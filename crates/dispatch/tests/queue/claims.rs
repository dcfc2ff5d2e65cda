//! What is handed out, to whom, and in which order.

use aldis_domain::event::run::RunReleased;
use aldis_domain::report::Outcome;
use aldis_domain::stream;
use aldis_protocol::{ClaimRequest, DispatchError, Dispatcher, LogChunk, Ticket};
use secrecy::ExposeSecret;

use crate::bench::{Queue, request, run};

#[tokio::test]
async fn an_assignment_says_what_to_run_and_how_to_get_it() {
    let queue = Queue::start().await;
    queue.ask(request(1, true)).await;
    let assignment = queue.claim().await.unwrap();
    let env: Vec<String> = assignment.env.iter().map(|(k, v)| format!("{k}={v}")).collect();
    insta::assert_snapshot!(env.join("\n"), @"
    CI=true
    ALDIS=true
    ALDIS_COMMIT_SHA=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    ALDIS_PROJECT_PATH=works/pump
    ALDIS_RUN_URL=https://aldis.example/runs/01040g2081040g2081040g2081
    ALDIS_STACK=web
    ALDIS_ENVIRONMENT=prod
    ALDIS_MERGE_REQUEST=7
    ");
    let source = &assignment.source;
    assert_eq!(source.url, "https://git.example/gitlab/works/pump.git");
    assert_eq!((source.user.as_str(), source.token.expose_secret()), ("oauth2", "glpat-sesame"));
    assert!(!format!("{assignment:?} {:?}", queue.dispatch).contains("sesame"));
    assert_eq!((assignment.attempt, assignment.tracked, assignment.untrusted), (1, true, false));
    assert_eq!(assignment.git_ref, "refs/heads/fix");
    assert_eq!(queue.rows().await, (0, 1));
}

#[tokio::test]
async fn a_run_of_a_stranger_is_marked() {
    let queue = Queue::start().await;
    for (number, trust) in [(1, "fork"), (2, "unknown")] {
        let trust = serde_json::from_value(trust.into()).unwrap();
        queue.ask(aldis_domain::event::run::RunRequested { trust, ..request(number, false) }).await;
        assert!(queue.claim().await.unwrap().untrusted);
    }
}

#[tokio::test]
async fn urgent_runs_first_then_the_oldest() {
    let queue = Queue::start().await;
    for (number, tracked) in [(1, false), (2, false), (3, true), (4, true)] {
        queue.ask(request(number, tracked)).await;
    }
    let mut order = Vec::new();
    while let Some(assignment) = queue.claim().await {
        order.push(assignment.ticket.run);
    }
    assert_eq!(order, [run(3), run(4), run(1), run(2)]);
}

#[tokio::test]
async fn a_run_waits_for_what_it_needs() {
    let queue = Queue::start().await;
    let mut waiting = request(1, false);
    waiting.needs.insert("build".to_owned(), run(9));
    queue.ask(waiting).await;
    assert!(queue.claim().await.is_none());
    queue.append(&stream::run(&run(1)), RunReleased::default()).await;
    assert_eq!(queue.ticket().await.run, run(1));
}

#[tokio::test]
async fn many_slots_never_share_a_run() {
    let queue = Queue::start().await;
    for number in 1..=5 {
        queue.ask(request(number, false)).await;
    }
    let slots = (0..10).map(|slot| {
        let dispatch = queue.dispatch.clone();
        let runner = format!("runner/{slot}");
        let request = ClaimRequest { id: runner.clone(), runner, again: false };
        tokio::spawn(async move { dispatch.claim(request).await.unwrap() })
    });
    let mut got = Vec::new();
    for slot in slots.collect::<Vec<_>>() {
        got.extend(slot.await.unwrap().map(|assignment| assignment.ticket.run));
    }
    got.sort();
    let mut all: Vec<_> = (1..=5).map(run).collect();
    all.sort();
    assert_eq!(got, all);
}

#[tokio::test]
async fn a_run_that_cannot_be_fetched_ends_broken() {
    let queue = Queue::without_project().await;
    queue.ask(request(1, false)).await;
    queue.ask(request(2, true)).await;
    assert!(queue.claim().await.is_none());
    insta::assert_snapshot!(queue.story(1).await, @"run_requested, attempt 1, ended broken");
    insta::assert_snapshot!(queue.story(2).await, @"run_requested, attempt 1, ended broken");
    assert_eq!(queue.rows().await, (0, 0));
}

#[tokio::test]
async fn strangers_tickets_are_stale() {
    let queue = Queue::start().await;
    let ticket = Ticket { run: run(7), epoch: 1 };
    assert_eq!(queue.dispatch.heartbeat(&ticket).await, Err(DispatchError::Stale));
    assert_eq!(queue.finish(&ticket, Outcome::Passed).await, Err(DispatchError::Stale));
    assert_eq!(queue.story(7).await, "");
}

#[tokio::test]
async fn output_is_kept_once() {
    let queue = Queue::start().await;
    queue.ask(request(1, false)).await;
    let ticket = queue.ticket().await;
    for (seq, bytes) in [(0, "one"), (1, "two"), (1, "again")] {
        let chunk = LogChunk { ticket: ticket.clone(), step: 0, seq, bytes: bytes.into() };
        queue.dispatch.log(chunk).await.unwrap();
    }
    let kept = queue.store.log_after(run(1).as_str(), ticket.epoch, None, 10).await.unwrap();
    let kept: Vec<_> = kept.iter().map(|chunk| chunk.bytes.as_slice()).collect();
    assert_eq!(kept, [b"one", b"two"]);
}

#[tokio::test]
async fn a_queue_that_cannot_store_asks_to_come_again() {
    let queue = Queue::start().await;
    queue.ask(request(1, false)).await;
    let ticket = queue.ticket().await;
    queue.store.close().await;
    let runner = "runner/1".to_owned();
    let request = ClaimRequest { runner, id: String::new(), again: false };
    let answers = [
        queue.dispatch.claim(request).await.map(drop),
        queue.dispatch.heartbeat(&ticket).await.map(drop),
        queue.finish(&ticket, Outcome::Passed).await,
    ];
    for answer in answers {
        assert!(matches!(answer, Err(DispatchError::Unavailable(_))), "{answer:?}");
    }
}
