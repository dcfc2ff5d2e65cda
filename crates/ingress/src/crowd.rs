//! Whether deliveries crowd. GitLab gives an answer ten seconds and does not send twice; whatever else
//! the process does can wait a moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Deliveries on their way into the store at the same time that are a crowd.
const MANY: usize = 16;
/// It is gone when there has been none for so long.
const GONE_AFTER: Duration = Duration::from_millis(5);
/// Longest time that anybody stands back: a crowd that does not end must not keep the rest for ever.
const STAND_BACK: Duration = Duration::from_millis(250);

/// Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Crowd {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    begun: Instant,
    /// Deliveries on their way.
    now: AtomicUsize,
    /// When there were many, in microseconds since `begun`; 0: never.
    seen: AtomicU64,
}

/// One delivery, as long as it is on its way.
pub(crate) struct OnItsWay<'a>(&'a Inner);

impl Default for Crowd {
    fn default() -> Self {
        let (now, seen) = Default::default();
        Self { inner: Arc::new(Inner { begun: Instant::now(), now, seen }) }
    }
}

impl Crowd {
    pub(crate) fn enter(&self) -> OnItsWay<'_> {
        let inner = &*self.inner;
        if inner.now.fetch_add(1, Ordering::Relaxed) + 1 >= MANY {
            inner.seen.store(inner.micros(), Ordering::Relaxed);
        }
        OnItsWay(inner)
    }

    /// Returns when there is no crowd, after a quarter of a second in any case.
    pub async fn pass(&self) {
        let begun = Instant::now();
        while let Some(left) = self.inner.left() {
            let patience = STAND_BACK.saturating_sub(begun.elapsed());
            if patience.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(patience)).await;
        }
    }
}

impl Inner {
    fn micros(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX).max(1)
    }

    /// For how long the crowd is not gone, if nobody comes.
    fn left(&self) -> Option<Duration> {
        if self.now.load(Ordering::Relaxed) >= MANY {
            return Some(GONE_AFTER);
        }
        let seen = self.seen.load(Ordering::Relaxed);
        let gone = Duration::from_micros(self.micros().saturating_sub(seen));
        GONE_AFTER.checked_sub(gone).filter(|left| seen > 0 && !left.is_zero())
    }
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn waits(crowd: &Crowd) -> Duration {
        let begun = Instant::now();
        crowd.pass().await;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_something_else_lets_a_crowd_pass_but_not_for_ever() {
        let crowd = Crowd::default();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(waits(&crowd).await, Duration::ZERO);
        let few: Vec<_> = (1..MANY).map(|_| crowd.enter()).collect();
        assert_eq!(waits(&crowd).await, Duration::ZERO, "these are no crowd");
        drop(crowd.enter());
        let waited = waits(&crowd).await;
        assert!((GONE_AFTER..STAND_BACK).contains(&waited), "{waited:?}");
        assert_eq!(waits(&crowd).await, Duration::ZERO);
        let coming = async {
            loop {
                drop(crowd.enter());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            biased;
            () = coming => {}
            waited = waits(&crowd) => {
                assert!((STAND_BACK..STAND_BACK * 2).contains(&waited), "{waited:?}");
            }
        }
        let slow = crowd.enter();
        tokio::time::advance(GONE_AFTER * 2).await;
        assert!(waits(&crowd).await >= STAND_BACK, "nobody comes, and nobody is answered");
        drop((few, slow));
        tokio::time::advance(GONE_AFTER).await;
        drop(crowd.enter());
        assert_eq!(waits(&crowd).await, Duration::ZERO);
    }
}
