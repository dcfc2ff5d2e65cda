//! `aldis export`: the whole bot in one file. Reads the database only, also beside a server.

use std::fs::File;
use std::io::{self, BufWriter, Write, stderr, stdout};
use std::path::Path;

use aldis_store::{Export, Outline, Store};
use anyhow::{Context, Result, bail};
use serde_json::json;
use tempfile::NamedTempFile;

use super::archive::Writer;
use super::log::{hex, sentence};
use super::place;
use super::progress::Progress;
use crate::settings::environment;

/// Bytes that are written at once.
const BUFFER: usize = 1 << 20;

pub(super) async fn run(file: &Path, as_json: bool) -> Result<u8> {
    let settings = place::local(&environment)?;
    let store = Store::open_read_only(&settings.store()).await?;
    let exported = export(&store, file).await;
    store.close().await;
    let outline = exported?;
    // Not into the rows.
    let mut out: Box<dyn Write> =
        if is_stream(file) { Box::new(stderr()) } else { Box::new(stdout()) };
    if as_json {
        writeln!(out, "{:#}", told(&outline))?;
    } else {
        writeln!(out, "exported: {}", sentence(&outline.head))?;
    }
    Ok(0)
}

/// Whether the input or the output is meant.
pub(super) fn is_stream(file: &Path) -> bool {
    file == Path::new("-")
}

/// A bot that was moved, for programs.
pub(super) fn told(Outline { head, rows, .. }: &Outline) -> serde_json::Value {
    json!({ "position": head.position, "hash": hex(&head.hash), "rows": rows })
}

async fn export(store: &Store, file: &Path) -> Result<Outline> {
    if store.is_served().await? {
        writeln!(
            stderr(),
            "aldis: a server is at work on this database, and what it does from now on will not \
             be in the export; to move the bot, stop it first"
        )?;
    }
    let export = store.export().await?;
    let outline = export.outline().clone();
    if is_stream(file) {
        write(export, stdout()).await?;
    } else {
        let cannot = || format!("cannot write {}", file.display());
        whole(export, file).await.with_context(cannot)?;
    }
    Ok(outline)
}

/// The file has its name when it is whole and on the disk, and only its owner may read it.
async fn whole(export: Export, file: &Path) -> Result<()> {
    if file.try_exists()? {
        bail!("it is there already; choose another name");
    }
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unfinished = tempfile::Builder::new().prefix(".aldis-export-").tempfile_in(dir)?;
    let written: NamedTempFile = write(export, unfinished).await?;
    written.as_file().sync_all()?;
    written.persist_noclobber(file)?;
    File::open(dir)?.sync_all()?;
    Ok(())
}

async fn write<W: Write>(export: Export, out: W) -> Result<W> {
    let rows = export.outline().rows.values().sum::<u64>();
    let mut progress = Progress::new("exported: row", i64::try_from(rows).unwrap_or(i64::MAX));
    let mut archive = Writer::begin(BufWriter::with_capacity(BUFFER, out), export.outline())?;
    let mut row = 0;
    let written = export.rows(|record| {
        row += 1;
        progress.reached(row);
        anyhow::Ok(archive.row(&record)?)
    });
    let written = written.await;
    progress.done();
    written?;
    Ok(archive.end()?.into_inner().map_err(io::IntoInnerError::into_error)?)
}
