//! The bus inside one process.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::Topic;

/// Cheap to clone; all clones ring the same bells.
#[derive(Debug, Clone)]
pub struct Bus {
    bells: Arc<[watch::Sender<u64>]>,
}

/// One consumer's ear. It hears every ring since it last waited, as one.
#[derive(Debug)]
pub struct Listener {
    bell: watch::Receiver<u64>,
}

impl Bus {
    /// A bus of its own: nothing outside this process hears it.
    pub fn in_process() -> Self {
        Self { bells: Topic::ALL.iter().map(|_| watch::Sender::new(0)).collect() }
    }

    /// Rings for everybody who listens to `topic`.
    pub fn hint(&self, topic: Topic) {
        self.bells[topic as usize].send_modify(|rings| *rings = rings.wrapping_add(1));
    }

    /// A new ear for `topic`, which has heard nothing yet.
    pub fn listen(&self, topic: Topic) -> Listener {
        Listener { bell: self.bells[topic as usize].subscribe() }
    }
}

impl Listener {
    /// Waits for a hint, at most `limit`.
    pub async fn wait(&mut self, limit: Duration) {
        // Both ends are fine: a hint, time to look anyway. The bus outlives its listeners.
        let _ = tokio::time::timeout(limit, self.bell.changed()).await;
    }

    /// Takes note of everything rung so far, so that only what comes later wakes.
    pub fn hush(&mut self) {
        self.bell.mark_unchanged();
    }
}
