//! The bus inside one process, and the way out of it.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::Topic;
use crate::rabbitmq::{Broker, Far};

/// How long helpers let those whose work it is finish what they are at. In a burst that is nearly
/// always enough, and whoever takes what gathered meanwhile takes more at once.
const HELP_AFTER: Duration = Duration::from_millis(20);

/// Cheap to clone; all clones ring the same bells.
#[derive(Debug, Clone)]
pub struct Bus {
    bells: Arc<[Bell]>,
    /// Other processes, if there are any.
    far: Option<Arc<Far>>,
}

/// Who wakes when it rings.
#[derive(Debug, Clone)]
enum Bell {
    /// All who listen.
    All(watch::Sender<u64>),
    /// One of those who wait, or else the next who does.
    One(Arc<Shared>),
}

/// The bell of those who share a topic.
#[derive(Debug, Default)]
struct Shared {
    bell: Notify,
    /// How many wait for it.
    waiting: AtomicUsize,
    /// Where to ask for help.
    helpers: Option<Arc<Help>>,
    /// Where others do.
    helped: Option<Arc<Help>>,
}

/// A ring that nobody was free to hear.
#[derive(Debug, Default)]
struct Help {
    asked: Notify,
    wanted: AtomicBool,
}

/// One consumer's ear. It hears every ring since it last waited, as one.
#[derive(Debug)]
pub struct Listener {
    ear: Ear,
    baton: Baton,
}

#[derive(Debug)]
enum Ear {
    All(watch::Receiver<u64>),
    One(Arc<Shared>),
}

/// Wakes another of the consumers who share a topic.
#[derive(Debug, Clone)]
pub struct Baton(Option<(Bus, Topic)>);

impl Shared {
    /// Wakes one who waits; whether somebody did. If all are at work and stay so, one of the helpers
    /// as well.
    fn ring(&self) -> bool {
        // Before the bell: who wakes waits no more.
        let is_heard = self.waiting.load(Ordering::Relaxed) > 0;
        self.bell.notify_one();
        if let Some(help) = self.helpers.as_ref().filter(|_| !is_heard) {
            help.wanted.store(true, Ordering::Relaxed);
            help.asked.notify_one();
        }
        is_heard
    }

    async fn rung(&self) {
        let _waits = Waits::begin(&self.waiting);
        let Some(helped) = &self.helped else { return self.bell.notified().await };
        tokio::select! {
            () = self.bell.notified() => {}
            () = helped.needed() => {}
        }
    }

    /// What has rung so far is heard.
    fn hush(&self) {
        pin!(self.bell.notified()).enable();
        if let Some(help) = &self.helpers {
            help.wanted.store(false, Ordering::Relaxed);
        }
    }
}

impl Help {
    /// Returns when a ring was not heard for a while.
    async fn needed(&self) {
        loop {
            self.asked.notified().await;
            tokio::time::sleep(HELP_AFTER).await;
            if self.wanted.swap(false, Ordering::Relaxed) {
                return;
            }
        }
    }
}

/// Counted as long as it lives.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Bus {
    /// A bus of its own: nothing outside this process hears it.
    pub fn in_process() -> Self {
        let helps: Vec<(Topic, Arc<Help>)> = Topic::ALL
            .iter()
            .filter_map(|topic| Some((topic.helpers()?, Arc::default())))
            .collect();
        let help = |topic: Topic| Some(Arc::clone(&helps.iter().find(|(to, _)| *to == topic)?.1));
        let bell = |topic: &Topic| {
            if !topic.is_shared() {
                return Bell::All(watch::Sender::new(0));
            }
            let (helpers, helped) = (topic.helpers().and_then(help), help(*topic));
            Bell::One(Arc::new(Shared { helpers, helped, ..Shared::default() }))
        };
        Self { bells: Topic::ALL.iter().map(bell).collect(), far: None }
    }

    /// A bus that other processes hear, through this broker.
    /// This one hears what they say of `heard`. The broker need not be there, now or ever.
    pub fn through_rabbitmq(broker: Broker, heard: Vec<Topic>) -> Self {
        let near = Self::in_process();
        let bells = Arc::clone(&near.bells);
        let ring = Arc::new(move |topic: Topic| bells[topic as usize].ring());
        Self { far: Some(Arc::new(Far::new(broker, heard, ring))), ..near }
    }

    /// Rings: for one of those who share the topic's work, or else for everybody who listens. Other
    /// processes need not hear what somebody in this one is free to do.
    pub fn hint(&self, topic: Topic) {
        let is_heard = self.bells[topic as usize].ring();
        if let Some(far) = self.far.as_ref().filter(|_| !is_heard) {
            far.hint(topic);
        }
    }

    /// A new ear for `topic`, which has heard nothing yet.
    pub fn listen(&self, topic: Topic) -> Listener {
        let ear = match &self.bells[topic as usize] {
            Bell::All(bell) => Ear::All(bell.subscribe()),
            Bell::One(bell) => Ear::One(Arc::clone(bell)),
        };
        let baton = Baton(topic.is_shared().then(|| (self.clone(), topic)));
        Listener { ear, baton }
    }
}

impl Bell {
    /// Whether one who does the work has heard it, so that nobody else need.
    fn ring(&self) -> bool {
        match self {
            Self::All(bell) => {
                bell.send_modify(|rings| *rings = rings.wrapping_add(1));
                false
            }
            Self::One(bell) => bell.ring(),
        }
    }
}

impl Listener {
    /// Waits for a hint, at most `limit`.
    pub async fn wait(&mut self, limit: Duration) {
        // Both ends are fine: a hint, time to look anyway. The bus outlives its listeners.
        let _ = match &mut self.ear {
            Ear::All(bell) => tokio::time::timeout(limit, bell.changed()).await.map(drop),
            Ear::One(bell) => tokio::time::timeout(limit, bell.rung()).await,
        };
    }

    /// Takes note of everything rung so far, so that only what comes later wakes. Whoever does so
    /// has to look now.
    pub fn hush(&mut self) {
        match &mut self.ear {
            Ear::All(bell) => bell.mark_unchanged(),
            Ear::One(bell) => bell.hush(),
        }
    }

    pub(crate) fn baton(&self) -> Baton {
        self.baton.clone()
    }
}

impl Baton {
    /// There is more to do than the caller took.
    pub fn pass(&self) {
        if let Some((bus, topic)) = &self.0 {
            bus.hint(*topic);
        }
    }
}
