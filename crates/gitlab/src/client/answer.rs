//! An answer and what its headers say: request id, next page, limits, redirect.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::header::{self, HeaderMap};
use reqwest::{Method, Response, StatusCode};
use url::Url;

use super::Call;
use crate::error::{Context, Error, shorten};
use crate::limit::Signs;

#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    /// Status and headers; the body is still to come.
    pub(super) fn start(response: &Response) -> Self {
        Self { status: response.status(), headers: response.headers().clone(), body: Bytes::new() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim).filter(|text| !text.is_empty())
    }

    pub(super) fn request_id(&self) -> Option<String> {
        self.header("x-request-id").map(shorten)
    }

    pub(super) fn context(&self, call: &Call, message: impl Into<String>) -> Context {
        Context {
            status: Some(self.status.as_u16()),
            request_id: self.request_id(),
            ..call.context(message)
        }
    }

    /// The error for an answer that is no 2xx. `wait`: how long the limits hold calls back.
    pub(super) fn into_error(self, call: &Call, wait: Option<Duration>) -> Error {
        Error::answered(self.context(call, ""), &self.body, wait)
    }

    /// The number of the next page. Some proxies and very long lists leave only `Link`; of it
    /// nothing but the number is used.
    pub(super) fn next_page(&self) -> Option<u32> {
        if self.headers.contains_key("x-next-page") {
            return self.header("x-next-page")?.parse().ok();
        }
        let links = self.headers.get_all(header::LINK).iter();
        let links = links.filter_map(|value| value.to_str().ok());
        links.flat_map(|line| line.split(", <")).find_map(|link| {
            let (target, relation) = link.trim_start_matches('<').split_once('>')?;
            if !relation.contains("rel=\"next\"") {
                return None;
            }
            let url = Url::parse(target).ok()?;
            url.query_pairs().find(|(name, _)| name == "page")?.1.parse().ok()
        })
    }

    /// Where a read is sent on to: only within the same origin, as the token goes along.
    pub(super) fn redirected(&self, call: &Call, from: &Url) -> Option<Result<Url, Error>> {
        if !self.status.is_redirection() || call.method != Method::GET {
            return None;
        }
        let target = from.join(self.header("location")?).ok()?;
        if target.origin() == from.origin() {
            return Some(Ok(target));
        }
        let origin = target.origin().ascii_serialization();
        let text = format!("redirected to {origin}, which is not followed; correct the base URL");
        let context = Box::new(self.context(call, shorten(&text)));
        Some(Err(Error::Invalid { context, field: None }))
    }

    /// What the headers say about limits (`lib/gitlab/rack_attack.rb`).
    pub(super) fn signs(&self) -> Signs {
        let number = |name: &str| self.header(name)?.parse::<u64>().ok();
        // Measured by GitLab's own clock, so that a wrong one here does no harm.
        let now = || self.header("date").and_then(http_date).unwrap_or_else(Timestamp::now);
        let until =
            |at: Timestamp| Duration::try_from(at.duration_since(now())).unwrap_or_default();
        let retry_after = number("retry-after")
            .map(Duration::from_secs)
            .or_else(|| self.header("retry-after").and_then(http_date).map(until));
        let reset = number("ratelimit-reset").and_then(|at| i64::try_from(at).ok());
        let reset = reset.and_then(|at| Timestamp::from_second(at).ok());
        let name = self.header("ratelimit-name").unwrap_or_default();
        Signs {
            refused: self.status == StatusCode::TOO_MANY_REQUESTS,
            retry_after,
            exhausted: number("ratelimit-remaining") == Some(0),
            reset_in: reset.map(until),
            for_all: matches!(name, "throttle_authenticated_api" | "throttle_unauthenticated_api"),
        }
    }
}

fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}
