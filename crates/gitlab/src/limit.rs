//! When a call may go out: GitLab's rate limits and the own budget, shared by all clones of a
//! client. Pure: the time is an argument. Never sleeps, never sends.

use std::time::{Duration, Instant};

/// A wait this short is slept through instead of being handed to the caller.
pub(crate) const SHORT_WAIT: Duration = Duration::from_millis(200);

/// First pause after a 429 that names no time; it doubles up to [`LONGEST_PAUSE`].
/// GitLab's application limits are windows of a minute (`lib/gitlab/application_rate_limiter.rb`).
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// No header may hold us back for longer than this; a wrong clock must not stop us for ever.
const LONGEST_BLOCK: Duration = Duration::from_hours(1);

/// Endpoints that share a limit at GitLab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Statuses,
    /// Making notes. Editing and reading them has no limit of its own (`lib/api/notes.rb`).
    Notes,
    Deployments,
    Other,
}

const CLASSES: [Class; 4] = [Class::Statuses, Class::Notes, Class::Deployments, Class::Other];

/// What an answer said about limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Signs {
    /// It was a 429.
    pub(crate) refused: bool,
    /// From `Retry-After`.
    pub(crate) retry_after: Option<Duration>,
    /// `RateLimit-Remaining` was 0.
    pub(crate) exhausted: bool,
    /// Time until `RateLimit-Reset`.
    pub(crate) reset_in: Option<Duration>,
    /// The limit counts every API call of the user (`RateLimit-Name: throttle_…_api`), so all
    /// classes wait.
    pub(crate) for_all: bool,
}

#[derive(Debug, Default, Clone, Copy)]
struct Gate {
    closed_until: Option<Instant>,
    refusals_in_a_row: u32,
}

/// The gates of all classes and the token bucket of the own budget.
#[derive(Debug)]
pub(crate) struct Limits {
    gates: [Gate; CLASSES.len()],
    per_minute: f64,
    burst: f64,
    tokens: f64,
    counted_at: Instant,
}

impl Limits {
    /// The bucket holds ten seconds' worth of calls and starts full.
    pub(crate) fn new(per_minute: u32, now: Instant) -> Self {
        let per_minute = f64::from(per_minute.max(1));
        let burst = (per_minute / 6.0).max(1.0);
        Self {
            gates: [Gate::default(); CLASSES.len()],
            per_minute,
            burst,
            tokens: burst,
            counted_at: now,
        }
    }

    /// `Ok`: the call is counted and may go out after this wait (at most [`SHORT_WAIT`]).
    /// `Err`: it must not go out before this time has passed; nothing was counted.
    pub(crate) fn admit(&mut self, class: Class, now: Instant) -> Result<Duration, Duration> {
        let gate = self.gates[class as usize];
        let closed =
            gate.closed_until.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        let passed = now.saturating_duration_since(self.counted_at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_minute / 60.0).min(self.burst);
        self.counted_at = self.counted_at.max(now);
        let missing = (1.0 - self.tokens).max(0.0);
        let wait = closed.max(Duration::from_secs_f64(missing * 60.0 / self.per_minute));
        if wait > SHORT_WAIT {
            return Err(wait);
        }
        // May go below zero: that is the place in the queue of those who sleep.
        self.tokens -= 1.0;
        Ok(wait)
    }

    /// Notes what an answer said. Returns the time to wait after a refusal.
    pub(crate) fn note(&mut self, class: Class, signs: Signs, now: Instant) -> Option<Duration> {
        let gate = &mut self.gates[class as usize];
        let wait = if signs.refused {
            let doubled = FIRST_PAUSE * 2_u32.pow(gate.refusals_in_a_row.min(8));
            gate.refusals_in_a_row = gate.refusals_in_a_row.saturating_add(1);
            let told = signs.retry_after.or(signs.reset_in);
            Some(told.unwrap_or(doubled.min(LONGEST_PAUSE)).min(LONGEST_BLOCK))
        } else {
            gate.refusals_in_a_row = 0;
            let told = signs.reset_in.or(signs.retry_after).filter(|_| signs.exhausted);
            told.map(|wait| wait.min(LONGEST_BLOCK))
        };
        let wait = wait?;
        for other in CLASSES {
            if other == class || signs.for_all {
                let gate = &mut self.gates[other as usize];
                gate.closed_until = gate.closed_until.max(Some(now + wait));
            }
        }
        signs.refused.then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn refused(retry_after: Option<Duration>) -> Signs {
        Signs { refused: true, retry_after, ..Signs::default() }
    }

    #[test]
    fn a_refusal_closes_its_class_only() {
        let now = Instant::now();
        let mut limits = Limits::new(600, now);
        assert_eq!(limits.note(Class::Notes, refused(Some(secs(30))), now), Some(secs(30)));
        assert_eq!(limits.admit(Class::Notes, now), Err(secs(30)));
        assert_eq!(limits.admit(Class::Notes, now + secs(10)), Err(secs(20)));
        assert_eq!(limits.admit(Class::Statuses, now), Ok(Duration::ZERO));
        assert_eq!(limits.admit(Class::Notes, now + secs(30)), Ok(Duration::ZERO));
    }

    #[test]
    fn a_limit_of_the_whole_api_closes_all_classes() {
        let now = Instant::now();
        let mut limits = Limits::new(600, now);
        let signs =
            Signs { exhausted: true, reset_in: Some(secs(7)), for_all: true, ..Signs::default() };
        assert_eq!(limits.note(Class::Other, signs, now), None);
        for class in CLASSES {
            assert_eq!(limits.admit(class, now), Err(secs(7)));
        }
    }

    #[test]
    fn without_a_time_the_pause_doubles_to_a_minute_and_an_answer_resets_it() {
        let now = Instant::now();
        let mut limits = Limits::new(600, now);
        let mut pause = || limits.note(Class::Notes, refused(None), now).unwrap().as_secs();
        assert_eq!([pause(), pause(), pause(), pause(), pause()], [5, 10, 20, 40, 60]);
        limits.note(Class::Notes, Signs::default(), now);
        assert_eq!(limits.note(Class::Notes, refused(None), now), Some(secs(5)));
    }

    #[test]
    fn a_mad_header_cannot_stop_us_for_ever() {
        let now = Instant::now();
        let mut limits = Limits::new(600, now);
        limits.note(Class::Other, refused(Some(Duration::MAX)), now);
        assert_eq!(limits.admit(Class::Other, now), Err(LONGEST_BLOCK));
    }

    #[test]
    fn the_budget_is_a_bucket_with_a_short_queue() {
        let now = Instant::now();
        let mut limits = Limits::new(600, now);
        let answers: Vec<_> = (0..110).map(|_| limits.admit(Class::Other, now)).collect();
        assert!(answers[..100].iter().all(|answer| *answer == Ok(Duration::ZERO)));
        assert_eq!(answers[100], Ok(Duration::from_millis(100)));
        assert_eq!(answers[101], Ok(Duration::from_millis(200)));
        assert_eq!(answers[102], Err(Duration::from_millis(300)));
        assert_eq!(answers[109], Err(Duration::from_millis(300)));
        assert_eq!(limits.admit(Class::Other, now + secs(1)), Ok(Duration::ZERO));
    }
}
