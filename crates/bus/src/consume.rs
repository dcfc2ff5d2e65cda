//! The loop of every consumer: do what is due, then wait for a hint or a timer.

use std::fmt::Display;
use std::time::Duration;

use tokio::sync::watch;

use crate::{Baton, Listener};

/// What one step of a consumer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Something was done: look again at once.
    Worked,
    /// Nothing is due before so long, if anything is known to come.
    Idle { next_due: Option<Duration> },
}

/// Longest time between two looks, in milliseconds; each wait is 80–100 % of it, so that many
/// consumers do not look at the same instant.
const LOOK_EVERY: u64 = 5_000;
/// What is due already and was not found is being taken by somebody else.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);
/// Longest pause after steps that failed one after the other.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Tells consumers to leave.
#[derive(Debug)]
pub struct StopHandle(watch::Sender<bool>);

/// Held by a consumer: says when to leave.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

/// A fresh pair.
pub fn stop() -> (StopHandle, Stop) {
    let (tell, told) = watch::channel(false);
    (StopHandle(tell), Stop(told))
}

impl StopHandle {
    /// Asks all consumers to leave after the step they are in.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Whether it is time to leave.
    pub fn stopped(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves when it is time to leave; also when the handle is gone.
    pub async fn wait(&mut self) {
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }
}

/// Runs `step` until told to stop. A failed step is logged here, once, and tried again after a
/// pause that grows; nothing is lost by it, the work stays due in the store. A step that takes one
/// of several due items passes the baton before it goes to work.
pub async fn consume<E: Display>(
    name: &'static str,
    mut listener: Listener,
    mut stop: Stop,
    mut step: impl AsyncFnMut(&Baton) -> Result<Step, E>,
) {
    let mut failures: u32 = 0;
    let mut jitter = Jitter::new(name);
    let baton = listener.baton();
    while !stop.stopped() {
        listener.hush();
        let wait = match step(&baton).await {
            Ok(Step::Worked) => {
                failures = 0;
                continue;
            }
            Ok(Step::Idle { next_due }) => {
                failures = 0;
                let look = jitter.next(LOOK_EVERY);
                next_due.map_or(look, |due| due.clamp(SHORTEST_WAIT, look))
            }
            Err(error) => {
                failures += 1;
                tracing::error!(consumer = name, failures, %error, "a step failed and is tried again");
                let pause = Duration::from_millis(250).saturating_mul(1 << failures.min(7));
                // A hint does not shorten this pause: what failed would only fail faster.
                tokio::select! {
                    () = tokio::time::sleep(pause.min(LONGEST_PAUSE)) => {}
                    () = stop.wait() => {}
                }
                continue;
            }
        };
        tokio::select! {
            () = listener.wait(wait) => {}
            () = stop.wait() => {}
        }
    }
}

/// A cheap spread of waiting times. Not random enough for anything else.
struct Jitter(u64);

impl Jitter {
    fn new(name: &str) -> Self {
        use std::hash::{BuildHasher, RandomState};
        Self(RandomState::new().hash_one(name) | 1)
    }

    fn next(&mut self, millis: u64) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_millis(millis - self.0 % (millis / 5))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::{Bus, Topic};

