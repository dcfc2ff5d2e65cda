//! What was asked of the simulator, so that a test can say "and nothing else was written".

use jiff::Timestamp;
use serde_json::Value;

use crate::ids::UserId;
use crate::route::Route;

/// One API request.
#[derive(Debug, Clone)]
pub struct Call {
    /// When it came in, or when it landed if a fault made it land late.
    pub at: Timestamp,
    /// Whose token it bore, if the token is good.
    pub user: Option<UserId>,
    /// `GET`, `POST`, …
    pub method: String,
    /// The endpoint.
    pub route: Route,
    /// Path below `/api/v4/`, as sent, without the query.
    pub path: String,
    /// Query and body parameters together.
    pub params: Value,
    /// Status that was answered, or would have been had the answer not been lost.
    pub status: u16,
    /// False if a fault kept the request from having any effect.
    pub applied: bool,
}

impl Call {
    /// True unless it is a GET.
    pub fn is_write(&self) -> bool {
        self.method != "GET" && self.method != "HEAD"
    }
}
