//! The client itself: settings, TLS, and the calls that belong to no project.
//!
//! Made once per instance in `aldis`; clones share connections, limits and budget. It follows no
//! redirect but a read's to the same origin, and uses no URL from any answer or payload.

mod answer;
mod call;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

pub(crate) use call::Call;

use crate::error::Error;
use crate::limit::Limits;
use crate::project::Project;
use crate::project::access::ProjectInfo;
use crate::tolerant::{non_empty, or_default, parsed};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that was idle for longer is not used again. GitLab's nginx closes it after 65 s, and
/// whether a request that meets the end was heard is unknown.
const IDLE: Duration = Duration::from_secs(50);
/// How long a call may take, from connecting to the last byte of its answer.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
const REQUESTS_PER_MINUTE: u32 = 600;

/// One finished call, for the audit table. Holds no secret and no body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRecord {
    /// `GET`, `POST`, `PUT` or `DELETE`.
    pub method: &'static str,
    /// The path with names for its parts, as `/projects/:id/statuses/:sha`.
    pub path: &'static str,
    pub project: Option<u64>,
    /// The HTTP status; `None` if no answer came.
    pub status: Option<u16>,
    pub duration: Duration,
    /// GitLab's `X-Request-Id`.
    pub request_id: Option<String>,
}

/// Is told every finished call, on the task that made it: it must be quick and never block.
pub type Observer = Arc<dyn Fn(&CallRecord) + Send + Sync>;

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The base URL cannot be used as it stands.
    #[error("the GitLab base URL {0}")]
    BaseUrl(&'static str),
    /// The token cannot stand in a header.
    #[error("the GitLab token is empty or holds a line break or another control character")]
    Token,
    /// The CA file is missing, unreadable, or no PEM file with certificates.
    #[error("cannot use the CA file {path}: {reason}")]
    CaFile { path: PathBuf, reason: String },
    /// TLS could not be set up, for instance because the system has no root certificates.
    #[error("cannot set up TLS (are root certificates installed?): {0}")]
    Tls(String),
}

/// Settings of a client; see [`GitLab::builder`].
#[must_use]
pub struct Builder {
    base: String,
    token: Option<SecretString>,
    ca_file: Option<PathBuf>,
    verify_tls: bool,
    timeout: Duration,
    requests_per_minute: u32,
    observer: Option<Observer>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("ca_file", &self.ca_file).finish_non_exhaustive()
    }
}

impl Builder {
    /// The bot's access token. It goes out as `PRIVATE-TOKEN` and is never logged.
    pub fn token(mut self, token: SecretString) -> Self {
        self.token = Some(token);
        self
    }

    /// A PEM file with certificates to trust besides the system's.
    pub fn ca_file(mut self, path: Option<PathBuf>) -> Self {
        self.ca_file = path;
        self
    }

    /// `false` accepts any certificate: then anybody on the way can read the token. Default `true`.
    pub fn verify_tls(mut self, verify: bool) -> Self {
        self.verify_tls = verify;
        self
    }

    /// The longest time a call may take, its answer included. Default 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The own budget of calls; more are refused as [`Error::RateLimited`]. Default 600, at
    /// least 1.
    pub fn requests_per_minute(mut self, limit: u32) -> Self {
        self.requests_per_minute = limit;
        self
    }

