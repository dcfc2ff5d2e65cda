//! The live log: server-sent events while a run goes on.
//!
//! Events: `rows` (id `<epoch>.<seq>`; new lines, and the open one), `attempt` (a new attempt: begin
//! anew), `done` (the run is over; nothing follows). A browser that comes back with `Last-Event-ID`
//! gets what it missed. It reads the run's own stream, so it does not wait for the projector.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, web};
use aldis_domain::fold::Fold;
use aldis_domain::id::RunId;
use aldis_domain::run::Run;
use aldis_domain::stream;
use aldis_store::{Store, StoreError};
use bytes::Bytes;
use futures_util::stream::unfold;
use serde::{Deserialize, Serialize};

use crate::log::{Reader, Row};
use crate::pages;
use crate::projector::runs::RunState;
use crate::state::State;
use crate::words;

/// How often the store is looked at.
const TICK: Duration = Duration::from_millis(300);
/// Looks without news before a line is sent that keeps the connection open.
const SILENT_TICKS: u32 = 50;

/// A place in the output: `<epoch>.<seq>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.epoch, self.seq)
    }
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        let (epoch, seq) = text.split_once('.')?;
        Some(Self { epoch: epoch.parse().ok()?, seq: seq.parse().ok()? })
    }
}

/// Query of the address.
#[derive(Debug, Deserialize)]
pub(crate) struct Since {
    /// Where the page that asks has come to.
    after: Option<String>,
}

/// `GET /runs/{run}/log`
pub(crate) async fn events(
    state: web::Data<State>,
    run: web::Path<String>,
    since: web::Query<Since>,
    request: HttpRequest,
) -> HttpResponse {
    let Ok(id) = run.parse::<RunId>() else { return pages::no_run() };
    let last = request.headers().get("last-event-id").and_then(|value| value.to_str().ok());
    let place = last.or(since.after.as_deref()).and_then(Place::parse);
    let mut live = Live::new(state.store.clone(), id, place);
    match live.look().await {
        Ok(()) if live.run.request.is_none() => return pages::no_run(),
        Ok(()) => {}
        Err(error) => return pages::no_store(&error),
    }
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"))
        // Compressing or buffering would hold lines back.
        .insert_header((CONTENT_ENCODING, "identity"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(unfold(Some(live), |live| async move {
            let mut live = live?;
            match live.next().await {
                Ok((text, over)) => {
                    Some((Ok::<_, Infallible>(Bytes::from(text)), (!over).then_some(live)))
                }
                Err(error) => {
                    // The browser comes back by itself.
                    tracing::warn!(%error, "live log ended");
                    None
                }
            }
        }))
}

#[derive(Serialize)]
struct Rows<'a> {
    rows: &'a [Row],
    open: Option<Row>,
}

#[derive(Debug)]
struct Live {
    store: Store,
    id: RunId,
    /// Events of the run's stream that were folded in.
    version: u64,
    run: Run,
    place: Option<Place>,
    reader: Option<Reader>,
    begun: bool,
}

impl Live {
    fn new(store: Store, id: RunId, place: Option<Place>) -> Self {
        Self { store, id, version: 0, run: Run::default(), place, reader: None, begun: false }
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        for envelope in self.store.load_from(&stream::run(&self.id), self.version).await? {
            self.version = envelope.version;
            if let Ok(event) = envelope.event() {
                self.run.apply(&event);
            }
        }
        Ok(())
    }

    /// The next piece of the stream, and whether it is the last one.
    async fn next(&mut self) -> Result<(String, bool), StoreError> {
        if !std::mem::replace(&mut self.begun, true) {
            return Ok(("retry: 2000\n\n".to_owned(), false));
        }
        for _ in 0..SILENT_TICKS {
            self.look().await?;
            // Asked before the output is read: what was written before the end is read after it.
            let over = self.run.finished.is_some();
            if let Some(text) = self.news().await? {
                return Ok((text, false));
            }
            if over {
                return Ok((self.done(), true));
            }
            tokio::time::sleep(TICK).await;
        }
        Ok((": nothing new\n\n".to_owned(), false))
    }

    async fn news(&mut self) -> Result<Option<String>, StoreError> {
        let Some(epoch) = self.run.epoch else { return Ok(None) };
        if self.reader.as_ref().is_none_or(|reader| reader.epoch() != epoch) {
            let mut reader = Reader::new(self.store.clone(), self.id.clone(), epoch);
            let place = self.place.take();
            let seen = self.reader.as_ref().map(Reader::epoch).or(place.map(|place| place.epoch));
            if let Some(place) = place.filter(|place| place.epoch == epoch) {
                while reader.read(Some(place.seq), |_| {}).await? {}
            }
            self.reader = Some(reader);
            if seen.is_some_and(|seen| seen != epoch) {
                let attempt = self.run.attempts;
                return Ok(Some(format!("event: attempt\ndata: {{\"attempt\":{attempt}}}\n\n")));
            }
        }
        let Some(reader) = &mut self.reader else { return Ok(None) };
        let before = reader.seq();
        let mut rows = Vec::new();
        reader.read(None, |row| rows.push(row)).await?;
        let Some(seq) = reader.seq().filter(|seq| Some(*seq) != before) else { return Ok(None) };
        let data = json(&Rows { rows: &rows, open: reader.open() });
        let id = Place { epoch, seq };
        Ok(Some(format!("event: rows\nid: {id}\ndata: {data}\n\n")))
    }

    fn done(&self) -> String {
        let outcome = self.run.finished.as_ref().map(|finished| finished.outcome);
        let badge = outcome.map(|outcome| words::run_badge(RunState::Ended(outcome)));
        format!("event: done\ndata: {}\n\n", json(&badge))
    }
}

fn json<T: Serialize>(data: &T) -> String {
    serde_json::to_string(data).expect("it holds only texts, numbers and lists")
}
