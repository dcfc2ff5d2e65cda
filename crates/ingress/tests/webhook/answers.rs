//! Methods and paths, what is recorded of the refused, and when an answer may be 2xx.

use std::net::SocketAddr;

use aldis_domain::event::delivery::Refusal;
use aldis_ingress::PATHS;
use aldis_store::{Settings, Store};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::endpoint::{Endpoint, TOKEN, secrets};
use crate::post::{Answer, PUSH, Post};

#[tokio::test]
async fn only_post_is_answered() {
    let endpoint = Endpoint::start().await;
    for path in PATHS {
        for method in ["GET", "PUT", "DELETE", "PATCH"] {
            let answer = endpoint.send(&Post::push().at(path).by(method)).await;
            assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}");
        }
    }
    assert_eq!(endpoint.log().await.len(), 0);
    endpoint.stop().await;
}

#[tokio::test]
async fn the_alias_is_the_same_place() {
    let endpoint = Endpoint::start().await;
    let alias = Post::push().at("/api/v1/webhooks/gitlab").key("one");
    assert_eq!(endpoint.send(&alias).await.result(), "200 stored");
    assert_eq!(endpoint.send(&Post::push().key("one")).await.result(), "200 seen");
    endpoint.stop().await;
}

#[tokio::test]
async fn near_misses_are_not_found() {
    let endpoint = Endpoint::start().await;
    for path in [
        "/api/webhooks/gitlab/",
        "/api/webhooks/gitlabs",
        "/api/webhooks/GitLab",
        "/api/v2/webhooks/gitlab",
        "/webhooks/gitlab",
        "/api/webhooks//gitlab",
        "/",
    ] {
        assert_eq!(endpoint.status(&Post::push().at(path)).await, 404, "{path}");
    }
    let query = Post::push().at("/api/webhooks/gitlab?hook=main");
    assert_eq!(endpoint.status(&query).await, 200, "a query means nothing");
    assert_eq!(endpoint.log().await.len(), 1);
    endpoint.stop().await;
}

#[tokio::test]
async fn a_flood_of_refusals_leaves_few_records() {
    let endpoint = Endpoint::start().await;
    for n in 0..100 {
        let post = Post::of(&format!("Hook {n}"), PUSH).with("X-Gitlab-Token", format!("guess{n}"));
        assert_eq!(endpoint.status(&post).await, 401);
    }
    let refused = endpoint.refused().await;
    // One record in ten seconds: more only if the machine is very slow.
    assert!((1..=10).contains(&refused.len()), "{}", refused.len());
    assert!(refused.iter().all(|r| r.reason == Refusal::WrongSecret));
    let text = format!("{:?}", endpoint.log().await);
    assert!(!text.contains("guess"), "what was guessed is not kept");
    assert_eq!(endpoint.status(&Post::push()).await, 200);
    endpoint.stop().await;
}

#[tokio::test]
async fn what_is_answered_2xx_is_on_disk() {
    let endpoint = Endpoint::start().await;
    for n in 1..=20 {
        let answer = endpoint.send(&Post::push().key(&format!("key-{n}"))).await;
        assert_eq!(answer.result(), "200 stored");
        // Another look at the files, past whatever the writing store remembers.
        let disk = Store::open_read_only(&Settings::in_dir(endpoint.dir.path())).await.unwrap();
        assert_eq!(disk.head().await.unwrap().position, n);
        let stream = disk.load(&format!("delivery-shared-key-{n}")).await.unwrap();
        assert_eq!(stream.len(), 1);
        disk.close().await;
    }
    endpoint.stop().await;
}

/// Begins a request and goes away in its middle.
async fn break_off(address: SocketAddr, framing: &str, part: &[u8]) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&Post::push().key("broken").head(framing)).await.unwrap();
    stream.write_all(part).await.unwrap();
    stream.shutdown().await.unwrap();
    // Until the other side has taken note: it answers, or just closes.
    let mut bytes = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut bytes).await;
    let text = String::from_utf8_lossy(&bytes);
    assert!(bytes.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
}

#[tokio::test]
async fn a_sender_that_goes_away_leaves_nothing() {
    let endpoint = Endpoint::start().await;
    let length = format!("Content-Length: {}", PUSH.len());
    break_off(endpoint.address, &length, &PUSH[..PUSH.len() - 1]).await;
    break_off(endpoint.address, &length, b"").await;
    let chunk = [format!("{:x}\r\n", PUSH.len()).as_bytes(), PUSH, b"\r\n"].concat();
    break_off(endpoint.address, "Transfer-Encoding: chunked", &chunk).await;
    assert_eq!(endpoint.log().await.len(), 0);
    assert_eq!(endpoint.send(&Post::push().key("broken")).await.result(), "200 stored");
    endpoint.stop().await;
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_answered_2xx() {
    let dir = tempfile::tempdir().unwrap();
    let store = Settings::in_dir(dir.path());
    // Without a spool.
    let endpoint = Endpoint::at(dir, &store, 0, secrets(&[TOKEN], &[])).await;
    assert_eq!(endpoint.status(&Post::push().key("one")).await, 200);
    endpoint.store.close().await;
    for post in [Post::push().key("two"), Post::of("Push Hook", *b"{"), Post::push().key("one")] {
        let answer: Answer = endpoint.send(&post).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("10")));
    }
    let wrong = Post::push().with("X-Gitlab-Token", "wrong");
    assert_eq!(endpoint.status(&wrong).await, 401, "refused also without a record");
}
