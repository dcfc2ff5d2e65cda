//! What GitLab does not let the bot do, remembered for a day: asking again at every run would only
//! fill GitLab's log and spend the budget.

use std::collections::BTreeMap;
use std::time::Duration;

use aldis_domain::event::Event;
use aldis_domain::event::resource::CapabilityLost;
use aldis_domain::id::ProjectKey;
use aldis_domain::stream;
use aldis_store::{Envelope, Meta, StoreError, transact};

use crate::{Feedback, age};

/// After this time the same is tried again: the role may have been raised meanwhile.
const REMEMBERED: Duration = Duration::from_hours(24);

/// Lanes of a project whose statuses are refused, with GitLab's reason.
#[derive(Debug, Default)]
pub(crate) struct Capabilities(BTreeMap<String, String>);

impl Capabilities {
    /// From the events of [`stream::capabilities`].
    pub(crate) fn of(envelopes: &[Envelope]) -> Self {
        let recent = envelopes.iter().filter(|envelope| age(envelope) < REMEMBERED);
        let lost = recent.filter_map(|envelope| match envelope.event() {
            Ok(Event::CapabilityLost(lost)) => Some((lost.lane, lost.message)),
            _ => None,
        });
        Self(lost.collect())
    }

    /// GitLab's reason why no status may be written in the lane.
    pub(crate) fn refuses(&self, lane: &str) -> Option<String> {
        self.0.get(lane).cloned()
    }

    pub(crate) fn forbid(&mut self, lane: &str, reason: &str) {
        self.0.insert(lane.to_owned(), reason.to_owned());
    }
}

impl Feedback {
    pub(crate) async fn forbid(
        &self,
        project: ProjectKey,
        lane: &str,
        message: &str,
    ) -> Result<(), StoreError> {
        transact!(self.store, Meta::from_source("feedback"), unit => {
            let (lane, message) = (lane.to_owned(), message.to_owned());
            unit.append(&stream::capabilities(project), CapabilityLost { project, lane, message });
            Ok::<_, StoreError>(())
        })
    }
}
