//! Faults on demand: what a test arms here, `http` does to the next matching requests.

use std::time::Duration;

use crate::api::Incoming;
use crate::route::Route;

/// A fault to come.
///
/// ```
/// use aldis_gitlab_sim::{Fault, FaultKind, Route};
///
/// // The second and third status posts take effect, but their answers are lost.
/// let fault = Fault::on(Route::StatusPost, FaultKind::LoseAnswer).skip(1).times(2);
/// ```
#[derive(Debug, Clone)]
pub struct Fault {
    route: Route,
    /// Parameters that the request must have, and their values.
    parameters: Vec<(&'static str, &'static str)>,
    kind: FaultKind,
    skip: u32,
    times: u32,
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum FaultKind {
    /// Nothing is applied; this is answered instead.
    Answer {
        /// Status code.
        status: u16,
        /// Additional headers.
        headers: Vec<(&'static str, String)>,
        /// Content type and text.
        body: (&'static str, String),
    },
    /// The request takes effect, then the connection closes without an answer.
    LoseAnswer,
    /// The request takes effect at once; the answer comes after this time.
    DelayAnswer(Duration),
    /// The connection closes at once; the request takes effect when the test says so, by
    /// [`Simulator::land`](crate::Simulator::land).
    LandLate,
    /// The request is held on its way; it takes effect and is answered when the test says so, by
    /// [`Simulator::land`](crate::Simulator::land). Git's requests are not held.
    Hold,
    /// The connection closes and nothing is applied.
    CloseBefore,
    /// The request takes effect; the answer's body trickles in over this time.
    SlowBody(Duration),
}

impl FaultKind {
    /// An error answer with the body that GitLab gives with this status.
    pub fn status(status: u16) -> Self {
        let json = |text: &str| ("application/json", format!("{{\"message\":\"{text}\"}}"));
        let body = match status {
            401 => json("401 Unauthorized"),
            403 => json("403 Forbidden"),
            404 => json("404 Not Found"),
            409 => json("Another update to this commit status is in progress"),
            422 => json("The number of jobs has exceeded the limit"),
            429 => ("text/plain", "Retry later\n".to_owned()),
            500 => json("500 Internal Server Error"),
            502..=504 => {
                let page = "<html><body><h1>GitLab is not responding</h1></body></html>";
                ("text/html", page.to_owned())
            }
            other => json(&format!("{other} Error")),
        };
        Self::Answer { status, headers: Vec::new(), body }
    }

    /// The HTTP rate limit: 429 with `Retry-After` in seconds and the `RateLimit` headers.
    pub fn rate_limited(retry_after: u64) -> Self {
        let headers = vec![
            ("Retry-After", retry_after.to_string()),
            ("RateLimit-Limit", "2000".to_owned()),
            ("RateLimit-Observed", "2001".to_owned()),
            ("RateLimit-Remaining", "0".to_owned()),
            ("RateLimit-Name", "throttle_authenticated_api".to_owned()),
        ];
        Self::Answer { status: 429, headers, body: ("text/plain", "Retry later\n".to_owned()) }
    }

    /// The limit of one action: 429 in JSON, without any header that says for how long.
    pub fn action_limited() -> Self {
        let body = serde_json::json!({ "message": { "error": LIMITED } }).to_string();
        Self::Answer { status: 429, headers: Vec::new(), body: ("application/json", body) }
    }
}

pub(crate) const LIMITED: &str =
    "This endpoint has been requested too many times. Try again later.";

impl Fault {
    /// Hits the next request to `route`, once.
    pub fn on(route: Route, kind: FaultKind) -> Self {
        Self { route, parameters: Vec::new(), kind, skip: 0, times: 1 }
    }

    /// Hits only requests whose parameter `name` is `value`.
    pub fn when(mut self, name: &'static str, value: &'static str) -> Self {
        self.parameters.push((name, value));
        self
    }

    /// Lets this many matching requests through first.
    pub fn skip(mut self, count: u32) -> Self {
        self.skip = count;
        self
    }

    /// Hits this many requests.
    pub fn times(mut self, count: u32) -> Self {
        self.times = count;
        self
    }

    /// Hits every request until the faults are cleared.
    pub fn always(self) -> Self {
        self.times(u32::MAX)
    }

    /// Git's requests come as `None`.
    fn aims_at(&self, request: Option<&Incoming>) -> bool {
        let route = request.map_or(Route::Git, Incoming::route);
        let has = |(name, value): &(&str, &str)| {
            request.and_then(|request| request.text(name)).is_some_and(|given| given == *value)
        };
        let this_route = match self.route {
            Route::Any => true,
            Route::AnyWrite => request.is_some_and(Incoming::is_write),
            Route::AnyRead => request.is_some_and(|request| !request.is_write()),
            exact => exact == route,
        };
        this_route && self.parameters.iter().all(has)
    }
}

/// The armed faults, oldest first; a request meets at most one.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    armed: Vec<Fault>,
}

impl Faults {
    pub(crate) fn arm(&mut self, fault: Fault) {
        self.armed.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.armed.clear();
    }

    /// True while some fault has not yet hit as often as it should.
    pub(crate) fn any_left(&self) -> bool {
        self.armed.iter().any(|fault| fault.times > 0 && fault.times < u32::MAX)
    }

    /// The fault that this request meets. Counts it.
    pub(crate) fn take(&mut self, request: Option<&Incoming>) -> Option<FaultKind> {
        let mut hit = None;
        for fault in self.armed.iter_mut().filter(|fault| fault.aims_at(request)) {
            if fault.skip > 0 {
                fault.skip -= 1;
            } else if fault.times > 0 && hit.is_none() {
                if fault.times < u32::MAX {
                    fault.times -= 1;
                }
                hit = Some(fault.kind.clone());
            }
        }
        self.armed.retain(|fault| fault.times > 0);
        hit
    }
}
