//! A delivery as it goes over the wire. Written by hand, so that it may also be wrong.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::endpoint::TOKEN;

/// A push to `feature/valve` of project 15.
pub(crate) const PUSH: &[u8] = include_bytes!("../../../gitlab/fixtures/push.json");

#[derive(Clone)]
pub(crate) struct Post {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) headers: Vec<(&'static str, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Lower-case names.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// Value of `webhook-signature` as GitLab computes it.
pub(crate) fn signature(key: &str, id: &str, at: i64, body: &[u8]) -> String {
    let key = STANDARD.decode(key.strip_prefix("whsec_").unwrap()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let message = [format!("{id}.{at}.").as_bytes(), body].concat();
    format!("v1,{}", STANDARD.encode(hmac::sign(&key, &message)))
}

impl Post {
    /// Without any secret, event or key.
    pub(crate) fn bare(body: impl Into<Vec<u8>>) -> Self {
        Self {
            method: "POST",
            path: "/api/webhooks/gitlab",
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// With the secret token and an event.
    pub(crate) fn of(event: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::bare(body).with("X-Gitlab-Event", event).with("X-Gitlab-Token", TOKEN)
    }

    /// A push with the secret token.
    pub(crate) fn push() -> Self {
        Self::of("Push Hook", PUSH)
    }

    /// A push to another branch, with the secret token.
    pub(crate) fn push_to(branch: &str) -> Self {
        let body = String::from_utf8(PUSH.to_vec()).unwrap();
        assert!(body.contains("refs/heads/feature/valve"));
        Self::of("Push Hook", body.replace("refs/heads/feature/valve", branch))
    }

    /// A push that is signed, without a token.
    pub(crate) fn signed(key: &str, id: &str, at: i64) -> Self {
        Self::bare(PUSH).with("X-Gitlab-Event", "Push Hook").sign(key, id, at)
    }

    /// Signs what the body is now.
    pub(crate) fn sign(self, key: &str, id: &str, at: i64) -> Self {
        let signature = signature(key, id, at, &self.body);
        self.with("webhook-id", id)
            .with("webhook-timestamp", at.to_string())
            .with("webhook-signature", signature)
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.with("Idempotency-Key", key)
    }

    pub(crate) fn at(mut self, path: &'static str) -> Self {
        self.path = path;
        self
    }

    pub(crate) fn by(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    /// With this header, in place of one of the same name.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.into()));
        self
    }

    /// The request up to its body; `framing` says how the body comes.
    pub(crate) fn head(&self, framing: &str) -> Vec<u8> {
        let Self { method, path, .. } = self;
        let line = format!("{method} {path} HTTP/1.1\r\nHost: aldis\r\nConnection: close\r\n");
        let mut head = line.into_bytes();
        for (name, value) in &self.headers {
            head.extend_from_slice(name.as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value);
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(framing.as_bytes());
        head.extend_from_slice(b"\r\n\r\n");
        head
    }

    pub(crate) async fn send(&self, to: SocketAddr) -> Answer {
        let mut stream = TcpStream::connect(to).await.unwrap();
        let head = self.head(&format!("Content-Length: {}", self.body.len()));
        stream.write_all(&head).await.unwrap();
        stream.write_all(&self.body).await.unwrap();
        Answer::read(&mut stream).await
    }
}

impl Answer {
    /// Reads until the other side closes.
    pub(crate) async fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        // A reset after the answer is as good as an end.
        let ended = stream.read_to_end(&mut bytes).await;
        assert!(!bytes.is_empty(), "no answer: {ended:?}");
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let headers = lines.filter_map(|line| line.split_once(": "));
        Self {
            status: status.unwrap().parse().unwrap(),
            headers: headers.map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned())).collect(),
            body: body.to_owned(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// `stored`, `seen` or `spooled`, as the body says.
    pub(crate) fn result(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        format!("{} {}", self.status, body["result"].as_str().unwrap())
    }
}
