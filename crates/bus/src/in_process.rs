//! The bus inside one process.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::Topic;

/// Cheap to clone; all clones ring the same bells.
#[derive(Debug, Clone)]
pub struct Bus {
    bells: Arc<[Bell]>,
}

/// Who wakes when it rings.
#[derive(Debug, Clone)]
enum Bell {
    /// All who listen.
    All(watch::Sender<u64>),
    /// One of those who wait, or else the next who does.
    One(Arc<Notify>),
}

/// One consumer's ear. It hears every ring since it last waited, as one.
#[derive(Debug)]
pub struct Listener {
    ear: Ear,
}

#[derive(Debug)]
enum Ear {
    All(watch::Receiver<u64>),
    One(Arc<Notify>),
}

/// Wakes another of the consumers who share a topic.
#[derive(Debug, Clone)]
pub struct Baton(Option<Arc<Notify>>);

impl Bus {
    /// A bus of its own: nothing outside this process hears it.
    pub fn in_process() -> Self {
        let bell = |topic: &Topic| {
            if topic.is_shared() {
                Bell::One(Arc::default())
            } else {
                Bell::All(watch::Sender::new(0))
            }
        };
        Self { bells: Topic::ALL.iter().map(bell).collect() }
    }

    /// Rings: for one of those who share the topic's work, or else for everybody who listens.
    pub fn hint(&self, topic: Topic) {
        match &self.bells[topic as usize] {
            Bell::All(bell) => bell.send_modify(|rings| *rings = rings.wrapping_add(1)),
            Bell::One(bell) => bell.notify_one(),
        }
    }

    /// A new ear for `topic`, which has heard nothing yet.
    pub fn listen(&self, topic: Topic) -> Listener {
        let ear = match &self.bells[topic as usize] {
            Bell::All(bell) => Ear::All(bell.subscribe()),
            Bell::One(bell) => Ear::One(Arc::clone(bell)),
        };
        Listener { ear }
    }
}

impl Listener {
    /// Waits for a hint, at most `limit`.
    pub async fn wait(&mut self, limit: Duration) {
        // Both ends are fine: a hint, time to look anyway. The bus outlives its listeners.
        let _ = match &mut self.ear {
            Ear::All(bell) => tokio::time::timeout(limit, bell.changed()).await.map(drop),
            Ear::One(bell) => tokio::time::timeout(limit, bell.notified()).await,
        };
    }

    /// Takes note of everything rung so far, so that only what comes later wakes. Whoever does so
    /// has to look now.
    pub fn hush(&mut self) {
        match &mut self.ear {
            Ear::All(bell) => bell.mark_unchanged(),
            Ear::One(bell) => {
                pin!(bell.notified()).enable();
            }
        }
    }

    pub(crate) fn baton(&self) -> Baton {
        match &self.ear {
            Ear::All(_) => Baton(None),
            Ear::One(bell) => Baton(Some(Arc::clone(bell))),
        }
    }
}

impl Baton {
    /// There is more to do than the caller took.
    pub fn pass(&self) {
        if let Some(bell) = &self.0 {
            bell.notify_one();
        }
    }
}
