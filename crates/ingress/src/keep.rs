//! Where an authentic delivery is kept: in the store, or in the spool while that does not answer.
//!
//! Called for every POST and, from `drain`, for what the spool held. While the spool holds anything
//! nothing goes past it to the store, or a delivery would overtake an earlier one.

use std::fmt::Display;
use std::time::Duration;

use aldis_domain::event::delivery::Refusal;
use aldis_domain::id::ProjectKey;
use aldis_store::{Answer, StoreError};

use crate::Ingress;
use crate::delivery::Delivery;
use crate::receive::Received;

/// How long the store may take. GitLab waits for ten seconds, and does not send twice.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

impl Ingress {
    /// Returns when the delivery is on disk, one way or the other, or is not to be kept.
    pub(crate) async fn keep(&self, delivery: &Delivery) -> Received {
        let spool = &self.inner.spool;
        // Kept to the end: the spool is not drained while somebody is on the way from the store to it.
        let direct = self.inner.direct.try_read().ok().filter(|_| !spool.holds());
        if direct.is_some() {
            let _on_its_way = self.inner.crowd.enter();
            let stored = tokio::time::timeout(PATIENCE, self.store(delivery, "ingress"));
            tokio::select! {
                biased;
                stored = stored => match stored {
                    Ok(Ok(received)) => return received,
                    // It would be refused again, and block what is behind it.
                    Ok(Err(error @ StoreError::Unexpected(_))) => return unavailable(&error),
                    Ok(Err(error)) => tracing::warn!(%error, "a delivery goes to the spool"),
                    Err(_) => tracing::warn!(
                        "a delivery goes to the spool: the database did not take it within 5 s"
                    ),
                },
                // Others waited long enough for all.
                () = spool.until_it_holds() => {}
            }
        }
        if self.is_known_to_sign(delivery) {
            return Received::Refused(Refusal::SignatureRequired);
        }
        match spool.put(delivery).await {
            Ok(()) => Received::Spooled(delivery.stream()),
            Err(error) => unavailable(&error),
        }
    }

    /// Appends it, unless it should have been signed or is there already. `source`: who does so.
    pub(crate) async fn store(
        &self,
        delivery: &Delivery,
        source: &str,
    ) -> Result<Received, StoreError> {
        let inner = &self.inner;
        if self.should_be_signed(delivery).await? {
            return Ok(Received::Refused(Refusal::SignatureRequired));
        }
        let proof = self.first_proof(delivery).await?;
        let name = delivery.stream();
        match inner.store.append(delivery.append(source, proof)).await? {
            Answer::Conflict { stream, .. } if stream == name => Ok(Received::Seen(name)),
            Answer::Conflict { .. } | Answer::FencedOff => Err(StoreError::Contended(name)),
            Answer::Appended { .. } | Answer::Seen => {
                if let Some(project) = proof {
                    inner.signed.remember(project, true);
                }
                Ok(Received::Stored(name))
            }
        }
    }

    /// On the shared path the project is known only after parsing: whether it has signed before is
    /// asked then.
    async fn should_be_signed(&self, delivery: &Delivery) -> Result<bool, StoreError> {
        let Some(project) = self.on_trust(delivery) else { return Ok(false) };
        self.inner.signed.has_signed(&self.inner.store, project).await
    }

    /// As above, without the store. What it cannot tell now it tells when the spool is drained.
    fn is_known_to_sign(&self, delivery: &Delivery) -> bool {
        let known = |project| self.inner.signed.known(project) == Some(true);
        self.on_trust(delivery).is_some_and(known)
    }

    /// The project of a delivery that bears a token where it might be signed.
    fn on_trust(&self, delivery: &Delivery) -> Option<ProjectKey> {
        let could_sign = !self.inner.secrets.signing.is_empty();
        delivery.project.filter(|_| could_sign && !delivery.is_signed())
    }

    /// The project whose hook signed for the first time, as far as the log knows.
    async fn first_proof(&self, delivery: &Delivery) -> Result<Option<ProjectKey>, StoreError> {
        let inner = &self.inner;
        let Some(project) = delivery.project.filter(|_| delivery.is_signed()) else {
            return Ok(None);
        };
        let signed = inner.signed.has_signed(&inner.store, project).await?;
        Ok((!signed).then_some(project))
    }

    /// Whether what comes after it may depend on the proof that this delivery is.
    pub(crate) fn may_be_first_proof(&self, delivery: &Delivery) -> bool {
        let known = |project| self.inner.signed.known(project) == Some(true);
        delivery.is_signed() && !delivery.project.is_none_or(known)
    }
}

fn unavailable(error: &dyn Display) -> Received {
    tracing::error!(%error, "a delivery could not be stored");
    Received::Unavailable
}
