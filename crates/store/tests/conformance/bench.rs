//! A store of its own, whose clock the test moves.

use std::time::Duration;

use aldis_domain::event::Event;
use aldis_domain::event::run::RunReleased;
use aldis_domain::touch::WorkKind;
use aldis_store::{
    Answer, Append, Clock, Expected, Meta, NewEvent, Settings, Store, WorkKey, WorkTouch,
};
use secrecy::SecretString;
use tempfile::TempDir;

pub(crate) struct Bench {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    dir: TempDir,
    database: Option<SecretString>,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let (dir, database) = (tempfile::tempdir().unwrap(), crate::database());
        let clock = Clock::manual();
        let store = Store::open(&settings(&dir, database.as_ref(), &clock)).await.unwrap();
        Self { store, clock, dir, database }
    }

    /// The store's next life.
    pub(crate) async fn restart(&mut self) {
        self.store.close().await;
        let settings = settings(&self.dir, self.database.as_ref(), &self.clock);
        self.store = Store::open(&settings).await.unwrap();
    }

    pub(crate) async fn touch(&self, key: &WorkKey, class: u8, due_in: u64) {
        let touch = WorkTouch {
            key: key.clone(),
            class,
            due_in: Duration::from_secs(due_in),
            reset: false,
        };
        let append = Append { touches: vec![touch], ..Append::new(Meta::from_source("test")) };
        assert!(matches!(self.store.append(append).await.unwrap(), Answer::Appended { .. }));
    }
}

fn settings(dir: &TempDir, database: Option<&SecretString>, clock: &Clock) -> Settings {
    let (postgres, clock) = (database.cloned(), clock.clone());
    Settings { postgres, clock, ..Settings::in_dir(dir.path()) }
}

/// An event that touches no work as long as its stream is no run.
pub(crate) fn event() -> Event {
    RunReleased::default().into()
}

/// An append of `count` events that makes nothing due.
pub(crate) fn append(stream: &str, expected: Expected, count: usize) -> Append {
    let events = (0..count).map(|_| NewEvent::new(event())).collect();
    Append::new(Meta::from_source("test")).write(stream, expected, events)
}

pub(crate) fn key(name: &str) -> WorkKey {
    WorkKey::new(WorkKind::Statuses, name)
}
