//! Projects whose hook has signed: from then on it must sign, or a stolen token would do.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aldis_domain::event::Event;
use aldis_domain::fold::Fold;
use aldis_domain::id::ProjectKey;
use aldis_domain::stream;
use aldis_store::{Store, StoreError};

/// What the log says, remembered. A project never goes back to unsigned by itself.
#[derive(Debug, Default)]
pub(crate) struct SignedProjects(Mutex<HashMap<ProjectKey, bool>>);

#[derive(Debug, Default)]
struct HasSigned(bool);

impl Fold for HasSigned {
    fn apply(&mut self, event: &Event) {
        self.0 |= matches!(event, Event::ProjectSigned(_));
    }
}

impl SignedProjects {
    pub(crate) async fn has_signed(
        &self,
        store: &Store,
        project: ProjectKey,
    ) -> Result<bool, StoreError> {
        if let Some(signed) = self.known(project) {
            return Ok(signed);
        }
        let HasSigned(signed) = store.fold(&stream::project(project)).await?;
        self.remember(project, signed);
        Ok(signed)
    }

    pub(crate) fn remember(&self, project: ProjectKey, signed: bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(project, signed);
    }

    /// Without the store. `None`: it was not asked yet.
    pub(crate) fn known(&self, project: ProjectKey) -> Option<bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&project).copied()
    }
}
