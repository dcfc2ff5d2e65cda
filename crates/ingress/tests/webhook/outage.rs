//! The database is away for a while.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use aldis_domain::event::Event;
use aldis_store::Settings;
use aldis_test_servers::{Valve, postgres};
use tokio::time::{MissedTickBehavior, interval, timeout};
use uuid::Uuid;

use crate::endpoint::{Endpoint, TOKEN, secrets};
use crate::post::Post;

const LONG: Duration = Duration::from_mins(1);

/// An endpoint over a database that can be cut off.
async fn behind_a_valve() -> (Endpoint, Valve) {
    let url = tokio::task::spawn_blocking(|| postgres().database()).await.unwrap();
    let valve = Valve::before(&url).await;
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { postgres: Some(valve.url().into()), ..Settings::in_dir(dir.path()) };
    let endpoint = Endpoint::at(dir, &settings, 1 << 30, secrets(&[TOKEN], &[])).await;
    (endpoint, valve)
}

impl Endpoint {
    /// Waits until the log has so many events.
    pub(crate) async fn until(&self, events: i64) {
        let mut positions = self.store.subscribe();
        let come = timeout(LONG, positions.wait_for(|position| *position >= events)).await;
        assert!(come.is_ok(), "{events} events are not in the log");
    }

    /// Waits until the spool is empty.
    pub(crate) async fn until_drained(&self) {
        let mut look = interval(Duration::from_millis(10));
        let drained = async {
            while self.ingress.spool_level().holds {
                look.tick().await;
            }
        };
        assert!(timeout(LONG, drained).await.is_ok(), "the spool is not drained");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_deliveries_wait_in_order() {
    let (endpoint, valve) = behind_a_valve().await;
    let post = |n: u32| Post::push_to("refs/heads/one").key(&format!("key-{n}"));
    assert_eq!(endpoint.send(&post(0)).await.result(), "200 stored");
    valve.shut();
    let begun = Instant::now();
    let first = endpoint.send(&post(1)).await;
    insta::assert_snapshot!(first.body, @r#"{"delivery":"delivery-shared-key-1","result":"spooled"}"#);
    assert_eq!(first.status, 202);
    let waited = begun.elapsed();
    // Five seconds, and what a slow machine needs for the rest.
    let right = Duration::from_millis(4_900)..Duration::from_secs(6);
    assert!(right.contains(&waited), "{waited:?}");
    let begun = Instant::now();
    for n in 2..40 {
        assert_eq!(endpoint.send(&post(n)).await.result(), "202 spooled");
    }
    assert_eq!(endpoint.send(&post(7)).await.result(), "202 spooled", "nobody can tell yet");
    assert!(begun.elapsed() < waited, "only the first one waits: {:?}", begun.elapsed());
    assert!(endpoint.ingress.spool_level().holds);

    valve.open();
    endpoint.until_drained().await;
    assert_eq!(endpoint.send(&post(40)).await.result(), "200 stored");
    assert_eq!(endpoint.send(&post(7)).await.result(), "200 seen");
    let right: Vec<_> = (0..=40).map(|n| format!("key-{n}")).collect();
    let keys: Vec<_> = endpoint.received().await.into_iter().filter_map(|r| r.key).collect();
    assert_eq!(keys, right);
    let log = endpoint.store.read(0, 100).await.unwrap();
    let sources: Vec<_> = log.iter().map(|e| e.meta().unwrap().source).collect();
    assert_eq!((sources[0].as_str(), sources[39].as_str()), ("ingress", "spool"));
    let left: Vec<_> = std::fs::read_dir(endpoint.dir.path().join("spool")).unwrap().collect();
    assert_eq!(left.len(), 1, "only the lock is left: {left:?}");
    endpoint.stop().await;
}

/// Every 20 ms a delivery, of ten changes by turns, whether the others were answered or not; the
/// database is away for a minute.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_deliveries_a_second_go_through_an_outage() {
    const DELIVERIES: usize = 3_500;
    const CHANGES: usize = 10;
    let (endpoint, valve) = behind_a_valve().await;
    let mut pace = interval(Duration::from_millis(20));
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut posts = Vec::new();
    for n in 0..DELIVERIES {
        match n {
            50 => valve.shut(),
            3_050 => valve.open(),
            _ => {}
        }
        pace.tick().await;
        let branch = format!("refs/heads/branch-{}", n % CHANGES);
        let (address, post) = (endpoint.address, Post::push_to(&branch).key(&format!("{n:04}")));
        posts.push(tokio::spawn(async move { post.send(address).await.result() }));
    }
    let mut answers: HashMap<String, usize> = HashMap::new();
    for post in posts {
        *answers.entry(post.await.unwrap()).or_default() += 1;
    }
    let spooled = answers.remove("202 spooled").unwrap();
    let stored = answers.remove("200 stored").unwrap();
    assert!(answers.is_empty() && stored + spooled == DELIVERIES, "{answers:?}");
    // In the first seconds they still wait for the database.
    assert!(spooled > 2_500, "{spooled}");
    endpoint.until_drained().await;
    assert_eq!(endpoint.received().await.len(), DELIVERIES);
    // Ids are given when a delivery comes.
    let mut ids: BTreeMap<String, Vec<Uuid>> = BTreeMap::new();
    for envelope in endpoint.store.read(0, 10_000).await.unwrap() {
        let Event::DeliveryReceived(received) = envelope.event().unwrap() else { continue };
        if envelope.meta().unwrap().source == "spool" {
            let change = received.trigger.change().unwrap().to_string();
            ids.entry(change).or_default().push(envelope.id);
        }
    }
    assert_eq!(ids.len(), CHANGES);
    assert!(ids.values().all(|ids| ids.is_sorted()), "{ids:?}");
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_the_database_loses_nothing() {
    let server = aldis_test_servers::Postgres::start(true);
    let dir = tempfile::tempdir().unwrap();
    let settings =
        Settings { postgres: Some(server.database().into()), ..Settings::in_dir(dir.path()) };
    let endpoint = Endpoint::at(dir, &settings, 1 << 30, secrets(&[TOKEN], &[])).await;
    assert_eq!(endpoint.send(&Post::push().key("before")).await.result(), "200 stored");
    server.crash();
    let begun = Instant::now();
    assert_eq!(endpoint.send(&Post::push().key("during")).await.result(), "202 spooled");
    assert!(begun.elapsed() < Duration::from_secs(4), "a refused connection is known at once");
    assert_eq!(
        endpoint.send(&Post::of("Push Hook", *b"{").key("odd")).await.result(),
        "202 spooled"
    );
    server.resume();
    endpoint.until_drained().await;
    assert_eq!(endpoint.send(&Post::push().key("after")).await.result(), "200 stored");
    let log = endpoint.log().await;
    let kinds: Vec<_> = log.iter().map(|(_, event)| event.kind()).collect();
    assert_eq!(
        kinds,
        ["delivery_received", "delivery_received", "delivery_quarantined", "delivery_received"]
    );
    assert!(
        matches!(&log[2].1, Event::DeliveryQuarantined(odd) if odd.key.as_deref() == Some("odd"))
    );
    endpoint.stop().await;
}
