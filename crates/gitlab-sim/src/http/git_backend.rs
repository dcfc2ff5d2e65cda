//! Git over smart HTTP: `git http-backend` as a child process, streamed both ways.
//! The state is locked only to check the token before and to fire the hooks after a push.

use std::process::Stdio;
use std::sync::Arc;

use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use super::{Shared, hang_up, lock, respond};
use crate::answer::Answer;
use crate::faults::FaultKind;
use crate::git::ZERO_SHA;
use crate::ids::{ProjectId, UserId};
use crate::state::{AccessLevel, RefUpdate, Scope, State};

/// The repository and what is asked of it.
#[derive(Debug, Clone)]
pub(super) struct Target {
    path: String,
    service: &'static str,
}

/// Recognises the paths that a git client asks for.
pub(super) fn target(path: &str) -> Option<Target> {
    ["info/refs", "git-upload-pack", "git-receive-pack"].into_iter().find_map(|service| {
        let path = path.strip_suffix(service)?.strip_suffix(".git/")?;
        Some(Target { path: path.trim_start_matches('/').to_owned(), service })
    })
}

pub(super) async fn serve(
    request: &HttpRequest,
    body: web::Payload,
    shared: &Shared,
    target: Target,
) -> HttpResponse {
    let fault = lock(&shared.state).faults.take(None);
    match fault {
        None | Some(FaultKind::Hold) => {}
        Some(FaultKind::Answer { status, headers, body: (kind, text) }) => {
            let mut answer = Answer::text(status, kind, text);
            answer.headers = headers;
            return respond(answer);
        }
        Some(FaultKind::DelayAnswer(time) | FaultKind::SlowBody(time)) => {
            tokio::time::sleep(time).await;
        }
        Some(FaultKind::LoseAnswer | FaultKind::LandLate | FaultKind::CloseBefore) => {
            return hang_up(request);
        }
    }
    let query = request.uri().query().unwrap_or_default();
    let push = target.service == "git-receive-pack" || query.contains("git-receive-pack");
    let allowed = allow(&lock(&shared.state), request.headers(), &target.path, push);
    let (project, user) = match allowed {
        Ok(allowed) => allowed,
        Err(refusal) => return respond(refusal),
    };
    match run(request, body, shared, &target, project, user).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(%error, "git http-backend failed; is git installed whole?");
            respond(Answer::text(500, "text/plain", "git http-backend failed\n"))
        }
    }
}

/// Any user name goes with a good token. Without access the repository does not exist.
fn allow(
    state: &State,
    headers: &HeaderMap,
    path: &str,
    push: bool,
) -> Result<(ProjectId, UserId), Answer> {
    let unauthorized = || {
        Answer::text(401, "text/plain", "HTTP Basic: Access denied\n")
            .header("WWW-Authenticate", "Basic realm=\"GitLab\"")
    };
    let token = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok()?.strip_prefix("Basic "))
        .and_then(|encoded| String::from_utf8(STANDARD.decode(encoded).ok()?).ok())
        .and_then(|pair| pair.split_once(':').map(|(_, password)| password.to_owned()))
        .ok_or_else(unauthorized)?;
    let token = state.authenticate(&token).map_err(|_| unauthorized())?;
    let has = |scopes: &[Scope]| scopes.iter().any(|scope| token.scopes.contains(scope));
    let may = if push {
        has(&[Scope::Api, Scope::WriteRepository])
    } else {
        has(&[Scope::Api, Scope::ReadRepository, Scope::WriteRepository])
    };
    if !may {
        let text = "Your token lacks the scope that this needs.\n";
        return Err(Answer::text(403, "text/plain", text));
    }
    let missing = || {
        let text = "The project you were looking for could not be found or you don't have \
                    permission to view it.\n";
        Answer::text(404, "text/plain", text)
    };
    let project = state
        .visible_project(path, token.user)
        .ok()
        .or_else(|| state.moved_project(path, token.user))
        .ok_or_else(missing)?;
    let level = if push { AccessLevel::Developer } else { AccessLevel::Reporter };
    let enough = if push {
        state.need(project, token.user, level).is_ok()
    } else {
        state.need_read(project, token.user).is_ok()
    };
    if !enough {
        let text = "You are not allowed to do this in this project.\n";
        return Err(Answer::text(403, "text/plain", text));
    }
    Ok((project, token.user))
}

