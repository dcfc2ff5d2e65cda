//! One call: admitted by the limits, sent once, noted, reported, and its answer told apart.
//!
//! The only place that speaks HTTP. A write is never repeated here: only the caller can read
//! back what became of it.

use std::sync::{MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use reqwest::{Method, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::answer::Answer;
use super::{CallRecord, GitLab};
use crate::error::{Context, Error, shorten};
use crate::limit::{Class, Limits};

/// Bytes of an answer that are read at most: a hundred diffs stay well below it.
const MAX_ANSWER: usize = 64 << 20;
const MAX_ERROR_BODY: usize = 64 << 10;
const PER_PAGE: &str = "100";
const MAX_PAGES: u32 = 100;
const MAX_REDIRECTS: usize = 3;

/// A call that is not sent yet.
#[derive(Debug)]
pub(crate) struct Call {
    pub(super) method: Method,
    path: &'static str,
    args: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Option<serde_json::Value>,
    class: Class,
    max_answer: usize,
    project: Option<u64>,
}

impl Call {
    /// `path` is the template; each `:name` in it takes the next of `args`, percent-encoded.
    pub(crate) fn new(method: Method, path: &'static str, args: &[&(dyn ToString + Sync)]) -> Self {
        let args: Vec<String> = args.iter().map(|arg| arg.to_string()).collect();
        let project = args.first().filter(|_| path.starts_with("/projects/:id"));
        Self {
            project: project.and_then(|id| id.parse().ok()),
            method,
            path,
            args,
            query: Vec::new(),
            body: None,
            class: Class::Other,
            max_answer: MAX_ANSWER,
        }
    }

    pub(crate) fn get(path: &'static str, args: &[&(dyn ToString + Sync)]) -> Self {
        Self::new(Method::GET, path, args)
    }

    pub(crate) fn post(path: &'static str, args: &[&(dyn ToString + Sync)]) -> Self {
        Self::new(Method::POST, path, args)
    }

    pub(crate) fn put(path: &'static str, args: &[&(dyn ToString + Sync)]) -> Self {
        Self::new(Method::PUT, path, args)
    }

    pub(crate) fn delete(path: &'static str, args: &[&(dyn ToString + Sync)]) -> Self {
        Self::new(Method::DELETE, path, args)
    }

    pub(crate) fn class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// Adds a query parameter unless it is `None`.
    pub(crate) fn query(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query.extend(value.map(|value| (name, value.to_string())));
        self
    }

    pub(crate) fn body(mut self, body: &impl Serialize) -> Self {
        self.body = Some(serde_json::to_value(body).unwrap_or_default());
        self
    }

    pub(crate) fn max_answer(mut self, bytes: usize) -> Self {
        self.max_answer = bytes;
        self
    }

    pub(super) fn context(&self, message: impl Into<String>) -> Context {
        Context {
            method: match self.method {
                Method::POST => "POST",
                Method::PUT => "PUT",
                Method::DELETE => "DELETE",
                _ => "GET",
            },
            path: self.path,
            status: None,
            message: message.into(),
            request_id: None,
        }
    }

    /// The URL, or an error if a part would change the path's shape.
    fn url(&self, api: &Url) -> Result<Url, Error> {
        let mut url = api.clone();
        let mut args = self.args.iter().map(String::as_str);
        let parts = self.path.split('/').skip(1);
        let filled = parts.map(|part| match part.strip_prefix(':') {
            Some(_) => args.next().unwrap_or_default(),
            None => part,
        });
        let filled: Vec<&str> = filled.collect();
        if filled.iter().any(|part| matches!(*part, "" | "." | "..")) {
            let context = self.context("a part of the path is empty, `.` or `..`");
            return Err(Error::Invalid { context: Box::new(context), field: None });
        }
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(filled);
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Ok(url)
    }

    /// The answer to it is lost or cannot be understood.
    fn lost(&self, context: Context) -> Error {
        let context = Box::new(context);
        if self.method == Method::GET { Error::Lost(context) } else { Error::InDoubt(context) }
    }
}

impl GitLab {
    /// Sends the call and reads the JSON of its answer.
    pub(crate) async fn json<T: DeserializeOwned>(&self, call: Call) -> Result<T, Error> {
        let answer = self.send(&call).await?;
        read_json(&call, &answer)
    }

    /// Sends the call; whatever a good answer holds is of no interest.
    pub(crate) async fn done(&self, call: Call) -> Result<(), Error> {
        self.send(&call).await.map(drop)
    }

    /// Sends the call and returns the answer's bytes.
    pub(crate) async fn bytes(&self, call: Call) -> Result<Bytes, Error> {
        self.send(&call).await.map(|answer| answer.body)
    }

    /// All items of a list, page after page.
    pub(crate) async fn list<T: DeserializeOwned>(&self, call: Call) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        self.pages(call, MAX_PAGES, |page: Vec<T>| {
            all.extend(page);
            false
        })
        .await
        .and_then(End::ok_or_too_long)?;
        Ok(all)
    }

    /// The items of at most `pages` pages; a longer list is cut.
    pub(crate) async fn list_start<T: DeserializeOwned>(
        &self,
        call: Call,
        pages: u32,
    ) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        self.pages(call, pages.min(MAX_PAGES), |page: Vec<T>| {
            all.extend(page);
            false
        })
        .await?;
        Ok(all)
    }

    /// The first item that `wanted` accepts; later pages are not read.
    pub(crate) async fn find<T: DeserializeOwned>(
        &self,
        call: Call,
        mut wanted: impl FnMut(&T) -> bool,
    ) -> Result<Option<T>, Error> {
        let mut found = None;
        self.pages(call, MAX_PAGES, |page: Vec<T>| {
            found = page.into_iter().find(&mut wanted);
            found.is_some()
        })
        .await
        .and_then(End::ok_or_too_long)?;
        Ok(found)
    }

    /// Reads pages until the last one or until `take` has enough. A short page is no sign of
    /// the end (`lib/api/notes.rb`), so only the headers are believed.
    async fn pages<T: DeserializeOwned>(
        &self,
        call: Call,
        limit: u32,
        mut take: impl FnMut(Vec<T>) -> bool,
    ) -> Result<End, Error> {
        let mut call = call.query("per_page", Some(PER_PAGE)).query("page", Some(1));
        for _ in 0..limit {
            let answer = self.send(&call).await?;
            let enough = take(read_json(&call, &answer)?);
            let Some(next) = answer.next_page().filter(|_| !enough) else {
                return Ok(End::Reached);
            };
            call.query.pop();
            call = call.query("page", Some(next));
        }
        Ok(End::TooLong(call.context(format!("the list has more than {limit} pages"))))
    }

    /// Sends the call once. `Ok` means 2xx and a whole body.
    async fn send(&self, call: &Call) -> Result<Answer, Error> {
        let mut url = call.url(&self.inner.api)?;
        for _ in 0..=MAX_REDIRECTS {
            self.admitted(call).await?;
            let started = Instant::now();
            let sent = self.exchange(call, url.clone()).await;
            self.report(call, &sent, started);
            let answer = sent?;
            let wait = self.limits().note(call.class, answer.signs(), Instant::now());
            if answer.status.is_success() {
                return Ok(answer);
            }
            match answer.redirected(call, &url) {
                Some(next) => url = next?,
                None => return Err(answer.into_error(call, wait)),
            }
        }
        let context = call.context("more than three redirects; correct the base URL");
        Err(Error::Invalid { context: Box::new(context), field: None })
    }

    async fn admitted(&self, call: &Call) -> Result<(), Error> {
        let admitted = self.limits().admit(call.class, Instant::now());
        match admitted {
            Ok(wait) if wait.is_zero() => Ok(()),
            Ok(wait) => {
                tokio::time::sleep(wait).await;
                Ok(())
            }
            Err(wait) => {
                let context = Box::new(call.context("held back, not sent"));
                Err(Error::RateLimited { context, retry_after: Some(wait) })
            }
        }
    }

    /// The request and its answer with the body, or the error of a broken exchange.
    async fn exchange(&self, call: &Call, url: Url) -> Result<Answer, Error> {
        let mut request = self.inner.http.request(call.method.clone(), url);
        if let Some(body) = &call.body {
            request =
                request.header(header::CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let mut response = request.send().await.map_err(|error| {
            let definite = error.is_connect() || error.is_builder();
            let context = call.context(reason(error));
            if definite { Error::NotSent(Box::new(context)) } else { call.lost(context) }
        })?;
        let mut answer = Answer::start(&response);
        let good = answer.status.is_success();
        let cap = if good { call.max_answer } else { MAX_ERROR_BODY };
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= cap => {
                    body.extend_from_slice(&chunk);
                }
                Ok(None) => break,
                // What came is enough to tell the status apart.
                Ok(Some(_)) | Err(_) if !good => break,
                Ok(Some(_)) => {
                    let text = format!("the answer is longer than {cap} bytes");
                    return Err(Error::TooLong(Box::new(answer.context(call, text))));
                }
                Err(error) => return Err(call.lost(answer.context(call, reason(error)))),
            }
        }
        answer.body = body.into();
        Ok(answer)
    }

    fn report(&self, call: &Call, sent: &Result<Answer, Error>, started: Instant) {
        let Some(observer) = &self.inner.observer else { return };
        let context = call.context("");
        let (status, request_id) = match sent {
            Ok(answer) => (Some(answer.status.as_u16()), answer.request_id()),
            Err(error) => (error.context().status, error.context().request_id.clone()),
        };
        observer(&CallRecord {
            method: context.method,
            path: call.path,
            project: call.project,
            status,
            duration: started.elapsed(),
            request_id,
        });
    }

    fn limits(&self) -> MutexGuard<'_, Limits> {
        // Plain numbers: they are whole even if a holder panicked.
        self.inner.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a walk over pages ended.
enum End {
    Reached,
    TooLong(Context),
}

impl End {
    fn ok_or_too_long(self) -> Result<(), Error> {
        match self {
            Self::Reached => Ok(()),
            Self::TooLong(context) => Err(Error::TooLong(Box::new(context))),
        }
    }
}

fn read_json<T: DeserializeOwned>(call: &Call, answer: &Answer) -> Result<T, Error> {
    if answer.status == StatusCode::ACCEPTED && call.path.contains("/notes") {
        let context = answer.context(call, "only quick actions");
        return Err(Error::CommandsOnly(Box::new(context)));
    }
    serde_json::from_slice(&answer.body).map_err(|error| {
        let text = format!("the answer is not the JSON that is expected: {error}");
        call.lost(answer.context(call, shorten(&text)))
    })
}

/// The innermost reason, without the URL.
pub(super) fn reason(error: reqwest::Error) -> String {
    let timed_out = error.is_timeout();
    let error = error.without_url();
    let mut deepest: &dyn std::error::Error = &error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    let text = deepest.to_string();
    shorten(&if timed_out { format!("timed out: {text}") } else { text })
}
