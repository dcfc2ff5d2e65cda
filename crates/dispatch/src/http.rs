//! The routes that runners on other machines talk to; [`wire`] says what travels.
//!
//! Called by the binary's server. A runner is known by its token, and everything it says of an
//! attempt must be of one that it was given. Never here: a decision about a run.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::{
    Bytes, Data, Json, JsonConfig, PayloadConfig, Query, ServiceConfig, get, post, resource,
};
use actix_web::{FromRequest, HttpRequest, HttpResponse, ResponseError};
use aldis_bus::{Stop, Topic};
use aldis_protocol::wire::{self, Hint, Piece, Refusal, Welcome};
use aldis_protocol::{ClaimRequest, DispatchError, Dispatcher, Finish, LogChunk, Ticket};
use aldis_store::{Runner, StoreError, sha256};
use futures_util::stream;

use crate::Dispatch;

/// Whose runs a runner is given if nothing else was said. All runs are of this pool.
pub const DEFAULT_POOL: &str = "default";
/// Longest name of a slot that is kept as it comes.
const MOST_SLOT: usize = 32;

/// The routes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Api {
    dispatch: Dispatch,
    leave: Stop,
}

/// The runner that a request's token names.
struct Caller(Runner);

/// Why a request is not carried out.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("this token is not known; `aldis runners add` makes one")]
    Unknown,
    #[error("{0}")]
    Refused(&'static str),
    #[error("{0}")]
    Unreadable(String),
    #[error(transparent)]
    Dispatch(#[from] DispatchError),
    #[error("the run queue cannot answer")]
    Store(#[from] StoreError),
}

type Answer = Result<HttpResponse, Problem>;

impl Api {
    /// Streams of hints end when `leave` says so.
    pub fn new(dispatch: Dispatch, leave: Stop) -> Self {
        Self { dispatch, leave }
    }

    /// Mounts the routes.
    pub fn configure(&self, config: &mut ServiceConfig) {
        let unreadable = |error: actix_web::error::JsonPayloadError, _: &HttpRequest| {
            Problem::Unreadable(error.to_string()).into()
        };
        let json = JsonConfig::default().limit(wire::MOST_JSON).error_handler(unreadable);
        let routes = [
            (wire::HELLO, get().to(hello)),
            (wire::CLAIM, post().to(claim)),
            (wire::HEARTBEAT, post().to(heartbeat)),
            (wire::LOG, post().to(log)),
            (wire::HAND_BACK, post().to(hand_back)),
            (wire::FINISH, post().to(finish)),
            (wire::HINTS, get().to(hints)),
        ];
        for (path, route) in routes {
            let api = Data::new(self.clone());
            let output = PayloadConfig::new(wire::MOST_OUTPUT);
            config.service(
                resource(path).app_data(api).app_data(json.clone()).app_data(output).route(route),
            );
        }
    }

    async fn caller(&self, token: Option<&str>) -> Result<Caller, Problem> {
        let store = &self.dispatch.store;
        let known = match token {
            Some(token) => store.runner(&sha256(token.as_bytes())).await?,
            None => None,
        };
        let runner = known.ok_or(Problem::Unknown)?;
        store.runner_seen(&runner.name).await?;
        Ok(Caller(runner))
    }

    /// Nobody speaks for an attempt that was given to another runner.
    async fn check(&self, caller: &Caller, ticket: &Ticket) -> Result<(), Problem> {
        let run = self.dispatch.run(&ticket.run).await?;
        let holder = run.runner.as_deref().and_then(|holder| holder.rsplit_once('/'));
        let is_its = holder.is_some_and(|(name, _)| name == caller.0.name);
        if is_its && run.epoch == Some(ticket.epoch) {
            Ok(())
        } else {
            Err(DispatchError::Stale.into())
        }
    }
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let api = request.app_data::<Data<Api>>().cloned();
        let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|text| text.strip_prefix("Bearer ")).map(str::to_owned);
        Box::pin(async move { api.ok_or(Problem::Unknown)?.caller(token.as_deref()).await })
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Unknown => StatusCode::UNAUTHORIZED,
            Self::Refused(_) => StatusCode::FORBIDDEN,
            Self::Unreadable(_) => StatusCode::BAD_REQUEST,
            Self::Dispatch(DispatchError::Stale) => StatusCode::CONFLICT,
            Self::Dispatch(DispatchError::Unavailable(_)) | Self::Store(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    fn error_response(&self) -> HttpResponse {
        if let Self::Store(error) = self {
            tracing::warn!(%error, "a runner was not answered");
        }
        HttpResponse::build(self.status_code()).json(Refusal { message: self.to_string() })
    }
}

async fn hello(Caller(Runner { name, pools, .. }): Caller, api: Data<Api>) -> Answer {
    check_git(&api)?;
    Ok(HttpResponse::Ok().json(Welcome { name, pools }))
}

/// What a runner is handed lets it read code. The API's token would let it do everything.
fn check_git(api: &Api) -> Result<(), Problem> {
    if api.dispatch.git.only_reads {
        return Ok(());
    }
    Err(Problem::Refused(
        "runners on other machines get no runs: GIT_AUTH_TOKEN is not set where `aldis serve` \
         runs, and they would be handed the API's token",
    ))
}

async fn claim(caller: Caller, api: Data<Api>, asked: Json<ClaimRequest>) -> Answer {
    check_git(&api)?;
    if !caller.0.pools.iter().any(|pool| pool == DEFAULT_POOL) {
        return Ok(HttpResponse::NoContent().finish());
    }
    let Json(ClaimRequest { runner: slot, id, again }) = asked;
    // A runner's own name for itself does not count.
    let slot = slot.rsplit('/').next().unwrap_or_default();
    let slot: String = slot.chars().take(MOST_SLOT).collect();
    let request = ClaimRequest { runner: format!("{}/{slot}", caller.0.name), id, again };
    Ok(match api.dispatch.claim(request).await? {
        Some(assignment) => HttpResponse::Ok().json(assignment),
        None => HttpResponse::NoContent().finish(),
    })
}

async fn heartbeat(caller: Caller, api: Data<Api>, ticket: Json<Ticket>) -> Answer {
    api.check(&caller, &ticket).await?;
    Ok(HttpResponse::Ok().json(api.dispatch.heartbeat(&ticket).await?))
}

async fn log(caller: Caller, api: Data<Api>, piece: Query<Piece>, bytes: Bytes) -> Answer {
    let Query(Piece { run, epoch, step, seq }) = piece;
    let ticket = Ticket { run, epoch };
    api.check(&caller, &ticket).await?;
    api.dispatch.log(LogChunk { ticket, step, seq, bytes: bytes.into() }).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn hand_back(caller: Caller, api: Data<Api>, ticket: Json<Ticket>) -> Answer {
    api.check(&caller, &ticket).await?;
    api.dispatch.hand_back(&ticket).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn finish(caller: Caller, api: Data<Api>, finish: Json<Finish>) -> Answer {
    api.check(&caller, &finish.ticket).await?;
    api.dispatch.finish(finish.into_inner()).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// A hint comes when there is one, and also when there was none for a while: it says only "look".
async fn hints(_: Caller, api: Data<Api>) -> HttpResponse {
    let ears = (api.dispatch.bus.listen(Topic::Run), api.dispatch.bus.listen(Topic::Cancel));
    let lines =
        stream::unfold((ears, api.leave.clone()), async |((mut run, mut cancel), mut leave)| {
            let hint = tokio::select! {
                () = run.wait(wire::QUIET) => Hint::Run,
                () = cancel.wait(wire::QUIET) => Hint::Cancel,
                () = leave.wait() => return None,
            };
            let line = Bytes::from_static(hint.line().as_bytes());
            Some((Ok::<_, actix_web::Error>(line), ((run, cancel), leave)))
        });
    HttpResponse::Ok().content_type("text/plain").streaming(lines)
}
