//! What is turned away: answered, and recorded without letting a stranger fill the log.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::ready;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::body::SizedStream;
use actix_web::{HttpResponse, web};
use aldis_domain::event::delivery::{DeliveryRefused, Refusal};
use aldis_store::{Append, Expected, Meta, NewEvent, Store};
use bytes::Bytes;
use futures_util::StreamExt;

use crate::keep::PATIENCE;

/// One record per hook, reason and source in this time; the others are counted into the next.
const RECORD_EVERY: Duration = Duration::from_secs(10);
/// Sources that are told apart; beyond that they count as one.
const MOST_SOURCES: usize = 1_000;

const TOO_LARGE: &str = "over 25 MiB\n";

type Kind = (String, Refusal, Option<String>);

/// Refusals of the last moments.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<HashMap<Kind, Tally>>);

#[derive(Debug)]
struct Tally {
    recorded: Instant,
    since: u64,
}

impl Refusals {
    /// How many refusals a record made now stands for; `None`: none is made now.
    fn count(&self, kind: Kind, now: Instant) -> Option<u64> {
        let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tallies.len() >= MOST_SOURCES {
            tallies.retain(|_, tally| now.duration_since(tally.recorded) < RECORD_EVERY);
        }
        let crowded = tallies.len() >= MOST_SOURCES && !tallies.contains_key(&kind);
        let kind = if crowded { (kind.0, kind.1, None) } else { kind };
        match tallies.get_mut(&kind) {
            Some(tally) if now.duration_since(tally.recorded) < RECORD_EVERY => {
                tally.since += 1;
                None
            }
            Some(tally) => {
                let times = tally.since + 1;
                *tally = Tally { recorded: now, since: 0 };
                Some(times)
            }
            None => {
                tallies.insert(kind, Tally { recorded: now, since: 0 });
                Some(1)
            }
        }
    }

    pub(crate) async fn record(&self, store: &Store, mut refused: DeliveryRefused) {
        let kind = (refused.hook.clone(), refused.reason, refused.source_ip.clone());
        let Some(times) = self.count(kind, Instant::now()) else { return };
        refused.times = times;
        let new = NewEvent::new(refused);
        let name = aldis_domain::stream::delivery("refused", &new.id.to_string());
        let append =
            Append::new(Meta::from_source("ingress")).write(&name, Expected::NoStream, vec![new]);
        match tokio::time::timeout(PATIENCE, store.append(append)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::error!(%error, "a refused delivery could not be recorded"),
            Err(_) => tracing::error!("a refused delivery could not be recorded within 5 s"),
        }
    }
}

/// The answer holds on to the rest of the body: once that is dropped, the server reads and discards
/// a chunked one for as long as its sender likes, instead of closing.
fn too_large(rest: web::Payload) -> HttpResponse {
    let said = Bytes::from_static(TOO_LARGE.as_bytes());
    let length = said.len() as u64;
    let said = futures_util::stream::once(ready(Ok::<_, Infallible>(said)));
    let said = said.map(move |bytes| {
        let _rest = &rest;
        bytes
    });
    HttpResponse::PayloadTooLarge().body(SizedStream::new(length, said))
}

/// 401 or 413, with what to do about it in one line. `rest` is what was not read of the body.
pub(crate) fn answer(refusal: Refusal, rest: web::Payload) -> HttpResponse {
    let said = match refusal {
        Refusal::TooLarge => return too_large(rest),
        Refusal::MissingSecret => {
            "no secret token: set the hook's secret token to GITLAB_WEBHOOK_SECRET"
        }
        Refusal::WrongSecret => "the secret token does not match GITLAB_WEBHOOK_SECRET",
        Refusal::BadSignature => "the signature does not match GITLAB_WEBHOOK_SIGNING_TOKEN",
        Refusal::StaleTimestamp => {
            "the signed time is more than five minutes away: check the clocks"
        }
        Refusal::SignatureRequired => "this project's hook has signed before, so it must sign",
    };
    HttpResponse::Unauthorized().body(format!("{said}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_not_recorded_one_by_one() {
        let refusals = Refusals::default();
        let kind = || ("shared".to_owned(), Refusal::WrongSecret, Some("192.0.2.1".to_owned()));
        let start = Instant::now();
        assert_eq!(refusals.count(kind(), start), Some(1));
        assert_eq!(refusals.count(kind(), start), None);
        assert_eq!(refusals.count(kind(), start + RECORD_EVERY / 2), None);
        assert_eq!(refusals.count(kind(), start + RECORD_EVERY), Some(3));
    }

    #[test]
    fn countless_sources_do_not_fill_the_memory() {
        let refusals = Refusals::default();
        let start = Instant::now();
        for source in 0..5_000 {
            refusals.count(
                ("shared".to_owned(), Refusal::WrongSecret, Some(source.to_string())),
                start,
            );
        }
        assert!(refusals.0.lock().unwrap().len() <= MOST_SOURCES + 1);
    }
}
