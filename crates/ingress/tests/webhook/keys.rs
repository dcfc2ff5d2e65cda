//! The same delivery twice, and many at once.

use std::collections::BTreeSet;

use crate::endpoint::Endpoint;
use crate::post::{PUSH, Post};

#[tokio::test]
async fn a_redelivery_is_seen_and_changes_nothing() {
    let endpoint = Endpoint::start().await;
    let post = Post::push().key("0190a8e2-5c6f");
    let first = endpoint.send(&post).await;
    insta::assert_snapshot!(first.body, @r#"{"delivery":"delivery-shared-0190a8e2-5c6f","result":"stored"}"#);
    let head = endpoint.store.head().await.unwrap();
    let again = endpoint.send(&post).await;
    insta::assert_snapshot!(again.body, @r#"{"delivery":"delivery-shared-0190a8e2-5c6f","result":"seen"}"#);
    assert_eq!(again.status, 200);
    // Another body under the same key is still the same delivery.
    let mut other = post.clone();
    other.body = b"{".to_vec();
    assert_eq!(endpoint.send(&other).await.result(), "200 seen");
    assert_eq!(endpoint.store.head().await.unwrap(), head);
    endpoint.stop().await;
}

#[tokio::test]
async fn a_redelivery_after_a_restart_is_seen() {
    let endpoint = Endpoint::start().await;
    let post = Post::push().key("one");
    assert_eq!(endpoint.send(&post).await.result(), "200 stored");
    let dir = endpoint.stop().await;
    let endpoint = Endpoint::in_dir(dir, crate::endpoint::secrets(&["swordfish"], &[])).await;
    assert_eq!(endpoint.send(&post).await.result(), "200 seen");
    endpoint.stop().await;
}

#[tokio::test]
async fn the_newer_header_names_the_delivery() {
    let endpoint = Endpoint::start().await;
    let both = Post::push().key("old").with("webhook-id", "new");
    assert_eq!(endpoint.send(&both).await.result(), "200 stored");
    assert_eq!(endpoint.received().await[0].key.as_deref(), Some("new"));
    assert_eq!(endpoint.send(&Post::push().key("new")).await.result(), "200 seen");
    assert_eq!(endpoint.send(&Post::push().key("old")).await.result(), "200 stored");
    endpoint.stop().await;
}

#[tokio::test]
async fn without_a_key_nothing_is_dropped() {
    let endpoint = Endpoint::start().await;
    // These two name something else: a request, and a chain of events.
    let post = Post::push()
        .with("X-Gitlab-Webhook-UUID", "same")
        .with("X-Gitlab-Event-UUID", "same")
        .with("webhook-id", "");
    assert_eq!(endpoint.send(&post).await.result(), "200 stored");
    assert_eq!(endpoint.send(&post).await.result(), "200 stored");
    let received = endpoint.received().await;
    assert_eq!(received.iter().map(|r| r.key.as_deref()).collect::<Vec<_>>(), [None, None]);
    endpoint.stop().await;
}

#[tokio::test]
async fn odd_keys_are_safe_and_told_apart() {
    let endpoint = Endpoint::start().await;
    let long = "k".repeat(10_000);
    let longer = "k".repeat(10_001);
    let odd = ["../../etc/passwd", "a/b", "a b", "%2e%2e", "'; DROP TABLE events; --", "a:b", "*"];
    for key in odd.into_iter().chain([long.as_str(), longer.as_str()]) {
        let post = Post::push().key(key);
        assert_eq!(endpoint.send(&post).await.result(), "200 stored", "{key:.40}");
        assert_eq!(endpoint.send(&post).await.result(), "200 seen", "{key:.40}");
    }
    for (stream, _) in endpoint.log().await {
        let name = stream.strip_prefix("delivery-shared-").unwrap();
        assert!(name.len() == 64 && name.chars().all(|c| c.is_ascii_hexdigit()), "{stream}");
    }
    // What is no text is no key.
    let bytes = Post::push().with("Idempotency-Key", &b"\xff\xff"[..]);
    assert_eq!(endpoint.send(&bytes).await.result(), "200 stored");
    assert_eq!(endpoint.send(&bytes).await.result(), "200 stored");
    endpoint.stop().await;
}

#[tokio::test]
async fn many_at_once_are_all_stored() {
    let endpoint = Endpoint::start().await;
    let posts = (0..64).map(|n| {
        let (address, post) = (endpoint.address, Post::push().key(&format!("key-{n}")));
        tokio::spawn(async move { post.send(address).await.result() })
    });
    for answer in posts.collect::<Vec<_>>() {
        assert_eq!(answer.await.unwrap(), "200 stored");
    }
    let log = endpoint.store.read(0, 1_000).await.unwrap();
    let positions: Vec<i64> = log.iter().map(|envelope| envelope.position).collect();
    assert_eq!(positions, (1..=64).collect::<Vec<i64>>(), "without gaps");
    let streams: BTreeSet<_> = log.iter().map(|envelope| envelope.stream.as_str()).collect();
    assert_eq!(streams.len(), 64);
    endpoint.stop().await;
}

#[tokio::test]
async fn the_same_one_many_times_at_once_is_stored_once() {
    let endpoint = Endpoint::start().await;
    let posts = (0..64).map(|_| {
        let (address, post) = (endpoint.address, Post::of("Push Hook", PUSH).key("one"));
        tokio::spawn(async move { post.send(address).await.result() })
    });
    let mut stored = 0;
    for answer in posts.collect::<Vec<_>>() {
        match answer.await.unwrap().as_str() {
            "200 stored" => stored += 1,
            other => assert_eq!(other, "200 seen"),
        }
    }
    assert_eq!((stored, endpoint.log().await.len()), (1, 1));
    endpoint.stop().await;
}