    #[tokio::test(start_paused = true)]
    async fn a_hint_during_a_step_is_not_lost() {
        let bus = Bus::in_process();
        let (handle, told) = stop();
        let mut steps = 0;
        let started = tokio::time::Instant::now();
        consume("test", bus.listen(Topic::Plan), told, async |_| {
            steps += 1;
            if steps == 1 {
                bus.hint(Topic::Plan);
            } else {
                handle.stop();
            }
            Ok::<_, String>(Step::Idle { next_due: None })
        })
        .await;
        assert_eq!((steps, started.elapsed()), (2, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn one_of_many_wakes_and_wakes_the_next_if_there_is_more() {
        let bus = Bus::in_process();
        let (handle, told) = stop();
        let (due, looks) = (&Cell::new(0), &Cell::new(0));
        let look = async |baton: &Baton| {
            looks.set(looks.get() + 1);
            if due.get() == 0 {
                return Ok::<_, String>(Step::Idle { next_due: None });
            }
            due.set(due.get() - 1);
            if due.get() > 0 {
                baton.pass();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok(Step::Worked)
        };
        let consumer = || consume("test", bus.listen(Topic::Plan), told.clone(), look);
        let ends = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert_eq!(looks.take(), 4, "everybody looks once at the beginning");
            due.set(1);
            bus.hint(Topic::Plan);
            tokio::time::sleep(Duration::from_millis(15)).await;
            assert_eq!((due.get(), looks.take()), (0, 2), "one works and looks again");
            due.set(3);
            bus.hint(Topic::Plan);
            tokio::time::sleep(Duration::from_millis(9)).await;
            assert_eq!((due.get(), looks.take()), (0, 3), "three work at the same time");
            handle.stop();
        };
        tokio::join!(consumer(), consumer(), consumer(), consumer(), ends);
    }

    #[tokio::test(start_paused = true)]
    async fn helpers_wake_only_while_nobody_else_becomes_free() {
        let bus = Bus::in_process();
        let (handle, told) = stop();
        let (urgent, usual, long) = (&Cell::new(0), &Cell::new(0), &Cell::new(false));
        let look = |looks: &'static str| {
            async move |_: &Baton| {
                let looked = if looks == "urgent" { urgent } else { usual };
                looked.set(looked.get() + 1);
                let takes = if long.get() && looks == "urgent" { 50 } else { 10 };
                tokio::time::sleep(Duration::from_millis(takes)).await;
                Ok::<_, String>(Step::Idle { next_due: None })
            }
        };
        let hand = |topic, looks| consume("test", bus.listen(topic), told.clone(), look(looks));
        let ends = async {
            tokio::time::sleep(Duration::from_millis(15)).await;
            assert_eq!((urgent.take(), usual.take()), (1, 1), "both look at the beginning");
            bus.hint(Topic::Announce);
            tokio::time::sleep(Duration::from_millis(5)).await;
            assert_eq!((urgent.take(), usual.take()), (1, 0));
            bus.hint(Topic::Announce);
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert_eq!((urgent.take(), usual.take()), (1, 0), "it is soon done, and looks again");
            long.set(true);
            bus.hint(Topic::Announce);
            tokio::time::sleep(Duration::from_millis(5)).await;
            bus.hint(Topic::Announce);
            tokio::time::sleep(Duration::from_millis(21)).await;
            assert_eq!(
                (urgent.take(), usual.take()),
                (1, 1),
                "it is at work for long: another looks"
            );
            tokio::time::sleep(Duration::from_millis(80)).await;
            assert_eq!((urgent.take(), usual.take()), (1, 0), "and so does it, when it can");
            bus.hint(Topic::Plan);
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert_eq!((urgent.take(), usual.take()), (0, 1), "nobody helps the helpers");
            handle.stop();
        };
        tokio::join!(hand(Topic::Announce, "urgent"), hand(Topic::Plan, "usual"), ends);
    }

    #[tokio::test(start_paused = true)]
    async fn without_hints_it_looks_every_few_seconds_and_failures_do_not_end_it() {
        let bus = Bus::in_process();
        let (handle, told) = stop();
        let mut steps = 0;
        let started = tokio::time::Instant::now();
        consume("test", bus.listen(Topic::Plan), told, async |_| {
            steps += 1;
            match steps {
                1 => Ok(Step::Idle { next_due: None }),
                2 => Err("no"),
                _ => {
                    handle.stop();
                    Ok(Step::Idle { next_due: None })
                }
            }
        })
        .await;
        assert!(
            (4_000..=5_600).contains(&started.elapsed().as_millis()),
            "{:?}",
            started.elapsed()
        );
    }
}