    /// Who is told every finished call.
    pub fn observer(mut self, observer: Observer) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Makes the client. Reads the CA file; sends nothing.
    pub fn build(self) -> Result<GitLab, BuildError> {
        let api = api_url(&self.base)?;
        let mut headers = HeaderMap::new();
        if let Some(token) = &self.token {
            headers.insert(HeaderName::from_static("private-token"), token_header(token)?);
        }
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("aldis/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE)
            .timeout(self.timeout);
        if api.scheme() == "http" {
            // No TLS is spoken, so a machine without root certificates is fine.
            http = http.tls_certs_only([]);
        } else if let Some(path) = self.ca_file {
            http = http.tls_certs_merge(certificates(path)?);
        }
        if !self.verify_tls {
            http = http.tls_danger_accept_invalid_certs(true);
        }
        if is_loopback(&api) {
            // A proxy's loopback is not ours.
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| BuildError::Tls(call::reason(error)))?;
        let limits = Mutex::new(Limits::new(self.requests_per_minute, Instant::now()));
        let observer = self.observer;
        Ok(GitLab { inner: Arc::new(Inner { http, api, limits, observer }) })
    }
}

/// `<base>/api/v4/`, checked.
fn api_url(base: &str) -> Result<Url, BuildError> {
    let mut url = Url::parse(base)
        .map_err(|_| BuildError::BaseUrl("is no URL; write it as https://gitlab.example.com"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(BuildError::BaseUrl("must start with https:// or http://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(BuildError::BaseUrl("must hold no user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(BuildError::BaseUrl("must end with its path, without `?` or `#`"));
    }
    url.path_segments_mut()
        .map_err(|()| BuildError::BaseUrl("must hold a host name"))?
        .pop_if_empty()
        .extend(["api", "v4"]);
    Ok(url)
}

fn token_header(token: &SecretString) -> Result<HeaderValue, BuildError> {
    let text = token.expose_secret();
    let mut value = HeaderValue::from_str(text).map_err(|_| BuildError::Token)?;
    if text.is_empty() {
        return Err(BuildError::Token);
    }
    value.set_sensitive(true);
    Ok(value)
}

fn certificates(path: PathBuf) -> Result<Vec<reqwest::Certificate>, BuildError> {
    let read = std::fs::read(&path)
        .map_err(|error| error.to_string())
        .and_then(|pem| reqwest::Certificate::from_pem_bundle(&pem).map_err(call::reason));
    match read {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(BuildError::CaFile { path, reason: "it holds no certificate".to_owned() }),
        Err(reason) => Err(BuildError::CaFile { path, reason }),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

struct Inner {
    http: reqwest::Client,
    /// `<base>/api/v4`
    api: Url,
    limits: Mutex<Limits>,
    observer: Option<Observer>,
}

/// A client of one GitLab instance and one token. Cheap to clone; clones share the limits.
#[derive(Clone)]
pub struct GitLab {
    inner: Arc<Inner>,
}

impl fmt::Debug for GitLab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitLab").field("api", &self.inner.api.as_str()).finish_non_exhaustive()
    }
}

impl GitLab {
    /// Settings for the instance at `base_url`, which may have a path:
    /// `https://host.example/gitlab`.
    pub fn builder(base_url: impl Into<String>) -> Builder {
        Builder {
            base: base_url.into(),
            token: None,
            ca_file: None,
            verify_tls: true,
            timeout: CALL_TIMEOUT,
            requests_per_minute: REQUESTS_PER_MINUTE,
            observer: None,
        }
    }

    /// The calls about one project. Nothing is sent yet.
    pub fn project(&self, id: u64) -> Project<'_> {
        Project { gitlab: self, id }
    }

    /// `GET /projects/:id` by the path that people write, such as `group/name`. For people's input
    /// only: a path may go to another project, a number does not.
    pub async fn project_by_path(&self, path: &str) -> Result<ProjectInfo, Error> {
        self.json(Call::get("/projects/:id", &[&path])).await
    }

    /// `GET /user`: whom the token speaks for.
    pub async fn user(&self) -> Result<User, Error> {
        self.json(Call::get("/user", &[])).await
    }

    /// `GET /personal_access_tokens/self`: scopes and expiry of the token. Any live token may
    /// ask (`lib/api/personal_access_tokens/self_information.rb`).
    pub async fn token_self(&self) -> Result<Token, Error> {
        self.json(Call::get("/personal_access_tokens/self", &[])).await
    }

    /// `GET /version`.
    pub async fn version(&self) -> Result<Version, Error> {
        self.json(Call::get("/version", &[])).await
    }
}

/// The user behind the token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct User {
    pub id: u64,
    #[serde(default, deserialize_with = "or_default")]
    pub username: String,
    /// `None`: this GitLab does not tell.
    #[serde(default)]
    pub bot: Option<bool>,
}

/// The token itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Token {
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub scopes: Vec<String>,
    /// The day on which it ends, at midnight UTC. `None`: never, or unreadable.
    #[serde(default, deserialize_with = "parsed")]
    pub expires_at: Option<jiff::civil::Date>,
    #[serde(default, deserialize_with = "or_default")]
    pub active: bool,
}

/// What runs there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Version {
    /// For instance `19.5.0-ee`.
    pub version: String,
    #[serde(default, deserialize_with = "non_empty")]
    pub revision: Option<String>,
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn refusal(builder: Builder) -> String {
        builder.build().map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn the_api_stands_below_any_base() {
        let bases = [
            "https://git.example",
            "https://git.example/",
            "http://h:8080/gitlab",
            "http://h/a/b/",
        ];
        let urls = bases.map(|base| api_url(base).unwrap().to_string()).join("\n");
        assert_snapshot!(urls, @"
        https://git.example/api/v4
        https://git.example/api/v4
        http://h:8080/gitlab/api/v4
        http://h/a/b/api/v4
        ");
    }

    #[test]
    fn unusable_settings_are_named_and_not_repeated() {
        let said = [
            refusal(GitLab::builder("git.example")),
            refusal(GitLab::builder("ssh://git.example")),
            refusal(GitLab::builder("https://u:secret@git.example")),
            refusal(GitLab::builder("https://git.example/?private_token=secret")),
            refusal(GitLab::builder("https://git.example").token("sec\nret".into())),
            refusal(GitLab::builder("https://git.example").token("".into())),
            refusal(GitLab::builder("https://git.example").ca_file(Some("/nowhere/ca.pem".into()))),
        ];
        assert_snapshot!(said.join("\n"), @"
        the GitLab base URL is no URL; write it as https://gitlab.example.com
        the GitLab base URL must start with https:// or http://
        the GitLab base URL must hold no user name or password
        the GitLab base URL must end with its path, without `?` or `#`
        the GitLab token is empty or holds a line break or another control character
        the GitLab token is empty or holds a line break or another control character
        cannot use the CA file /nowhere/ca.pem: No such file or directory (os error 2)
        ");
    }

    #[test]
    fn debug_output_shows_no_token() {
        let builder = GitLab::builder("http://127.0.0.1").token("glpat-hidden".into());
        let text = format!("{builder:?}");
        let text = format!("{text}{:?}", builder.build().unwrap());
        assert!(!text.contains("hidden"), "{text}");
    }
}
