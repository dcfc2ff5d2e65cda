//! `aldis log verify`: reads the whole log and checks its chain. Never writes.

use std::io::{Write, stdout};

use aldis_store::{Breach, Head, Position, Store, StoreError, Verified};
use anyhow::Result;
use serde_json::{Value, json};

use super::place;
use super::progress::Progress;
use crate::settings::environment;

pub(super) async fn verify(as_json: bool) -> Result<u8> {
    let settings = place::local(&environment)?;
    let store = Store::open_read_only(&settings.store()).await?;
    let mut progress = Progress::new("checked: event", store.head().await?.position);
    let checked = store.verify(|position| progress.reached(position)).await;
    progress.done();
    store.close().await;
    let mut out = stdout().lock();
    match checked {
        Ok(verified) if as_json => writeln!(out, "{:#}", whole(&verified))?,
        Ok(verified) => writeln!(out, "ok: {}", sentence(&verified.head))?,
        Err(StoreError::Broken(breach)) => {
            if as_json {
                writeln!(out, "{:#}", broken(&breach))?;
            } else {
                writeln!(out, "BROKEN: {breach}")?;
                writeln!(out, "Restore a backup, and find out who wrote to the database.")?;
            }
            return Ok(1);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(0)
}

/// What a whole log is, by its end: positions have no gaps.
pub(super) fn sentence(head: &Head) -> String {
    let events = match head.position {
        0 => return "the log is empty".to_owned(),
        1 => "1 event".to_owned(),
        many => format!("{many} events"),
    };
    format!("{events}, head at position {}, hash {}", head.position, hex(&head.hash))
}

fn whole(verified: &Verified) -> Value {
    json!({
        "whole": true,
        "events": verified.events,
        "position": verified.head.position,
        "hash": hex(&verified.head.hash),
    })
}

fn broken(breach: &Breach) -> Value {
    json!({ "whole": false, "position": position(breach), "why": breach.to_string() })
}

/// `None`: the log's events are whole, but what is known of a stream is not.
fn position(breach: &Breach) -> Option<Position> {
    match breach {
        Breach::Missing { position }
        | Breach::Changed { position }
        | Breach::Unlinked { position }
        | Breach::Unreadable { position, .. }
        | Breach::Head { position } => Some(*position),
        Breach::Stream { .. } => None,
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
