//! The run queue on another machine, over HTTP.
//!
//! Called by the binary, which hands it to the runner. Holds the runner's token and nothing else:
//! no database, no token that may write to GitLab.

use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aldis_protocol::wire::{self, Hint, Piece, Refusal, Welcome};
use aldis_protocol::{
    Announced, Assignment, ClaimRequest, Directive, DispatchError, Dispatcher, Finish, LogChunk,
    Ticket,
};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{ClientBuilder, RequestBuilder, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For an answer to come whole.
const PATIENCE: Duration = Duration::from_secs(20);
/// For a server to say whether it is ready; it gives its database less than that.
const READY_WITHIN: Duration = Duration::from_secs(5);
/// Silence after which a stream of hints is taken for dead.
const DEAF: Duration = wire::QUIET.saturating_mul(3);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Where the queue is, and how the runner proves who it is.
#[derive(Debug, Clone)]
pub struct Server {
    /// Public URL of an `aldis serve`, perhaps with a path before `/api`.
    pub url: Url,
    pub token: SecretString,
    /// PEM file with certificate authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// A run queue on another machine. Cheap to clone.
#[derive(Clone)]
pub struct Remote {
    http: reqwest::Client,
    /// Without a slash at its end.
    base: String,
    /// Rings when a run of this or another runner should end.
    cancels: watch::Sender<u64>,
}

/// Why there is no way to the queue.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The token cannot be a header's value.
    #[error("the token holds signs that no token has")]
    Token,
    /// TLS cannot be spoken: the CA file is no use.
    #[error("{path}: {reason}", path = path.display())]
    CaFile { path: PathBuf, reason: String },
    #[error("no HTTP client: {0}")]
    Client(String),
    /// The queue knows us, or not, and gives us nothing. Asking again does not help.
    #[error("{0}")]
    Refused(String),
    /// Perhaps later.
    #[error("{0}")]
    Unreachable(String),
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Remote {
    /// Makes the way. Reads the CA file; sends nothing.
    pub fn new(server: &Server) -> Result<Self, RemoteError> {
        let bearer = format!("Bearer {}", server.token.expose_secret());
        let mut bearer = HeaderValue::try_from(bearer).map_err(|_| RemoteError::Token)?;
        bearer.set_sensitive(true);
        let http = client(&server.url, server.ca_file.as_deref())?
            .default_headers(HeaderMap::from_iter([(AUTHORIZATION, bearer)]))
            .read_timeout(DEAF);
        let http = http.build().map_err(|error| RemoteError::Client(reason(error)))?;
        Ok(Self { http, base: base(&server.url), cancels: watch::Sender::new(0) })
    }

    /// Asks the queue who we are.
    pub async fn hello(&self) -> Result<Welcome, RemoteError> {
        let answer = self.get(wire::HELLO).timeout(PATIENCE).send().await;
        let answer = answer.map_err(|error| RemoteError::Unreachable(reason(error)))?;
        match answer.status() {
            StatusCode::OK => {
                answer.json().await.map_err(|error| RemoteError::Unreachable(reason(error)))
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(RemoteError::Refused(told(answer).await))
            }
            StatusCode::NOT_FOUND => Err(RemoteError::Refused(
                "there is no run queue at this URL; is it an `aldis serve` with the role dispatch?"
                    .to_owned(),
            )),
            _ => Err(RemoteError::Unreachable(told(answer).await)),
        }
    }

    /// Rings `wake` when a run may be due. For ever: a stream that ends is made anew, and while
    /// there is none slots look by themselves.
    pub async fn hear(&self, wake: Arc<Notify>) -> Infallible {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.hear_once(&wake, &mut pause).await {
                Ok(()) => tracing::debug!("the run queue ended the stream of hints"),
                Err(error) => {
                    let error = reason(error);
                    tracing::warn!(%error, "no hints from the run queue; slots look by themselves");
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn hear_once(&self, wake: &Notify, pause: &mut Duration) -> reqwest::Result<()> {
        let mut stream = self.get(wire::HINTS).send().await?.error_for_status()?;
        // What was told while nobody listened.
        wake.notify_one();
        let mut line = Vec::new();
        while let Some(bytes) = stream.chunk().await? {
            *pause = FIRST_PAUSE;
            for byte in bytes {
                if byte != b'\n' {
                    line.push(byte);
                    continue;
                }
                match str::from_utf8(&line).ok().and_then(Hint::of_line) {
                    Some(Hint::Run) => wake.notify_one(),
                    Some(Hint::Cancel) => self.cancels.send_modify(|rings| *rings += 1),
                    None => {}
                }
                line.clear();
            }
        }
        Ok(())
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.base))
    }

    async fn post(&self, path: &str, body: &impl Serialize) -> Result<Response, DispatchError> {
        send(self.http.post(format!("{}{path}", self.base)).json(body)).await
    }
}

/// Asks an `aldis serve` whether it is ready. Who asks need not be known there.
pub async fn ready(url: &Url, ca_file: Option<&Path>) -> Result<(), RemoteError> {
    #[derive(Deserialize)]
    struct Unready {
        reason: String,
    }
    let unreachable = |error| RemoteError::Unreachable(reason(error));
    let http = client(url, ca_file)?.build().map_err(|error| RemoteError::Client(reason(error)))?;
    let request = http.get(format!("{}/readyz", base(url))).timeout(READY_WITHIN);
    let answer = request.send().await.map_err(unreachable)?;
    match answer.status() {
        StatusCode::OK => Ok(()),
        status => Err(RemoteError::Unreachable(match answer.json().await {
            Ok(Unready { reason }) => reason,
            Err(_) => format!("the answer was {status}"),
        })),
    }
}

/// What all calls to a server have in common.
pub(crate) fn client(url: &Url, ca_file: Option<&Path>) -> Result<ClientBuilder, RemoteError> {
    let http = reqwest::Client::builder()
        .user_agent(concat!("aldis-runner/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT);
    let ip = url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
    let is_here = ip.is_some_and(|ip| ip.is_loopback());
    // No proxy leads to this machine itself.
    let http = if is_here { http.no_proxy() } else { http };
    Ok(match ca_file {
        // No TLS is spoken, so a machine without root certificates is fine.
        _ if url.scheme() == "http" => http.tls_certs_only([]),
        Some(path) => http.tls_certs_merge(certificates(path)?),
        None => http,
    })
}

/// Without a slash at its end.
fn base(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// Sends; what is not a success says what to do about it.
async fn send(request: RequestBuilder) -> Result<Response, DispatchError> {
    let unavailable = |error| DispatchError::Unavailable(reason(error));
    let answer = request.timeout(PATIENCE).send().await.map_err(unavailable)?;
    match answer.status() {
        status if status.is_success() => Ok(answer),
        StatusCode::CONFLICT => Err(DispatchError::Stale),
        _ => Err(DispatchError::Unavailable(told(answer).await)),
    }
}

async fn read<T: DeserializeOwned>(answer: Response) -> Result<T, DispatchError> {
    answer.json().await.map_err(|error| DispatchError::Unavailable(reason(error)))
}

/// What the queue said, or else the status.
async fn told(answer: Response) -> String {
    let status = answer.status();
    match answer.json::<Refusal>().await {
        Ok(refusal) => refusal.message,
        Err(_) => format!("the answer was {status}"),
    }
}

/// The whole chain of causes, without the URL.
pub(crate) fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn certificates(path: &Path) -> Result<Vec<reqwest::Certificate>, RemoteError> {
    let read = std::fs::read(path).map_err(|error| error.to_string());
    let found = read.and_then(|pem| reqwest::Certificate::from_pem_bundle(&pem).map_err(reason));
    let found = found.and_then(|found| {
        if found.is_empty() { Err("it holds no certificate".to_owned()) } else { Ok(found) }
    });
    found.map_err(|reason| RemoteError::CaFile { path: path.to_owned(), reason })
}

impl Dispatcher for Remote {
    async fn claim(&self, request: ClaimRequest) -> Result<Option<Assignment>, DispatchError> {
        let answer = self.post(wire::CLAIM, &request).await?;
        if answer.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        read(answer).await.map(Some)
    }

    /// Nothing is told: which pool a commit's runs will be for is not known so early.
    async fn announced(&self, _: Option<i64>) -> Announced {
        std::future::pending().await
    }

    async fn heartbeat(&self, ticket: &Ticket) -> Result<Directive, DispatchError> {
        read(self.post(wire::HEARTBEAT, ticket).await?).await
    }

    async fn canceled(&self, ticket: &Ticket) {
        let mut cancels = self.cancels.subscribe();
        loop {
            // The sender lives in `self`.
            let _ = cancels.changed().await;
            if let Ok(Directive::Cancel) = self.heartbeat(ticket).await {
                return;
            }
        }
    }

    async fn log(
        &self,
        LogChunk { ticket, step, seq, bytes }: LogChunk,
    ) -> Result<(), DispatchError> {
        let Ticket { run, epoch } = ticket;
        let request = self.http.post(format!("{}{}", self.base, wire::LOG));
        let request = request.query(&Piece { run, epoch, step, seq });
        send(request.header(CONTENT_TYPE, "application/octet-stream").body(bytes)).await.map(drop)
    }

    async fn hand_back(&self, ticket: &Ticket) -> Result<(), DispatchError> {
        self.post(wire::HAND_BACK, ticket).await.map(drop)
    }

    async fn finish(&self, finish: Finish) -> Result<(), DispatchError> {
        self.post(wire::FINISH, &finish).await.map(drop)
    }
}
