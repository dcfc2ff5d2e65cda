//! Reading the log on and on.

use tokio::task::JoinHandle;

use crate::envelope::{Envelope, Position};
use crate::error::StoreError;
use crate::store::Store;

/// Reads the log, the next events while the caller is busy with those before.
#[derive(Debug)]
pub struct Ahead {
    store: Store,
    stride: usize,
    after: Position,
    reading: Option<JoinHandle<Result<Vec<Envelope>, StoreError>>>,
}

impl Ahead {
    /// Begins after `after`; `stride` events are read at once.
    pub fn new(store: &Store, after: Position, stride: usize) -> Self {
        Self { store: store.clone(), stride, after, reading: None }
    }

    /// The next events, in order and without gaps; none at the end of the log.
    pub async fn next(&mut self) -> Result<Vec<Envelope>, StoreError> {
        let reading = self.reading.take().unwrap_or_else(|| self.read());
        // A task that was aborted belongs to a runtime that ends.
        let events = reading.await.unwrap_or(Err(StoreError::Closed))?;
        if let Some(last) = events.last() {
            self.after = last.position;
            self.reading = Some(self.read());
        }
        Ok(events)
    }

    fn read(&self) -> JoinHandle<Result<Vec<Envelope>, StoreError>> {
        let (store, after, stride) = (self.store.clone(), self.after, self.stride);
        tokio::spawn(async move { store.read(after, stride).await })
    }
}
