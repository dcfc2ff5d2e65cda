//! Brings into the store what the spool holds, in order, as soon as the store answers again.
//!
//! It may be killed, or its future dropped, at any moment: a file goes only after all that it holds
//! is known to be in the log, and what is appended again is found there by its id.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aldis_store::StoreError;
use futures_util::future::try_join_all;

use crate::Ingress;
use crate::delivery::Delivery;
use crate::receive::Received;
use crate::spool::Segment;

/// Deliveries that are appended side by side.
const BATCH: usize = 256;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);
/// The same where somebody has to do something.
const LONG_PAUSE: Duration = Duration::from_secs(10);

/// What the log says of who appended.
const SOURCE: &str = "spool";

impl Ingress {
    /// Empties the spool whenever it holds something, until `stop` ends; then closes it, and what
    /// is left waits for the next start.
    pub async fn drain(self, stop: impl Future<Output = ()>) {
        tokio::select! {
            () = self.drain_on_and_on() => {}
            () = stop => {}
        }
        self.inner.spool.close().await;
    }

    async fn drain_on_and_on(&self) {
        let spool = &self.inner.spool;
        loop {
            spool.until_it_holds().await;
            let begun = Instant::now();
            let mut deliveries = 0;
            // Those who waited for the store together are in one file then, where they are sorted.
            drop(self.inner.direct.write().await);
            while spool.holds() {
                match spool.oldest().await {
                    Some(segment) => deliveries += self.drain_segment(segment).await,
                    // The first delivery is on its way to the disk.
                    None => tokio::time::sleep(PAUSE).await,
                }
            }
            let seconds = begun.elapsed().as_secs();
            tracing::info!(deliveries, seconds, "the database has all that was in the spool");
        }
    }

    /// Returns how many deliveries it held, when all of them are in the log.
    async fn drain_segment(&self, segment: Segment) -> usize {
        let (deliveries, is_whole) = segment.read().await;
        let mut rest = deliveries.as_slice();
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(self.side_by_side(rest));
            match self.store_all(batch).await {
                Ok(()) => rest = later,
                Err(error) if error.is_retryable() => tokio::time::sleep(PAUSE).await,
                Err(error) => {
                    tracing::error!(%error, "what is in the spool cannot be brought to the database");
                    tokio::time::sleep(LONG_PAUSE).await;
                }
            }
        }
        self.inner.spool.finish(is_whole).await;
        deliveries.len()
    }

    /// How many from the first on may be appended side by side. Whether a project must sign is
    /// decided for what came later only after its first proof is in the log.
    fn side_by_side(&self, rest: &[Delivery]) -> usize {
        let most = rest.len().min(BATCH);
        let proof = rest[..most].iter().position(|delivery| self.may_be_first_proof(delivery));
        proof.unwrap_or(most).max(1)
    }

    /// Each change's in their order, the changes side by side.
    async fn store_all(&self, batch: &[Delivery]) -> Result<(), StoreError> {
        let mut lanes: BTreeMap<String, Vec<&Delivery>> = BTreeMap::new();
        for delivery in batch {
            lanes.entry(delivery.lane()).or_default().push(delivery);
        }
        let lanes = lanes.into_values().map(|lane| async {
            for delivery in lane {
                self.store_late(delivery).await?;
            }
            Ok(())
        });
        try_join_all(lanes).await.map(drop)
    }

    /// It was answered 2xx when nobody could tell whether it should be signed: if it is refused
    /// now, the log must tell. If it is there already, it came before the project signed.
    async fn store_late(&self, delivery: &Delivery) -> Result<(), StoreError> {
        let store = &self.inner.store;
        let Received::Refused(reason) = self.store(delivery, SOURCE).await? else { return Ok(()) };
        if store.load(&delivery.stream()).await?.is_empty() {
            tracing::warn!(?reason, "a delivery is refused that was in the spool");
            store.append(delivery.refused(SOURCE, reason)).await?;
        }
        Ok(())
    }
}
