//! The largest bodies.

use std::time::Duration;

use aldis_domain::event::delivery::Refusal;
use aldis_ingress::BODY_LIMIT;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::endpoint::Endpoint;
use crate::post::{Answer, PUSH, Post};

const MIB: usize = 1024 * 1024;
/// The server closes within a second or two; slow machines take longer.
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_body_at_the_limit_is_taken() {
    let endpoint = Endpoint::start().await;
    let mut body = PUSH.to_vec();
    body.resize(BODY_LIMIT, b' ');
    assert_eq!(BODY_LIMIT, 25 * MIB);
    assert_eq!(endpoint.send(&Post::of("Push Hook", body)).await.result(), "200 stored");
    let received = endpoint.received().await;
    assert_eq!(received[0].bytes, 25 * MIB as u64);
    assert_eq!(endpoint.payload(&received[0].payload).await.len(), BODY_LIMIT);
    endpoint.stop().await;
}

#[tokio::test]
async fn an_announced_length_over_the_limit_is_refused_before_the_body_comes() {
    let endpoint = Endpoint::start().await;
    for length in [(BODY_LIMIT + 1).to_string(), (26 * MIB).to_string(), u64::MAX.to_string()] {
        let mut stream = TcpStream::connect(endpoint.address).await.unwrap();
        let head = Post::push().head(&format!("Content-Length: {length}"));
        stream.write_all(&head).await.unwrap();
        // Not one byte of the body was sent.
        let answer = Answer::read(&mut stream).await;
        assert_eq!((answer.status, answer.body.as_str()), (413, "over 25 MiB\n"), "{length}");
    }
    let refused = endpoint.refused().await;
    assert_eq!(refused[0].reason, Refusal::TooLarge);
    assert_eq!(endpoint.log().await.len(), refused.len());
    assert_eq!(endpoint.status(&Post::push()).await, 200);
    endpoint.stop().await;
}

#[tokio::test]
async fn a_body_without_a_length_is_read_to_the_limit_only() {
    let endpoint = Endpoint::start().await;
    let stream = TcpStream::connect(endpoint.address).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    write.write_all(&Post::push().head("Transfer-Encoding: chunked")).await.unwrap();
    let sender = async move {
        let chunk = [b"10000\r\n", vec![b' '; 64 * 1024].as_slice(), b"\r\n"].concat();
        // Endless, were it not for the other side's end.
        while write.write_all(&chunk).await.is_ok() {}
    };
    let mut bytes = Vec::new();
    let answer = tokio::io::AsyncReadExt::read_to_end(&mut read, &mut bytes);
    let ended = tokio::time::timeout(PATIENCE, async { tokio::join!(sender, answer) }).await;
    assert!(ended.is_ok(), "somebody reads on and on");
    let text = String::from_utf8_lossy(&bytes);
    // The answer may be lost where the sender writes on after the end.
    assert!(bytes.is_empty() || text.starts_with("HTTP/1.1 413"), "{text}");
    let refused = endpoint.refused().await;
    assert_eq!(refused.iter().map(|r| r.reason).collect::<Vec<_>>(), [Refusal::TooLarge]);
    assert_eq!(endpoint.status(&Post::push()).await, 200);
    endpoint.stop().await;
}

#[tokio::test]
async fn a_small_body_in_chunks_is_taken() {
    let endpoint = Endpoint::start().await;
    let mut stream = TcpStream::connect(endpoint.address).await.unwrap();
    stream.write_all(&Post::push().head("Transfer-Encoding: chunked")).await.unwrap();
    for part in PUSH.chunks(100) {
        let size = format!("{:x}\r\n", part.len());
        stream.write_all(&[size.as_bytes(), part, b"\r\n"].concat()).await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    assert_eq!(Answer::read(&mut stream).await.result(), "200 stored");
    assert_eq!(endpoint.received().await[0].bytes, PUSH.len() as u64);
    endpoint.stop().await;
}
