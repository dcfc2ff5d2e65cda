//! What the simulator answers over HTTP, in all the shapes that GitLab uses.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::error::SimError;

/// Status, headers and body.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

/// A refusal is an answer too.
pub(crate) type Reply = Result<Answer, Answer>;

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let body = Bytes::from(body.to_string());
        Self { status, content_type: "application/json", headers: Vec::new(), body }
    }

    pub(crate) fn text(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status, content_type, headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self::text(status, "text/plain", Bytes::new())
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// `{"message": text}`.
    pub(crate) fn message(status: u16, text: &str) -> Self {
        Self::json(status, &json!({ "message": text }))
    }

    /// `{"message": {field: [text]}}`, as the models say no.
    pub(crate) fn field(field: &str, text: &str) -> Self {
        Self::json(400, &json!({ "message": { field: [text] } }))
    }

    /// `{"error": text}`, as the parameter check says no.
    pub(crate) fn bad_params(text: &str) -> Self {
        Self::json(400, &json!({ "error": text }))
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::message(404, &format!("404 {what} Not Found"))
    }

    pub(crate) fn forbidden() -> Self {
        Self::message(403, "403 Forbidden")
    }

    pub(crate) fn ok(&self) -> bool {
        self.status < 400
    }
}

impl From<SimError> for Answer {
    /// Acts shared with the API: a missing record is 404, a refused act is 405 or 400 there.
    fn from(error: SimError) -> Self {
        match error {
            SimError::Unknown(what) => Self::message(404, &format!("404 Not found: {what}")),
            SimError::Refused(why) => Self::message(400, &format!("400 Bad request - {why}")),
            other => Self::message(500, &other.to_string()),
        }
    }
}
