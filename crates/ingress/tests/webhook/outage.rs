//! The database is away for a while.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use aldis_domain::event::Event;
use aldis_store::{Envelope, Settings};
use aldis_test_servers::{Valve, postgres};
use futures_util::future::join_all;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::endpoint::{Endpoint, TOKEN, secrets};
use crate::post::Post;

const LONG: Duration = Duration::from_mins(1);
/// How many branches the deliveries are about that come fifty a second.
const CHANGES: usize = 10;

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

/// A delivery, when it was sent and when its answer was there.
struct Sent {
    begun: Instant,
    answered: Instant,
    result: String,
}

/// As number `n`, about one of the changes by turns.
async fn send(address: SocketAddr, n: usize) -> Sent {
    let post = Post::push_to(&format!("refs/heads/branch-{}", n % CHANGES));
    let begun = Instant::now();
    let result = post.key(&n.to_string()).send(address).await.result();
    Sent { begun, answered: Instant::now(), result }
}

/// Every 20 ms a delivery, of ten changes by turns, whether the others were answered or not; the
/// database is away for a minute.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_deliveries_a_second_go_through_an_outage() {
    const DELIVERIES: usize = 3_500;
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
        posts.push(tokio::spawn(send(endpoint.address, n)));
    }
    let mut posts: Vec<Sent> = join_all(posts).await.into_iter().map(Result::unwrap).collect();
    let count = |result: &str| posts.iter().filter(|sent| sent.result == result).count();
    let (stored, spooled) = (count("200 stored"), count("202 spooled"));
    assert_eq!(stored + spooled, DELIVERIES);
    // In the first seconds they still wait for the database.
    assert!(spooled > 2_500, "{spooled}");
    endpoint.until_drained().await;
    for n in DELIVERIES..DELIVERIES + CHANGES {
        let sent = send(endpoint.address, n).await;
        assert_eq!(sent.result, "200 stored");
        posts.push(sent);
    }
    in_order_of_coming(&endpoint, &posts).await;
    endpoint.stop().await;
}

/// Each is there once. Of each change none is behind another that was sent only after it had been
/// answered; and those that waited in the spool are in the order in which they came, answered or not.
async fn in_order_of_coming(endpoint: &Endpoint, posts: &[Sent]) {
    let in_turn = posts.iter().skip(CHANGES).zip(posts);
    let in_turn = in_turn.filter(|(next, sent)| sent.answered <= next.begun).count();
    assert!(
        in_turn > 1_000,
        "only so many were answered before the next of their change: {in_turn}"
    );
    let mut log: BTreeMap<String, Vec<(usize, Envelope)>> = BTreeMap::new();
    for envelope in endpoint.store.read(0, 10_000).await.unwrap() {
        let Event::DeliveryReceived(received) = envelope.event().unwrap() else { continue };
        let (change, key) = (received.trigger.change().unwrap(), received.key.unwrap());
        log.entry(change.to_string()).or_default().push((key.parse().unwrap(), envelope));
    }
    let mut numbers: Vec<_> = log.values().flatten().map(|(n, _)| *n).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..posts.len()).collect::<Vec<_>>());
    assert_eq!(log.len(), CHANGES);
    for (change, deliveries) in log {
        let mut newest = deliveries[0].0;
        for (n, _) in &deliveries {
            let overtaken = posts[newest].begun >= posts[*n].answered;
            assert!(!overtaken, "{change}: {n} was answered before {newest} was sent");
            newest = if posts[*n].begun > posts[newest].begun { *n } else { newest };
        }
        let waited = deliveries.iter().filter(|(_, e)| e.meta().unwrap().source == "spool");
        // Ids are given when a delivery comes.
        assert!(waited.map(|(_, e)| e.id).is_sorted(), "{change}: {deliveries:?}");
    }
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
