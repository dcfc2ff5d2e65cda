//! `aldis import`: what `aldis export` wrote, into an empty database. All of it or nothing, and the
//! log is checked when it is there.

use std::fs::File;
use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::path::Path;

use aldis_store::{Import, Outline, Record, Settings, Store};
use anyhow::{Context, Result, bail};
use tokio::sync::mpsc;

use super::archive::Reader;
use super::export::{is_stream, told};
use super::log::sentence;
use super::place;
use super::progress::Progress;
use crate::settings::environment;

/// Bytes that are read at once.
const BUFFER: usize = 1 << 20;
/// Batches that are read while one is written.
const AHEAD: usize = 2;

type Input = Box<dyn BufRead + Send>;

pub(super) async fn run(file: &Path, as_json: bool) -> Result<u8> {
    let place = place::local(&environment)?.store();
    let outline = import(file, &place).await;
    let outline = outline.with_context(|| format!("cannot import {}", file.display()))?;
    check(&place, &outline).await.context(
        "the export was imported, but its log does not come back from the database as it was: \
         remove the database and import again",
    )?;
    if as_json {
        writeln!(stdout(), "{:#}", told(&outline))?;
    } else {
        writeln!(stdout(), "imported and checked: {}", sentence(&outline.head))?;
    }
    Ok(0)
}

async fn import(file: &Path, place: &Settings) -> Result<Outline> {
    let input: Input = if is_stream(file) {
        Box::new(BufReader::with_capacity(BUFFER, stdin()))
    } else {
        Box::new(BufReader::with_capacity(BUFFER, File::open(file)?))
    };
    let reader = Reader::open(input)?;
    let outline = reader.outline().clone();
    let rows = outline.rows.values().sum::<u64>();
    let mut import = Import::begin(place, outline.clone()).await?;
    let (batches, mut next) = mpsc::channel(AHEAD);
    let reading = tokio::task::spawn_blocking(move || read(reader, &batches));
    let mut progress = Progress::new("imported: row", i64::try_from(rows).unwrap_or(i64::MAX));
    let mut row = 0;
    while let Some(batch) = next.recv().await {
        import.add(&batch).await.inspect_err(|_| progress.done())?;
        row += batch.len();
        progress.reached(i64::try_from(row).unwrap_or(i64::MAX));
    }
    progress.done();
    // Only now it is known whether the file is whole.
    reading.await??;
    import.commit().await?;
    Ok(outline)
}

fn read(mut reader: Reader<Input>, batches: &mpsc::Sender<Vec<Record>>) -> Result<()> {
    loop {
        let batch = reader.batch()?;
        // Whoever takes them ends first only with an error of its own.
        if batch.is_empty() || batches.blocking_send(batch).is_err() {
            return Ok(());
        }
    }
}

async fn check(place: &Settings, outline: &Outline) -> Result<()> {
    let store = Store::open_read_only(place).await?;
    let mut progress = Progress::new("checked: event", outline.head.position);
    let checked = store.verify(|position| progress.reached(position)).await;
    progress.done();
    store.close().await;
    if checked?.head != outline.head {
        bail!("its end is another one");
    }
    Ok(())
}
