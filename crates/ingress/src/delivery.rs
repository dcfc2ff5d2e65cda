//! An authentic delivery as it is to be appended: at once, or later from the spool. Pure.

use aldis_domain::event::Event;
use aldis_domain::event::change::ProjectSigned;
use aldis_domain::event::delivery::{
    DeliveryDecided, DeliveryQuarantined, DeliveryReceived, DeliveryRefused, DeliveryVerdict,
    Refusal, Verification,
};
use aldis_domain::id::ProjectKey;
use aldis_domain::stream;
use aldis_domain::trigger::Trigger;
use aldis_gitlab::hook::{self, Headers, Method, Verified};
use aldis_store::{Append, Expected, Meta, NewEvent, sha256};

use crate::SHARED;
use crate::translate::{project, translate};

/// Longest event name and delivery key that are kept as they come.
const MOST_NAME: usize = 64;
const MOST_KEY: usize = 128;
/// What stands for a missing event name; GitLab has none like it.
const NO_EVENT: &str = "none";

/// Its event has the same id however often it is appended, so the store takes it once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// `DeliveryReceived` or `DeliveryQuarantined`, with the body.
    pub(crate) new: NewEvent,
    /// The project that the payload names, also where nobody acts on what it tells.
    pub(crate) project: Option<ProjectKey>,
}

impl Delivery {
    pub(crate) fn read(
        headers: &Headers,
        body: &[u8],
        verified: Verified,
        source_ip: Option<String>,
        instance: u32,
    ) -> Self {
        let event = event_name(headers);
        let key = headers.idempotency_key.as_deref().map(kept_key);
        let (bytes, payload) = (body.len() as u64, hex(&sha256(body)));
        let verification = verification(verified);
        let parsed = hook::parse(&event, body).map_err(|error| error.to_string());
        let project = parsed.as_ref().ok().and_then(|payload| project(payload, instance));
        let new = match parsed.and_then(|payload| translate(payload, instance)) {
            Ok(trigger) => NewEvent::new(DeliveryReceived {
                hook: SHARED.to_owned(),
                key,
                event,
                verified: verification,
                previous_secret: verified.secret == hook::Age::Previous,
                source_ip,
                bytes,
                payload,
                trigger,
            }),
            Err(problem) => NewEvent::new(DeliveryQuarantined {
                hook: SHARED.to_owned(),
                key,
                event,
                verified: verification,
                bytes,
                payload,
                problem,
            }),
        };
        Self { new: new.with_payload(lz4_flex::compress_prepend_size(body)), project }
    }

    /// The stream that is its own.
    pub(crate) fn stream(&self) -> String {
        let key = match &self.new.event {
            Event::DeliveryReceived(DeliveryReceived { key: Some(key), .. })
            | Event::DeliveryQuarantined(DeliveryQuarantined { key: Some(key), .. }) => key.clone(),
            _ => self.new.id.to_string(),
        };
        stream::delivery(SHARED, &key)
    }

    pub(crate) fn is_signed(&self) -> bool {
        let (Event::DeliveryReceived(DeliveryReceived { verified, .. })
        | Event::DeliveryQuarantined(DeliveryQuarantined { verified, .. })) = &self.new.event
        else {
            return false;
        };
        *verified == Verification::Signature
    }

    /// What must not be overtaken by its own kind: the change, or the delivery where there is none.
    pub(crate) fn lane(&self) -> String {
        let change = match &self.new.event {
            Event::DeliveryReceived(received) => received.trigger.change(),
            _ => None,
        };
        change.map_or_else(|| self.stream(), |change| stream::change(&change))
    }

    /// What keeps it, and what it is the first `proof` of.
    pub(crate) fn append(&self, source: &str, proof: Option<ProjectKey>) -> Append {
        let new = self.new.clone();
        let meta = Meta { correlation: Some(new.id), ..Meta::from_source(source) };
        let events = match outcome_of(&new.event) {
            Some(decided) => vec![new, NewEvent::new(decided)],
            None => vec![new],
        };
        let append = Append::new(meta).write(&self.stream(), Expected::NoStream, events);
        let Some(project) = proof else { return append };
        let signed = ProjectSigned { project, hook: SHARED.to_owned() };
        append.write(&stream::project(project), Expected::Any, vec![NewEvent::new(signed)])
    }

    /// The record that it was refused after all. It has the delivery's id, so there is only one.
    pub(crate) fn refused(&self, source: &str, reason: Refusal) -> Append {
        let (event, source_ip) = match &self.new.event {
            Event::DeliveryReceived(it) => (it.event.clone(), it.source_ip.clone()),
            Event::DeliveryQuarantined(it) => (it.event.clone(), None),
            _ => (NO_EVENT.to_owned(), None),
        };
        let hook = SHARED.to_owned();
        let refused = DeliveryRefused { hook, event, reason, source_ip, times: 1 };
        let new = NewEvent { id: self.new.id, event: refused.into(), payload: None };
        let name = stream::delivery("refused", &new.id.to_string());
        Append::new(Meta::from_source(source)).write(&name, Expected::NoStream, vec![new])
    }
}

/// What asks for nothing is decided at once; everything else is the planner's.
fn outcome_of(event: &Event) -> Option<DeliveryDecided> {
    let Event::DeliveryReceived(received) = event else { return None };
    let Trigger::Other { event } = &received.trigger else { return None };
    let reason = match event.as_str() {
        NO_EVENT => "the delivery does not say what it is about (X-Gitlab-Event)".to_owned(),
        event => format!("nothing is done for {event}"),
    };
    Some(DeliveryDecided { verdict: DeliveryVerdict::Ignored { reason }, plans: Vec::new() })
}

fn verification(verified: Verified) -> Verification {
    match verified.method {
        Method::Signature => Verification::Signature,
        Method::Token => Verification::Token,
    }
}

pub(crate) fn event_name(headers: &Headers) -> String {
    headers.event.as_deref().unwrap_or(NO_EVENT).chars().take(MOST_NAME).collect()
}

/// A key is part of a stream's name: one that is odd or long is replaced by its digest.
fn kept_key(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if key.len() <= MOST_KEY && key.chars().all(plain) {
        key.to_owned()
    } else {
        hex(&sha256(key.as_bytes()))
    }
}

fn hex(digest: &[u8; 32]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}
