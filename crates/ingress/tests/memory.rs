//! What the largest bodies cost. Alone in its process, whose peak it measures.

#![expect(clippy::unwrap_used, reason = "a test whose surroundings fail has failed")]

use actix_web::{App, HttpServer};
use aldis_gitlab::hook::Secrets;
use aldis_ingress::{BODY_LIMIT, Ingress, Spool};
use aldis_store::{Settings, Store};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MIB: usize = 1024 * 1024;

/// The most memory that this process has had, in MiB (`VmHWM` of proc(5)).
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() / 1024
}

/// Sends `size` bytes piece by piece, so that the sender holds none of them. The status line.
async fn post(to: std::net::SocketAddr, chunked: bool, size: usize) -> String {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let framing = if chunked {
        "Transfer-Encoding: chunked".to_owned()
    } else {
        format!("Content-Length: {size}")
    };
    let head = format!(
        "POST /api/webhooks/gitlab HTTP/1.1\r\nHost: aldis\r\nConnection: close\r\n\
         X-Gitlab-Event: Push Hook\r\nX-Gitlab-Token: swordfish\r\n{framing}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let piece = vec![b' '; 64 * 1024];
    for _ in 0..size / piece.len() {
        let sent = if chunked {
            stream.write_all(&[b"10000\r\n", piece.as_slice(), b"\r\n"].concat()).await
        } else {
            stream.write_all(&piece).await
        };
        if sent.is_err() {
            break;
        }
    }
    let mut bytes = Vec::new();
    // The end may be a reset, and the answer lost with it.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_body_is_held_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&Settings::in_dir(dir.path())).await.unwrap();
    let secrets = Secrets { tokens: vec!["swordfish".into()], signing: Vec::new() };
    let spool = Spool::open(dir.path().join("spool"), 1 << 30).unwrap();
    let ingress = Ingress::new(store.clone(), spool, secrets, 1);
    let server = HttpServer::new(move || {
        let ingress = ingress.clone();
        App::new().configure(move |config| ingress.configure(config))
    })
    .workers(1)
    .disable_signals()
    .bind(("127.0.0.1", 0))
    .unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    let served = tokio::spawn(server);

    assert_eq!(post(address, false, 64 * 1024).await, "HTTP/1.1 200 OK");
    let before = peak();
    let refused = post(address, true, 200 * MIB).await;
    assert!(refused.is_empty() || refused.starts_with("HTTP/1.1 413"), "{refused}");
    let refusing = peak() - before;
    assert!(refusing < 2 * BODY_LIMIT / MIB, "refusing 200 MiB took {refusing} MiB");
    assert_eq!(post(address, false, BODY_LIMIT).await, "HTTP/1.1 200 OK");
    let taking = peak() - before;
    assert!(taking < 2 * BODY_LIMIT / MIB, "taking 25 MiB took {taking} MiB");
    assert!(taking >= BODY_LIMIT / MIB, "the measure is wrong: {taking} MiB");

    handle.stop(true).await;
    served.await.unwrap().unwrap();
    store.close().await;
}
