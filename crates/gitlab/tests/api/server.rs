//! A server on the loopback that answers from a script and remembers what it was asked.

use std::sync::{Arc, Mutex};

use aldis_gitlab::{Builder, GitLab};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What happens to one request.
pub(crate) enum Reply {
    /// Status, header lines, body.
    Say(u16, &'static str, String),
    /// The connection ends without an answer.
    HangUp,
    /// The connection ends in the middle of the body.
    Cut,
    /// No answer ever.
    Silence,
}

impl Reply {
    pub(crate) fn json(status: u16, body: impl Into<String>) -> Self {
        Self::Say(status, "Content-Type: application/json\r\n", body.into())
    }
}

pub(crate) struct Server {
    /// With a sub-path, as GitLab may be installed.
    pub(crate) base: String,
    seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/gitlab/", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let replies: Vec<Reply> = replies.into_iter().collect();
        let task = tokio::spawn(async move {
            let mut open = Vec::new();
            for reply in replies {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read(&mut stream).await;
                log.lock().unwrap().push(request);
                answer(&mut stream, &reply).await;
                if matches!(reply, Reply::Silence) {
                    open.push(stream);
                }
            }
            // Whoever asks more than the script says waits until his own timeout.
            std::future::pending::<()>().await;
        });
        Self { base, seen, task }
    }

    pub(crate) fn builder(&self) -> Builder {
        GitLab::builder(&self.base).token("glpat-secret".into())
    }

    pub(crate) fn client(&self) -> GitLab {
        self.builder().build().unwrap()
    }

    /// Heads and bodies of all requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// `METHOD path` and the body of all requests so far, one a line.
    pub(crate) fn asked(&self) -> String {
        let requests = self.requests();
        let lines = requests.iter().map(|request| {
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1");
            format!("{line} {body}").trim_end().to_owned()
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

async fn read(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_ascii_lowercase();
            let length = length.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "the request was cut");
    }
}

async fn answer(stream: &mut TcpStream, reply: &Reply) {
    let text = match reply {
        Reply::Say(status, headers, body) => format!(
            "HTTP/1.1 {status} Word\r\nConnection: close\r\nX-Request-Id: 01TEST\r\n{headers}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        ),
        Reply::Cut => "HTTP/1.1 200 Word\r\nContent-Length: 100\r\n\r\n[{\"id\":".to_owned(),
        Reply::HangUp | Reply::Silence => return,
    };
    // A client that has read enough may be gone already.
    let _ = stream.write_all(text.as_bytes()).await;
}
