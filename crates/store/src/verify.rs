//! Checking that the log is whole.

use crate::ahead::Ahead;
use crate::envelope::{Breach, Envelope, Head, Position, Verified};
use crate::error::StoreError;
use crate::store::Store;

/// Events that are read at once.
const CHUNK: usize = 4096;

/// See [`Store::verify`].
pub(crate) async fn verify(
    store: &Store,
    mut progress: impl FnMut(Position) + Send,
) -> Result<Verified, StoreError> {
    let head = store.head().await?;
    let mut last = Head { position: 0, hash: [0; 32] };
    let (mut chunk, mut ahead) = (CHUNK, Ahead::new(store, 0, CHUNK));
    while last.position < head.position {
        match ahead.next().await {
            // Some event of it cannot be read; one by one shows which.
            Err(StoreError::Corrupt(_)) if chunk > 1 => {
                chunk = 1;
                ahead = Ahead::new(store, last.position, chunk);
            }
            Err(StoreError::Corrupt(why)) => {
                let position = last.position + 1;
                return Err(Breach::Unreadable { position, why }.into());
            }
            read => {
                last = follow_all(last, &read?, head.position)?;
                progress(last.position);
            }
        }
    }
    let behind = store.read(head.position, 1).await?;
    let grown = store.head().await?.position;
    if last.hash != head.hash || (!behind.is_empty() && grown == head.position) {
        return Err(Breach::Head { position: head.position }.into());
    }
    if let Some(breach) = store.wrong_versions().await? {
        return Err(breach.into());
    }
    Ok(Verified { events: head.position.unsigned_abs(), head })
}

/// Follows the chain through `events`, not beyond `upto`.
fn follow_all(mut last: Head, events: &[Envelope], upto: Position) -> Result<Head, Breach> {
    for event in events.iter().take_while(|event| event.position <= upto) {
        last = follow(last, event)?;
    }
    let is_cut = events.last().is_none_or(|event| event.position > upto);
    if is_cut && last.position < upto {
        return Err(Breach::Missing { position: last.position + 1 });
    }
    Ok(last)
}

/// The head that `event` makes of `last`, if it is the one that comes next.
pub(crate) fn follow(last: Head, event: &Envelope) -> Result<Head, Breach> {
    let position = last.position + 1;
    if event.position != position {
        return Err(Breach::Missing { position });
    }
    if event.computed_hash() != event.hash {
        return Err(Breach::Changed { position });
    }
    if event.prev_hash != last.hash {
        return Err(Breach::Unlinked { position });
    }
    Ok(Head { position, hash: event.hash })
}
