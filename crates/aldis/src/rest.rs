//! When nothing is left to do.

use std::time::Duration;

use aldis_domain::touch::WorkKind;
use aldis_store::{Store, StoreError};

/// Whether nothing is due, or due within `soon`, and nothing is under way but this many runs.
///
/// # Errors
///
/// When the store cannot be read.
pub async fn at_rest(store: &Store, soon: Duration, runs: u64) -> Result<bool, StoreError> {
    let before = store.head().await?;
    // What is taken or given back between two questions changes no head; the second look sees it.
    for _ in 0..2 {
        for kind in WorkKind::ALL {
            // In this order: what is due soon may be taken meanwhile, and is leased then.
            let next = store.next_due(kind).await?;
            let backlog = store.backlog(kind).await?;
            let expected = if kind == WorkKind::Run { runs } else { 0 };
            let idle = backlog.due == 0 && backlog.leased == expected;
            if !idle || next.is_some_and(|due| due <= soon) {
                return Ok(false);
            }
        }
    }
    Ok(store.head().await? == before)
}
