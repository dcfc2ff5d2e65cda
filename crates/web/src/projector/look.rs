//! Reads documents for pages.

use aldis_store::{Envelope, Position, Store, StoreError};
use serde::de::DeserializeOwned;

use super::fold::{Concern, Projection, concerns};

/// The document `key` of a projection that keeps them; `None` also if another version of Aldis
/// wrote it, as it is being made anew.
pub(crate) async fn document<P: Projection>(
    store: &Store,
    key: &str,
) -> Result<Option<P::Body>, StoreError>
where
    P::Body: DeserializeOwned,
{
    let document = store.document(P::NAME, key).await?;
    Ok(document.and_then(|document| serde_json::from_str(&document.body).ok()))
}

/// The document as its stream makes it: of a projection that keeps none, or before the projector
/// has come so far.
pub(crate) async fn of_stream<P: Projection>(
    store: &Store,
    stream: &str,
) -> Result<Option<P::Body>, StoreError> {
    Ok(fold::<P>(&store.load(stream).await?))
}

/// The document of one event.
pub(crate) async fn of_event<P: Projection>(
    store: &Store,
    position: Position,
) -> Result<Option<P::Body>, StoreError> {
    let events = store.read(position.saturating_sub(1), 1).await?;
    Ok(fold::<P>(events.iter().filter(|event| event.position == position)))
}

fn fold<'a, P: Projection>(events: impl IntoIterator<Item = &'a Envelope>) -> Option<P::Body> {
    let fold = |body, concern: Concern| P::apply(body, &concern.key, &concern.seen);
    concerns::<P>(events).into_iter().fold(None, fold)
}
