//! Who may see a page. [`decide`] is the whole rule; [`guard()`] asks it before every handler.
//!
//! Never here: a secret in an answer, and a comparison of secrets that takes a time of its own.

mod guard;
mod session;

use std::net::IpAddr;

use secrecy::SecretString;
use url::{Host, Url};

pub use guard::guard;
pub(crate) use guard::{not_found, open_session};
use session::Key;

/// Paths that say nothing about projects and are open to everybody, whatever `Host` they name:
/// probes call by address.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];
const OPEN_BELOW: &str = "/assets/";
/// Where the sign-in form posts to.
pub(crate) const SESSION: &str = "/session";

/// Name of the session's cookie.
pub(crate) const COOKIE: &str = "aldis_session";

/// What the decision is made by, besides the request.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) base_url: Option<Url>,
    pub(crate) listen_is_loopback: bool,
}

/// The rules and the key that sessions are checked with.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) rules: Rules,
    key: Key,
}

/// What a request tells about its origin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) path: &'a str,
    /// `GET` or `HEAD`.
    pub(crate) reads: bool,
    pub(crate) host: Option<&'a str>,
    /// It has a `Forwarded`, `X-Forwarded-*` or `X-Real-IP` header: it came through a proxy.
    pub(crate) forwarded: bool,
    pub(crate) origin: Option<&'a str>,
    /// `Sec-Fetch-Site`
    pub(crate) fetch_site: Option<&'a str>,
    /// Its `Authorization: Bearer` is the token.
    pub(crate) bearer: bool,
    /// Its cookie is this token's session.
    pub(crate) session: bool,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Allow,
    /// The token is asked for.
    SignIn,
    /// The name it was called by is not this server's.
    WrongHost,
    /// A page of somebody else sent it.
    CrossSite,
}

/// Decides on a request.
pub(crate) fn decide(rules: &Rules, asked: &Asked<'_>) -> Decision {
    if OPEN.contains(&asked.path) || asked.path.starts_with(OPEN_BELOW) {
        return Decision::Allow;
    }
    let Some(host) = asked.host.and_then(host_of) else { return Decision::WrongHost };
    let local = is_loopback(&host);
    let ours = rules.base_url.as_ref().and_then(Url::host).is_some_and(|h| h.to_owned() == host);
    if !local && !ours {
        return Decision::WrongHost;
    }
    // A browser adds cookies by itself, but never this header.
    if !asked.reads && !asked.bearer && !same_origin(rules, asked) {
        return Decision::CrossSite;
    }
    let at_home = rules.listen_is_loopback && local && !asked.forwarded && base_is_local(rules);
    if at_home || asked.bearer || asked.session || asked.path == SESSION {
        Decision::Allow
    } else {
        Decision::SignIn
    }
}

fn base_is_local(rules: &Rules) -> bool {
    let Some(base) = &rules.base_url else { return true };
    base.host().is_some_and(|host| is_loopback(&host.to_owned()))
}

/// The host of a `Host` header, without its port.
fn host_of(header: &str) -> Option<Host> {
    // The header holds a host and a port, so anything that would end these in a URL is foreign.
    if header.contains(['/', '?', '#', '@', '\\']) {
        return None;
    }
    Url::parse(&format!("http://{header}/")).ok()?.host().map(|host| host.to_owned())
}

fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => IpAddr::from(*ip).to_canonical().is_loopback(),
    }
}

/// Browsers tell where a request comes from by `Sec-Fetch-Site`, but only over TLS or to this
/// machine; `Origin` is for the rest.
fn same_origin(rules: &Rules, asked: &Asked<'_>) -> bool {
    if let Some(site) = asked.fetch_site {
        return site == "same-origin";
    }
    let Some(origin) = asked.origin.and_then(|o| Url::parse(o).ok()) else { return false };
    let by_name = asked.host.and_then(|host| {
        // The scheme is the proxy's business; its default ports are left out on both sides.
        Url::parse(&format!("{}://{host}/", origin.scheme())).ok()
    });
    let same = |other: &Url| other.origin().is_tuple() && other.origin() == origin.origin();
    by_name.as_ref().is_some_and(same) || rules.base_url.as_ref().is_some_and(same)
}

impl Access {
    pub(crate) fn new(rules: Rules, token: &SecretString) -> Self {
        Self { rules, key: Key::new(token) }
    }

    /// Cookies go over TLS only where people come over TLS.
    pub(crate) fn secure_cookie(&self) -> bool {
        self.rules.base_url.as_ref().is_some_and(|base| base.scheme() == "https")
    }
}

#[cfg(test)]
mod tests;
