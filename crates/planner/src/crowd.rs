//! In a crowd each commit shows something before any of them is planned, and before pages tell of it:
//! whoever pushed looks for it.

use std::time::{Duration, Instant};

use aldis_domain::touch::{URGENT, WorkKind};
use aldis_store::{Store, StoreError};

/// Longest time that anybody waits: a crowd that does not end must not keep it for ever. What has
/// waited for longer itself keeps nobody.
const STAND_BACK: Duration = Duration::from_millis(500);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// So many are a crowd. Fewer are always there while runs end: what a run came to is as urgent.
const MANY: usize = 16;

/// Returns when no crowd of first statuses waits, after half a second in any case.
pub async fn let_first_statuses_pass(store: &Store) {
    let begun = Instant::now();
    // Whoever cannot ask will hardly work either, and is put off by that.
    while begun.elapsed() < STAND_BACK && first_statuses_crowd(store).await.unwrap_or(false) {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Whether deliveries are yet to be announced, or first statuses to be written, by whichever process.
async fn first_statuses_crowd(store: &Store) -> Result<bool, StoreError> {
    for kind in [WorkKind::Plan, WorkKind::Statuses] {
        if store.crowds(kind, URGENT, STAND_BACK, MANY).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use aldis_domain::touch::NORMAL;
    use aldis_store::{Append, Clock, Meta, Release, Settings, WorkKey, WorkTouch};

    use super::*;

    async fn crowd_after(store: &Store, kind: WorkKind, class: u8, many: usize) -> bool {
        let keys = (0..many).map(|number| WorkKey::new(kind, number.to_string()));
        let touches = keys.map(|key| WorkTouch::now(key, class)).collect();
        store.append(Append { touches, ..Append::new(Meta::from_source("test")) }).await.unwrap();
        first_statuses_crowd(store).await.unwrap()
    }

    #[tokio::test]
    async fn a_plan_waits_for_first_statuses_but_not_for_ever() {
        let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::manual());
        let settings = Settings { clock: clock.clone(), ..Settings::in_dir(dir.path()) };
        let store = Store::open(&settings).await.unwrap();
        for (kind, class, many, wait) in [
            (WorkKind::Plan, NORMAL, MANY, false),
            (WorkKind::Statuses, NORMAL, MANY, false),
            (WorkKind::Note, URGENT, MANY, false),
            (WorkKind::Plan, URGENT, MANY - 1, false),
            (WorkKind::Plan, URGENT, MANY, true),
            (WorkKind::Statuses, URGENT, MANY, true),
        ] {
            assert_eq!(crowd_after(&store, kind, class, many).await, wait, "{many} {kind} {class}");
            let taken = store.claim(kind, "test", Duration::from_mins(1), many).await.unwrap();
            assert!(!first_statuses_crowd(&store).await.unwrap(), "somebody has them");
            for one in taken {
                store.release(&one, Release::Done).await.unwrap();
            }
        }
        assert!(crowd_after(&store, WorkKind::Statuses, URGENT, MANY).await);
        let begun = Instant::now();
        let_first_statuses_pass(&store).await;
        assert!(begun.elapsed() >= STAND_BACK);
        clock.advance(STAND_BACK);
        assert!(!first_statuses_crowd(&store).await.unwrap(), "they have been late for too long");
        store.close().await;
    }
}
