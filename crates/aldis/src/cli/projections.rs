//! `aldis projections rebuild`: makes the documents that pages read anew from the log.

use std::io::{Write, stdout};
use std::time::Instant;

use aldis_store::{Store, StoreError};
use aldis_web::PROJECTIONS;
use anyhow::{Context, Result, bail};

use super::place;
use super::progress::Progress;
use crate::settings::environment;

pub(super) async fn rebuild(only: Option<&str>) -> Result<u8> {
    let names = match only {
        Some(name) if !PROJECTIONS.contains(&name) => {
            bail!("there is no projection `{name}`; there are {}", PROJECTIONS.join(", "))
        }
        Some(name) => vec![name],
        None => PROJECTIONS.to_vec(),
    };
    let settings = place::local(&environment)?;
    let place = settings.store();
    // Looked at first, because opening for writing would make an empty database.
    match Store::open_read_only(&place).await {
        Ok(store) => store.close().await,
        // Opening for writing migrates it.
        Err(StoreError::Older) => {}
        Err(error) => return Err(error.into()),
    }
    let store = match Store::open(&place).await {
        Err(StoreError::InUse(dir)) => bail!(
            "`aldis serve` uses {}; stop it first: on SQLite a rebuild needs the database for itself",
            dir.display()
        ),
        opened => opened?,
    };
    let done = one_by_one(&store, &names).await;
    store.close().await;
    done.map(|()| 0)
}

async fn one_by_one(store: &Store, names: &[&str]) -> Result<()> {
    let end = store.head().await?.position;
    for name in names {
        let begun = Instant::now();
        let mut progress = Progress::new("folded: event", end);
        let reached = aldis_web::rebuild(store, name, |position| progress.reached(position)).await;
        progress.done();
        let events = reached.with_context(|| format!("projection `{name}`"))?;
        let took = begun.elapsed();
        writeln!(
            stdout(),
            "{name}: {events} events in {:.1} s{}",
            took.as_secs_f64(),
            rate(events, took.as_secs_f64())
        )?;
    }
    Ok(())
}

/// Nothing if no time went by.
fn rate(events: i64, seconds: f64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 50 bits")]
    let per_second = events as f64 / seconds;
    if per_second.is_finite() { format!(", {per_second:.0} events/s") } else { String::new() }
}
