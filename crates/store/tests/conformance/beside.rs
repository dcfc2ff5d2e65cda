//! What stands beside the log.

use std::time::Duration;

use aldis_domain::event::run::RunReleased;
use aldis_store::{ApiCall, Append, Expected, LogChunk, Meta, NewEvent, Person};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::bench::Bench;

const DAY: Duration = Duration::from_hours(24);

fn chunk(seq: u64, text: &str) -> LogChunk {
    LogChunk { seq, step: 0, bytes: text.as_bytes().to_vec() }
}

#[tokio::test]
async fn log_chunks_may_be_sent_again() {
    let bench = Bench::new().await;
    let all: Vec<_> = (0..100).map(|seq| chunk(seq, &format!("line {seq}"))).collect();
    bench.store.add_log("r", 1, all[..60].to_vec()).await.unwrap();
    bench.store.add_log("r", 1, all[40..].to_vec()).await.unwrap();
    bench.store.add_log("r", 1, vec![chunk(7, "changed")]).await.unwrap();
    bench.store.add_log("r", 2, vec![chunk(0, "other attempt")]).await.unwrap();
    assert_eq!(bench.store.log_after("r", 1, None, 1000).await.unwrap(), all);
    assert_eq!(bench.store.log_after("r", 1, Some(9), 5).await.unwrap(), all[10..15]);
    assert!(bench.store.log_after("r", 1, Some(99), 5).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_old_goes() {
    let bench = Bench::new().await;
    let payload = |n| {
        let event = NewEvent::new(RunReleased::default()).with_payload(vec![n]);
        Append::new(Meta::default()).write("delivery-x", Expected::Any, vec![event])
    };
    let chunks: Vec<_> = (0..600).map(|seq| chunk(seq, "x")).collect();
    bench.store.add_log("old", 1, chunks).await.unwrap();
    bench.store.append(payload(1)).await.unwrap();
    bench.clock.advance(DAY);
    bench.store.add_log("new", 1, vec![chunk(0, "x")]).await.unwrap();
    bench.store.append(payload(2)).await.unwrap();
    bench.clock.advance(DAY / 2);
    assert_eq!(bench.store.prune_logs(DAY).await.unwrap(), 600);
    assert_eq!(bench.store.prune_payloads(DAY).await.unwrap(), 1);
    assert_eq!(bench.store.log_after("new", 1, None, 9).await.unwrap().len(), 1);
    assert_eq!(bench.store.payload(1).await.unwrap(), None);
    assert_eq!(bench.store.payload(2).await.unwrap(), Some(vec![2]));
}

#[tokio::test]
async fn calls_are_listed_newest_first() {
    let bench = Bench::new().await;
    let call = |at, status| ApiCall {
        at,
        instance: 1,
        token: "f00".to_owned(),
        method: "POST".to_owned(),
        path: "/projects/:id/statuses/:sha".to_owned(),
        status,
        took: Duration::from_millis(12),
        request_id: Some("01H".to_owned()),
        cause: Some(Uuid::now_v7()),
    };
    let calls = [call(10, Some(201)), call(20, None), call(30, Some(409))];
    bench.store.add_calls(calls[..1].to_vec()).await.unwrap();
    let with = Append { calls: calls[1..].to_vec(), ..Append::new(Meta::default()) };
    bench.store.append(with).await.unwrap();
    let listed = bench.store.calls(i64::MAX, 2).await.unwrap();
    assert_eq!(listed, [calls[2].clone(), calls[1].clone()]);
    assert_eq!(bench.store.calls(20, 9).await.unwrap(), calls[..1]);
    assert_eq!(bench.store.prune_calls(Duration::ZERO).await.unwrap(), 3);
}

#[tokio::test]
async fn people_are_renamed_and_erased() {
    let bench = Bench::new().await;
    let named = |name: &str| Person { instance: 1, id: 7, name: name.to_owned(), avatar: None };
    let people = vec![named("Ada"), named("Ada L.")];
    let append = Append { people, ..Append::new(Meta::default()) };
    bench.store.append(append).await.unwrap();
    assert_eq!(bench.store.person(1, 7).await.unwrap(), Some(named("Ada L.")));
    assert!(bench.store.erase_person(1, 7).await.unwrap());
    assert!(!bench.store.erase_person(1, 7).await.unwrap());
    assert_eq!(bench.store.person(1, 7).await.unwrap(), None);
}

#[tokio::test]
async fn instances_keep_their_number() {
    let mut bench = Bench::new().await;
    let (first, second) = ("https://gitlab.example", "https://other.example");
    assert_eq!(bench.store.ensure_instance(first).await.unwrap(), 1);
    assert_eq!(bench.store.ensure_instance(second).await.unwrap(), 2);
    bench.restart().await;
    assert_eq!(bench.store.ensure_instance(first).await.unwrap(), 1);
    let all = bench.store.instances().await.unwrap();
    assert_eq!(all, [(1, first.to_owned()), (2, second.to_owned())]);
}

#[tokio::test]
async fn secrets_come_back_after_a_restart() {
    let mut bench = Bench::new().await;
    for text in ["s3cret", "later"] {
        let kept = bench.store.ensure_secret("hook-1", &SecretString::from(text)).await.unwrap();
        assert_eq!(kept.expose_secret(), "s3cret", "whoever comes first");
    }
    bench.restart().await;
    let opened = bench.store.secret("hook-1").await.unwrap().unwrap();
    assert_eq!(opened.expose_secret(), "s3cret");
    assert_eq!(bench.store.secret_names().await.unwrap(), ["hook-1"]);
    assert!(bench.store.delete_secret("hook-1").await.unwrap());
    assert!(bench.store.secret("hook-1").await.unwrap().is_none());
}

#[tokio::test]
async fn runners_are_known_by_their_tokens_digest() {
    let bench = Bench::new().await;
    let pools = ["default".to_owned(), "big \"iron\"".to_owned()];
    assert!(bench.store.add_runner("north", &[1; 32], &pools).await.unwrap());
    assert!(bench.store.add_runner("east", &[2; 32], &pools[..1]).await.unwrap());
    assert!(!bench.store.add_runner("north", &[3; 32], &[]).await.unwrap(), "the name is taken");
    let north = bench.store.runner(&[1; 32]).await.unwrap().unwrap();
    assert_eq!((north.name.as_str(), north.pools, north.seen_at), ("north", pools.into(), None));
    assert_eq!(bench.store.runner(&[3; 32]).await.unwrap(), None);
    bench.store.runner_seen("north").await.unwrap();
    bench.clock.advance(Duration::from_secs(59));
    bench.store.runner_seen("north").await.unwrap();
    let first = bench.store.runner(&[1; 32]).await.unwrap().unwrap().seen_at.unwrap();
    bench.clock.advance(Duration::from_secs(1));
    bench.store.runner_seen("north").await.unwrap();
    let second = bench.store.runner(&[1; 32]).await.unwrap().unwrap().seen_at.unwrap();
    assert_eq!(second - first, 60_000_000, "once a minute is enough");
    assert!(bench.store.remove_runner("north").await.unwrap());
    assert!(!bench.store.remove_runner("north").await.unwrap());
    let left = bench.store.runners().await.unwrap();
    assert_eq!(left.iter().map(|runner| &runner.name).collect::<Vec<_>>(), ["east"]);
}
