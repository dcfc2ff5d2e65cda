//! A request as it came in: which endpoint, which path arguments, which parameters.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::routes::{self, Row};
use crate::answer::Answer;
use crate::record::Call;
use crate::route::Route;
use crate::state::State;

/// One API request before authentication.
#[derive(Debug, Clone)]
pub(crate) struct Incoming {
    method: String,
    /// Below `/api/v4/`, still percent-encoded.
    path: String,
    query: Vec<(String, String)>,
    params: Map<String, Value>,
    token: Option<String>,
    row: Result<&'static Row, Answer>,
    args: Vec<String>,
}

impl Incoming {
    /// Takes a request apart. A broken body or an unknown path becomes its answer later on.
    pub(crate) fn parse(
        method: &str,
        path: &str,
        query: &str,
        content_type: Option<&str>,
        body: &[u8],
        token: Option<String>,
    ) -> Self {
        let query: Vec<(String, String)> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let (mut row, args) = routes::find(method, path);
        let mut params = Map::new();
        for (name, value) in &query {
            params.insert(name.clone(), Value::String(value.clone()));
        }
        if content_type.is_some_and(|kind| kind.starts_with("application/json")) {
            match serde_json::from_slice(body) {
                Ok(Value::Object(fields)) => params.extend(fields),
                Err(_) if !body.is_empty() => {
                    row = Err(Answer::bad_params(
                        "The provided content-type 'application/json' \
                                                  is not supported: invalid JSON",
                    ));
                }
                Ok(_) | Err(_) => {}
            }
        } else {
            for (name, value) in url::form_urlencoded::parse(body) {
                params.insert(name.into_owned(), Value::String(value.into_owned()));
            }
        }
        let (method, path) = (method.to_owned(), path.to_owned());
        Self { method, path, query, params, token, row, args }
    }

    pub(crate) fn route(&self) -> Route {
        self.row.as_ref().map_or(Route::Unknown, |row| row.route)
    }

    pub(crate) fn is_write(&self) -> bool {
        self.method != "GET" && self.method != "HEAD"
    }

    pub(super) fn row(&self) -> Result<&'static Row, &Answer> {
        self.row.as_ref().copied()
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn query(&self) -> &[(String, String)] {
        &self.query
    }

    pub(super) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    pub(super) fn args(&self) -> &[String] {
        &self.args
    }

    /// A part of the path, decoded.
    pub(super) fn arg(&self, index: usize) -> &str {
        self.args.get(index).map_or("", String::as_str)
    }

    /// A number in the path; anything else is not found.
    pub(super) fn arg_number(&self, index: usize, what: &str) -> Result<u64, Answer> {
        self.arg(index).parse().map_err(|_| Answer::not_found(what))
    }

    /// A parameter as text; numbers and flags are taken too, `null` is as if it were missing.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        match self.params.get(name)? {
            Value::String(text) => Some(text.clone()),
            value @ (Value::Number(_) | Value::Bool(_)) => Some(value.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.params.contains_key(name)
    }

    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Answer> {
        let Some(text) = self.text(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Answer::bad_params(&format!("{name} is invalid")))
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Answer> {
        match self.text(name).as_deref() {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(_) => Err(Answer::bad_params(&format!("{name} is invalid"))),
        }
    }

    /// Text that must be there and not be blank.
    pub(super) fn required(&self, name: &str) -> Result<String, Answer> {
        match self.text(name) {
            None => Err(Answer::bad_params(&format!("{name} is missing"))),
            Some(text) if text.trim().is_empty() => {
                Err(Answer::bad_params(&format!("{name} is empty")))
            }
            Some(text) => Ok(text),
        }
    }

    /// Writes the request into the list of calls.
    pub(crate) fn record(&self, state: &mut State, status: u16, applied: bool) {
        let user = self.token.as_deref().and_then(|token| state.authenticate(token).ok());
        let user = user.map(|token| token.user);
        state.calls.push(Call {
            at: Timestamp::now(),
            user,
            method: self.method.clone(),
            route: self.route(),
            path: self.path.clone(),
            params: Value::Object(self.params.clone()),
            status,
            applied,
        });
        state.touch();
    }
}