async fn run(
    request: &HttpRequest,
    mut body: web::Payload,
    shared: &Shared,
    target: &Target,
    project: ProjectId,
    user: UserId,
) -> std::io::Result<HttpResponse> {
    let push = target.service == "git-receive-pack";
    let before = if push { refs(shared, project).await } else { Vec::new() };
    let mut child = command(request, shared, target, project).spawn()?;
    let stdin = child.stdin.take();
    actix_web::rt::spawn(async move {
        let Some(mut stdin) = stdin else { return };
        while let Some(Ok(chunk)) = body.next().await {
            // The backend has seen enough when it closes its input.
            if stdin.write_all(&chunk).await.is_err() {
                return;
            }
        }
    });
    let stdout = child.stdout.take().ok_or_else(|| std::io::Error::other("no output"))?;
    let mut stdout = BufReader::new(stdout);
    let mut builder = HttpResponse::Ok();
    let mut line = String::new();
    loop {
        line.clear();
        if stdout.read_line(&mut line).await? == 0 {
            return Err(std::io::Error::other("it answered nothing"));
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        if name == "Status" {
            let code = value.split(' ').next().and_then(|code| code.parse::<u16>().ok());
            let status = code.and_then(|code| actix_web::http::StatusCode::from_u16(code).ok());
            builder.status(status.unwrap_or(actix_web::http::StatusCode::BAD_GATEWAY));
        } else {
            builder.insert_header((name, value));
        }
    }
    if push {
        return finish_push(builder, child, stdout, shared, (project, user), before).await;
    }
    let chunks = futures_util::stream::unfold((child, stdout), |(child, mut stdout)| async move {
        let mut chunk = bytes::BytesMut::with_capacity(64 * 1024);
        match stdout.read_buf(&mut chunk).await {
            Ok(0) => {
                reap(child).await;
                None
            }
            Ok(_) => Some((Ok(chunk.freeze()), (child, stdout))),
            Err(error) => Some((Err(error), (child, stdout))),
        }
    });
    Ok(builder.streaming(chunks))
}

fn command(request: &HttpRequest, shared: &Shared, target: &Target, project: ProjectId) -> Command {
    let header = |name: &str| {
        request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    };
    let mut command = Command::new("git");
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &shared.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("REMOTE_USER", "simulator")
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("REQUEST_METHOD", request.method().as_str())
        .env("QUERY_STRING", request.uri().query().unwrap_or_default())
        .env("PATH_INFO", format!("/{project}.git/{}", target.service))
        .env("CONTENT_TYPE", header("content-type"))
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let length = header("content-length");
    if !length.is_empty() {
        command.env("CONTENT_LENGTH", length);
    }
    command
}

async fn reap(mut child: Child) {
    if let Err(error) = child.wait().await {
        tracing::warn!(%error, "git http-backend could not be waited for");
    }
}

/// Answers of a push are short, so they wait for the refs to have moved and the hooks to be fired.
async fn finish_push(
    mut builder: actix_web::HttpResponseBuilder,
    child: Child,
    mut stdout: BufReader<ChildStdout>,
    shared: &Shared,
    (project, user): (ProjectId, UserId),
    before: Vec<(String, String)>,
) -> std::io::Result<HttpResponse> {
    let mut answer = Vec::new();
    stdout.read_to_end(&mut answer).await?;
    reap(child).await;
    let updates = moved(&before, &refs(shared, project).await);
    let state = Arc::clone(&shared.state);
    let announce = move || lock(&state).after_push(project, user, &updates);
    if let Ok(Err(error)) = web::block(announce).await {
        tracing::error!(%error, "a push could not be announced");
    }
    Ok(builder.body(answer))
}

async fn refs(shared: &Shared, project: ProjectId) -> Vec<(String, String)> {
    let repo = lock(&shared.state).projects.get(&project).map(|project| project.repo.clone());
    let Some(repo) = repo else { return Vec::new() };
    web::block(move || repo.refs()).await.ok().and_then(Result::ok).unwrap_or_default()
}

fn moved(before: &[(String, String)], after: &[(String, String)]) -> Vec<RefUpdate> {
    let find = |list: &[(String, String)], name: &str| {
        let found = list.iter().find(|(known, _)| known == name);
        found.map_or_else(|| ZERO_SHA.to_owned(), |(_, sha)| sha.clone())
    };
    let mut names: Vec<&String> = before.iter().chain(after).map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .map(|name| RefUpdate {
            name: name.clone(),
            before: find(before, name),
            after: find(after, name),
        })
        .filter(|update| update.before != update.after)
        .collect()
}
