//! The output of an attempt as a text file.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::{HttpResponse, web};
use aldis_domain::id::RunId;
use aldis_store::StoreError;
use bytes::Bytes;
use futures_util::stream::unfold;
use serde::Deserialize;

use super::run::load;
use super::{no_run, no_store};
use crate::log::Reader;
use crate::state::State;

/// Query of the address.
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    /// Fencing number of the attempt; the newest one if there is none.
    epoch: Option<u64>,
}

/// `GET /runs/{run}/log.txt`
pub(super) async fn text(
    state: web::Data<State>,
    run: web::Path<String>,
    which: web::Query<Which>,
) -> HttpResponse {
    let Ok(id) = run.parse::<RunId>() else { return no_run() };
    let page = match load(&state.store, &id).await {
        Ok(Some(page)) => page,
        Ok(None) => return no_run(),
        Err(error) => return no_store(&error),
    };
    let epoch = which.epoch.or_else(|| page.attempts.last().map(|attempt| attempt.epoch));
    let reader = epoch.map(|epoch| Reader::new(state.store.clone(), id.clone(), epoch));
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"aldis-{id}.txt\"")))
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(unfold(reader, |reader| async move {
            match piece(reader?).await {
                Ok((text, rest)) => Some((Ok(Bytes::from(text)), rest)),
                // The transfer breaks off, so that nobody takes half a log for the whole.
                Err(error) => Some((Err(std::io::Error::other(error)), None)),
            }
        }))
}

async fn piece(mut reader: Reader) -> Result<(String, Option<Reader>), StoreError> {
    let mut text = String::new();
    let more = reader
        .read(None, |row| {
            text.push_str(&row.text());
            text.push('\n');
        })
        .await?;
    if more {
        return Ok((text, Some(reader)));
    }
    text.extend(reader.open().map(|row| row.text() + "\n"));
    Ok((text, None))
}
