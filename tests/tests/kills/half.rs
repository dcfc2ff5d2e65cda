//! Deliveries that are on their way while the process that takes them is asked to stop.
//!
//! Called where a test must know that the process has begun to read. Never here: a wait for a time.

use aldis_tests::HOOK_SECRET;
use aldis_tests::process::Site;
use reqwest::{Client, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What it holds: nobody can read it, so that nothing follows.
const BODY: &str = "{";

/// A delivery whose head was read, and whose body was not sent.
pub(crate) struct HalfSent {
    stream: TcpStream,
}

impl HalfSent {
    /// Returns when the process asks for the body.
    pub(crate) async fn to(site: &Site, key: &str) -> Self {
        let mut stream = TcpStream::connect(address(site)).await.expect("it listens");
        let head = format!(
            "POST /api/webhooks/gitlab HTTP/1.1\r\nHost: aldis\r\nConnection: close\r\n\
             Content-Type: application/json\r\nX-Gitlab-Event: Push Hook\r\n\
             X-Gitlab-Token: {HOOK_SECRET}\r\nIdempotency-Key: {key}\r\n\
             Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
            BODY.len()
        );
        stream.write_all(head.as_bytes()).await.expect("it reads");
        let mut go_on = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
        stream.read_exact(&mut go_on).await.expect("it answers");
        assert!(go_on.starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&go_on));
        Self { stream }
    }

    /// Sends the rest; the status line of the answer, or what came instead.
    pub(crate) async fn end(mut self) -> String {
        let mut answer = Vec::new();
        let sent = self.stream.write_all(BODY.as_bytes()).await;
        let read = self.stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        let line = answer.lines().next().map(str::to_owned);
        line.unwrap_or_else(|| format!("no answer: {sent:?}, {read:?}"))
    }
}

/// Deliveries one after the other, each over a connection of its own.
pub(crate) struct Knocking {
    stop: watch::Sender<bool>,
    answers: JoinHandle<(usize, Vec<String>)>,
}

impl Knocking {
    pub(crate) fn at(url: &str) -> Self {
        let (stop, mut told) = watch::channel(false);
        let url = url.to_owned();
        let answers = tokio::spawn(async move {
            let (mut taken, mut lost) = (0, Vec::new());
            while !*told.borrow_and_update() {
                match deliver(&url).await {
                    Ok(answer) if answer.status().is_success() => taken += 1,
                    other => lost.push(format!("{other:?}")),
                }
            }
            (taken, lost)
        });
        Self { stop, answers }
    }

    /// How many were taken, and what befell the others.
    pub(crate) async fn end(self) -> (usize, Vec<String>) {
        self.stop.send_replace(true);
        self.answers.await.expect("it knocks")
    }
}

/// What is answered to a delivery that comes when the process has said that it stops, and whether
/// another may come over the same connection.
pub(crate) async fn taken_while_it_leaves(site: &Site) -> String {
    let url = site.base_url();
    while !client().get(format!("{url}/readyz")).send().await.is_ok_and(|a| a.status() == 503) {
        tokio::task::yield_now().await;
    }
    match deliver(&url).await {
        Ok(answer) => {
            let connection = answer.headers().get("connection").map(|it| it.to_str());
            format!("{}, {}", answer.status(), connection.and_then(Result::ok).unwrap_or("open"))
        }
        Err(error) => format!("{error:?}"),
    }
}

async fn deliver(url: &str) -> reqwest::Result<Response> {
    let post = client().post(format!("{url}/api/webhooks/gitlab"));
    let post = post.header("X-Gitlab-Event", "Push Hook").header("X-Gitlab-Token", HOOK_SECRET);
    post.body(BODY).send().await
}

/// Over a connection of its own.
fn client() -> Client {
    Client::builder().no_proxy().build().expect("a client")
}

/// Returns when nobody can reach the process any more.
pub(crate) async fn until_unreachable(site: &Site) {
    while TcpStream::connect(address(site)).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

/// Where it listens: `host:port`.
pub(crate) fn address(site: &Site) -> String {
    site.base_url().trim_start_matches("http://").to_owned()
}
