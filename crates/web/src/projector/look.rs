//! Reads documents for pages.

use aldis_store::{Store, StoreError};
use serde::de::DeserializeOwned;

use super::fold::{Projection, concerns, listed_key, one_key};

/// The document `key`; `None` also if another version of Aldis wrote it, as it is being made anew.
pub(crate) async fn document<P: Projection>(
    store: &Store,
    key: &str,
) -> Result<Option<P::Body>, StoreError> {
    let document = store.document(P::NAME, &one_key(key)).await?;
    Ok(document.and_then(|document| serde_json::from_str(&document.body).ok()))
}

/// What lists show of the document `key`.
pub(crate) async fn entry<P: Projection, E: DeserializeOwned>(
    store: &Store,
    key: &str,
) -> Result<Option<E>, StoreError> {
    let document = store.document(P::NAME, &listed_key("all", key)).await?;
    Ok(document.and_then(|document| serde_json::from_str(&document.body).ok()))
}

/// The document as the stream alone makes it: for a page that is asked for before the projector
/// has come so far. Only for projections with one document per stream.
pub(crate) async fn of_stream<P: Projection>(
    store: &Store,
    stream: &str,
) -> Result<Option<P::Body>, StoreError> {
    let events = store.load(stream).await?;
    let fold = |body, concern: super::fold::Concern| P::apply(body, &concern.key, &concern.seen);
    Ok(concerns::<P>(events).into_iter().fold(None, fold))
}
