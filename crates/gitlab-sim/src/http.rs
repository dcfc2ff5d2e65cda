//! One entry for all requests: git, API and pages. Faults strike here.
//! Nothing here knows GitLab's rules; API and pages run as plain functions on a blocking thread.

mod git_backend;

use std::any::Any;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::dev::Extensions;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use crate::answer::Answer;
use crate::api::{self, Incoming};
use crate::faults::FaultKind;
use crate::hooks::send::lock;
use crate::pages;
use crate::state::State;

/// Largest request body of the API, in bytes.
const MAX_BODY: usize = 32 * 1024 * 1024;

/// What every request handler needs.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) base: String,
    pub(crate) root: PathBuf,
}

/// The socket of a connection, for closing it without an answer.
#[derive(Debug)]
struct Connection(TcpStream);

/// Keeps a second handle of each accepted socket.
pub(crate) fn remember_connection(socket: &dyn Any, data: &mut Extensions) {
    let socket = socket.downcast_ref::<actix_web::rt::net::TcpStream>();
    if let Some(fd) = socket.and_then(|socket| socket.as_fd().try_clone_to_owned().ok()) {
        data.insert(Connection(TcpStream::from(fd)));
    }
}

/// Closes the connection; the answer that is returned reaches nobody.
fn hang_up(request: &HttpRequest) -> HttpResponse {
    if let Some(Connection(socket)) = request.conn_data::<Connection>() {
        // It may be closed already, which is what we want.
        let _ = socket.shutdown(Shutdown::Both);
    }
    HttpResponse::InternalServerError().force_close().finish()
}

/// Handles every request.
pub(crate) async fn serve(
    request: HttpRequest,
    body: web::Payload,
    shared: web::Data<Shared>,
) -> HttpResponse {
    let Some(path) = request.uri().path().strip_prefix(shared.base.as_str()) else {
        return respond(Answer::text(404, "text/plain", "404 page not found\n"));
    };
    let path = path.to_owned();
    if let Some(target) = git_backend::target(&path) {
        return git_backend::serve(&request, body, &shared, target).await;
    }
    let body = match collect(body).await {
        Ok(body) => body,
        Err(refusal) => return respond(refusal),
    };
    if let Some(rest) = path.strip_prefix("/api/v4/") {
        return serve_api(&request, rest, body, &shared).await;
    }
    let state = Arc::clone(&shared.state);
    let method = request.method().to_string();
    let page = move || pages::serve(&lock(&state), &method, &path);
    respond(web::block(page).await.unwrap_or_else(|_| stopped()))
}

async fn collect(mut body: web::Payload) -> Result<Bytes, Answer> {
    let mut collected = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| Answer::message(400, &error.to_string()))?;
        if collected.len() + chunk.len() > MAX_BODY {
            return Err(Answer::message(413, "413 Request Entity Too Large"));
        }
        collected.extend_from_slice(&chunk);
    }
    Ok(collected.freeze())
}

async fn serve_api(
    request: &HttpRequest,
    path: &str,
    body: Bytes,
    shared: &Shared,
) -> HttpResponse {
    let text = |name: header::HeaderName| {
        request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let query = request.uri().query().unwrap_or_default();
    let incoming = Incoming::parse(
        request.method().as_str(),
        path,
        query,
        text(header::CONTENT_TYPE).as_deref(),
        &body,
        token(request),
    );
    let (fault, mut landed) = {
        let mut state = lock(&shared.state);
        let fault = state.faults.take(Some(&incoming));
        if let Some(FaultKind::Answer { .. } | FaultKind::CloseBefore) = &fault {
            let status =
                if let Some(FaultKind::Answer { status, .. }) = &fault { *status } else { 0 };
            incoming.record(&mut state, status, false);
        }
        if let Some(FaultKind::LandLate) = &fault {
            state.late.push(incoming);
            return hang_up(request);
        }
        state.touch();
        (fault, state.landed.subscribe())
    };
    match fault {
        None => respond(apply(shared, incoming).await),
        Some(FaultKind::Answer { status, headers, body: (kind, text) }) => {
            let mut answer = Answer::text(status, kind, text);
            answer.headers = headers;
            respond(answer)
        }
        Some(FaultKind::CloseBefore | FaultKind::LandLate) => hang_up(request),
        Some(FaultKind::LoseAnswer) => {
            apply(shared, incoming).await;
            hang_up(request)
        }
        Some(FaultKind::Hold) => {
            // It fails only when the simulator is gone.
            let _ = landed.changed().await;
            respond(apply(shared, incoming).await)
        }
        Some(FaultKind::DelayAnswer(time)) => {
            let answer = apply(shared, incoming).await;
            tokio::time::sleep(time).await;
            respond(answer)
        }
        Some(FaultKind::SlowBody(time)) => trickle(apply(shared, incoming).await, time),
    }
}

async fn apply(shared: &Shared, incoming: Incoming) -> Answer {
    let state = Arc::clone(&shared.state);
    let work = move || api::handle(&mut lock(&state), &incoming);
    web::block(work).await.unwrap_or_else(|_| stopped())
}

fn stopped() -> Answer {
    Answer::message(503, "the simulator is stopping")
}

/// The token of either header.
fn token(request: &HttpRequest) -> Option<String> {
    let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let bearer = || text("authorization").and_then(|value| value.strip_prefix("Bearer "));
    text("private-token").or_else(bearer).map(|value| value.trim().to_owned())
}

fn builder(answer: &Answer) -> actix_web::HttpResponseBuilder {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut builder = HttpResponse::build(status);
    builder.content_type(answer.content_type);
    builder.insert_header(("X-Request-Id", uuid::Uuid::now_v7().simple().to_string()));
    for (name, value) in &answer.headers {
        builder.insert_header((*name, value.as_str()));
    }
    builder
}

fn respond(answer: Answer) -> HttpResponse {
    builder(&answer).body(answer.body)
}

/// Sends the body in eight pieces, one after each eighth of the time.
fn trickle(answer: Answer, time: Duration) -> HttpResponse {
    let mut builder = builder(&answer);
    let size = (answer.body.len() / 8).max(1);
    let pieces = futures_util::stream::unfold(answer.body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(time / 8).await;
        let piece = rest.split_to(size.min(rest.len()));
        Some((Ok::<_, actix_web::Error>(piece), rest))
    });
    builder.streaming(pieces)
}
