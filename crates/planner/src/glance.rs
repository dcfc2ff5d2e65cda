//! What is read at once for deliveries that are announced together: in a burst a read for each
//! would cost more than the announcements.

use std::collections::{HashMap, HashSet};

use aldis_domain::event::Event;
use aldis_domain::stream;
use aldis_domain::touch::URGENT;
use aldis_store::{Claimed, Envelope, Store, StoreError};

use crate::Planner;
use crate::admit::announced;
use crate::delivery::undecided;

/// Streams as they were a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Glance {
    asked: HashSet<String>,
    /// Those that have events.
    streams: HashMap<String, Vec<Envelope>>,
}

impl Glance {
    async fn add(
        &mut self,
        store: &Store,
        names: impl Iterator<Item = String>,
    ) -> Result<(), StoreError> {
        let names: HashSet<String> = names.collect();
        let names: Vec<String> = names.into_iter().collect();
        if !names.is_empty() {
            self.streams.extend(store.load_many(&names).await?);
            self.asked.extend(names);
        }
        Ok(())
    }

    /// The events of a stream; read now, if it was not looked at.
    pub(crate) async fn load(
        &self,
        store: &Store,
        name: &str,
    ) -> Result<Vec<Envelope>, StoreError> {
        if self.asked.contains(name) {
            return Ok(self.streams.get(name).cloned().unwrap_or_default());
        }
        store.load(name).await
    }

    /// Whether a stream was seen to have no events.
    pub(crate) fn is_new(&self, name: &str) -> bool {
        self.asked.contains(name) && !self.streams.contains_key(name)
    }
}

impl Planner {
    /// Looks at the deliveries that are to be announced, at their projects and at the statuses of
    /// their commits. Other items are left out: they read for themselves.
    pub(crate) async fn glance(&self, claimed: &[Claimed]) -> Result<Glance, StoreError> {
        let mut glance = Glance::default();
        let urgent = claimed.iter().filter(|claimed| claimed.class == URGENT);
        let names = urgent.map(|claimed| stream::planned(&claimed.key.key).to_owned());
        glance.add(&self.store, names).await?;
        let deliveries = glance.streams.values().filter_map(|envelopes| undecided(envelopes));
        let about = deliveries.filter_map(|(received, _)| announced(&received.trigger));
        let names: Vec<String> = about
            .flat_map(|it| [stream::project(it.project), stream::statuses(it.project, &it.sha)])
            .collect();
        glance.add(&self.store, names.into_iter()).await?;
        Ok(glance)
    }
}

/// What can be read of a stream; the rest is of a newer Aldis.
pub(crate) fn events(envelopes: &[Envelope]) -> Vec<Event> {
    envelopes.iter().filter_map(|envelope| envelope.event().ok()).collect()
}
