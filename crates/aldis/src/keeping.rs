//! How long things beside the log are kept.

use std::time::Duration;

use aldis_bus::Stop;
use aldis_store::{Store, StoreError};

const DAY: Duration = Duration::from_hours(24);
/// Raw webhook bodies, job output and the audit of API calls.
const KEPT: Duration = DAY.saturating_mul(30);
const LOOK_EVERY: Duration = Duration::from_hours(1);

/// Deletes what is old, once an hour.
pub(crate) async fn prune(store: Store, mut stop: Stop) {
    while !stop.stopped() {
        if let Err(error) = once(&store).await {
            tracing::warn!(%error, "old rows could not be deleted");
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stop.wait() => {}
        }
    }
}

async fn once(store: &Store) -> Result<(), StoreError> {
    let payloads = store.prune_payloads(KEPT).await?;
    let logs = store.prune_logs(KEPT).await?;
    let calls = store.prune_calls(KEPT).await?;
    if payloads + logs + calls > 0 {
        tracing::info!(payloads, logs, calls, "old rows deleted");
    }
    Ok(())
}
