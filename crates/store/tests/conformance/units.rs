//! The unit of work.

use aldis_domain::event::Event;
use aldis_domain::fold::Fold;
use aldis_store::{Expected, Meta, StoreError, WorkKind, transact};

use super::bench::{Bench, append, event, key};

/// Counts its stream's events.
#[derive(Debug, Default, PartialEq)]
struct Count(u64);

impl Fold for Count {
    fn apply(&mut self, _: &Event) {
        self.0 += 1;
    }
}

fn meta() -> Meta {
    Meta::from_source("test")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn contenders_decide_again_until_all_have_written() {
    let bench = Bench::new().await;
    let contenders: Vec<_> = (0..4)
        .map(|_| {
            let store = bench.store.clone();
            tokio::spawn(async move {
                transact!(store, meta(), unit => {
                    let Count(seen) = unit.fold("change-a").await?;
                    unit.append("change-a", event());
                    let Count(now) = unit.fold("change-a").await?;
                    assert_eq!(now, seen + 1);
                    Ok::<_, StoreError>(now)
                })
                .unwrap()
            })
        })
        .collect();
    let mut counts = Vec::new();
    for contender in contenders {
        counts.push(contender.await.unwrap());
    }
    counts.sort_unstable();
    assert_eq!(counts, [1, 2, 3, 4]);
}

#[tokio::test]
async fn who_always_comes_too_late_is_told() {
    let bench = Bench::new().await;
    let mut passes = 0;
    let result = transact!(bench
    .store, meta(), unit => {
        passes += 1;
        let Count(seen) = unit.fold("change-a").await?;
        bench.store.append(append("change-a", Expected::Version(seen), 1)).await?;
        unit.append("change-a", event());
        Ok::<_, StoreError>(())
    });
    assert!(matches!(result, Err(StoreError::Contended(stream)) if stream == "change-a"));
    assert_eq!(passes, 8);
}

#[tokio::test]
async fn an_error_writes_nothing_and_nothing_writes_nothing() {
    let bench = Bench::new().await;
    let result = transact!(bench
    .store, meta(), unit => {
        unit.append("change-a", event());
        Err::<(), _>(StoreError::Contended("mine".to_owned()))
    });
    assert!(result.is_err());
    let read = transact!(bench.store, meta(), unit => { unit.fold::<Count>("change-a").await });
    assert_eq!(read.unwrap(), Count(0));
    assert_eq!(bench.store.head().await.unwrap().position, 0);
}

#[tokio::test]
async fn a_guard_makes_a_decision_depend_on_another_stream() {
    let bench = Bench::new().await;
    let mut seen = Vec::new();
    transact!(bench
    .store, meta(), unit => {
        let Count(others) = unit.fold("project-1.1").await?;
        if seen.is_empty() {
            bench.store.append(append("project-1.1", Expected::NoStream, 1)).await?;
        }
        seen.push(others);
        unit.guard("project-1.1");
        unit.append("change-a", event());
        Ok::<_, StoreError>(())
    })
    .unwrap();
    assert_eq!(seen, [0, 1]);
    assert_eq!(bench.store.load("change-a").await.unwrap().len(), 1);
}

#[tokio::test]
async fn events_bring_their_work_and_a_lost_lease_stops_all() {
    let bench = Bench::new().await;
    let release = async |fence| {
        transact!(bench
        .store, meta(), unit => {
            unit.append("run-abc", event());
            if let Some(fence) = &fence {
                unit.fence(Clone::clone(fence));
            }
            Ok::<_, StoreError>(())
        })
    };
    release(None).await.unwrap();
    let due = bench.store.backlog(WorkKind::Run).await.unwrap().due;
    assert_eq!(due, 1);
    let fence = aldis_store::Fence { key: key("none"), epoch: 1 };
    assert!(matches!(release(Some(fence)).await, Err(StoreError::FencedOff)));
    assert_eq!(bench.store.load("run-abc").await.unwrap().len(), 1);
}
