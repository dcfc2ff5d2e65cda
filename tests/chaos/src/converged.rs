//! How soon all stood after the last fault.
//!
//! A verdict that was awaited when the last fault was over has [`STANDS`] from then; one that was
//! asked for later has it from the asking. So long after both the last fault and the last thing that
//! anybody did, nothing in GitLab changes any more. [`STANDS_LATER`] is for a comment or deployment
//! left in doubt, where the log shows one: [`Delays`].

use std::time::{Duration, Instant, SystemTime};

use aldis_store::Envelope;

use crate::crew::Crew;
use crate::delays::Delays;
use crate::town::{Wait, Waits};

pub(crate) const STANDS: Duration = Duration::from_mins(1);
/// A tracked run's lease lasts 100 s. What a lost writer (45 s) may have written is read, compared
/// after another 75 s when it can no longer land, and made again if it did not.
const STANDS_LATER: Duration = Duration::from_mins(2);
/// Without a broker all comes fifteen seconds later at most, and takes as long as ever besides.
const WITHOUT_BROKER: Duration = Duration::from_secs(15 + 5);
/// Nothing is planned for later either. A write that was in the hands of a lost writer (45 s) is
/// read, and compared 75 s after that; each is looked for every five seconds.
pub(crate) const AT_REST: Duration = Duration::from_secs(45 + 75 + 3 * 5);

/// What the end of the day is measured by.
pub(crate) struct End {
    /// When the last fault was over.
    pub(crate) healed: Instant,
    /// There was none from the beginning to the end.
    pub(crate) broker_away: bool,
    pub(crate) waits: Waits,
}

/// What it came to.
#[derive(Debug, Default, Clone)]
pub(crate) struct Converged {
    /// Verdicts that were awaited when the last fault was over, and when the last of them stood.
    pub(crate) awaited: usize,
    pub(crate) awaited_stood: Duration,
    /// Those asked for later, and the longest wait for one.
    pub(crate) later: usize,
    pub(crate) later_stood: Duration,
    /// The last change in GitLab after [`End::last`], and where.
    pub(crate) written: Duration,
    pub(crate) written_to: String,
    /// Projects in which a comment or deployment was in doubt after the last fault.
    pub(crate) in_doubt: usize,
    /// The usual wait for a verdict on this day: half of all were shorter.
    pub(crate) usual: Duration,
    pub(crate) longest: Duration,
}

impl End {
    /// The last fault and the last thing that anybody did are over.
    pub(crate) fn last(&self) -> Instant {
        self.waits.last_act.unwrap_or(self.healed).max(self.healed)
    }

    /// When a verdict must stand.
    fn due(&self, wait: &Wait, delays: &Delays) -> Instant {
        let from = wait.asked.max(self.healed);
        from + match delays.unknown.contains(&wait.sha) {
            true => STANDS_LATER,
            false if self.broker_away => WITHOUT_BROKER,
            false => STANDS,
        }
    }

    /// The figures, and what came too late.
    pub(crate) fn judge(&self, crew: &Crew, log: &[Envelope]) -> (Converged, Vec<String>) {
        let moment = |instant: Instant| SystemTime::now() - instant.elapsed();
        let last = moment(self.last());
        let delays = Delays::after(moment(self.healed), log);
        let mut converged = Converged { in_doubt: delays.in_doubt.len(), ..self.waited() };
        let mut problems = Vec::new();
        for wait in self.waits.verdicts.iter().filter(|wait| wait.stood > self.due(wait, &delays)) {
            let seconds = wait.stood.duration_since(wait.asked.max(self.healed)).as_secs();
            problems.push(format!("the verdict on {} stood only after {seconds} s", wait.sha));
        }
        let ours = crew
            .sim
            .calls()
            .into_iter()
            .filter(|call| call.is_write() && call.applied && call.user == Some(crew.bot_user));
        for call in ours {
            let Ok(after) = SystemTime::from(call.at).duration_since(last) else { continue };
            let project = call.path.split('/').nth(1).and_then(|id| id.parse().ok());
            let is_delayed = project.is_some_and(|project| delays.in_doubt.contains(&project));
            if after > if is_delayed { STANDS_LATER } else { STANDS } {
                let (seconds, path) = (after.as_secs(), &call.path);
                problems.push(format!("{path} was written to {seconds} s after the last fault"));
            }
            if after > converged.written {
                (converged.written, converged.written_to) = (after, call.path);
            }
        }
        (converged, problems)
    }

    /// The figures of all waits.
    fn waited(&self) -> Converged {
        let mut converged = Converged::default();
        let mut all: Vec<Duration> = Vec::new();
        for wait in &self.waits.verdicts {
            all.push(wait.stood - wait.asked);
            if wait.asked > self.healed {
                converged.later += 1;
                converged.later_stood = converged.later_stood.max(wait.stood - wait.asked);
            } else if wait.stood > self.healed {
                converged.awaited += 1;
                converged.awaited_stood = converged.awaited_stood.max(wait.stood - self.healed);
            }
        }
        all.sort_unstable();
        converged.usual = all.get(all.len() / 2).copied().unwrap_or_default();
        converged.longest = all.last().copied().unwrap_or_default();
        converged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_has_a_minute_from_the_last_fault_or_the_asking_and_two_where_a_deployment_is_in_doubt()
     {
        let second = Duration::from_secs(1);
        let begun = Instant::now();
        let healed = begun + 100 * second;
        let end = End { healed, broker_away: false, waits: Waits::default() };
        let sha = "a".to_owned();
        let asked = |asked| Wait { sha: sha.clone(), asked, stood: asked };
        let (before, later) = (asked(begun), asked(healed + second));
        let none = Delays::default();
        let unknown = Delays { unknown: [sha.clone()].into(), ..Delays::default() };
        assert_eq!(end.due(&before, &none), healed + STANDS);
        assert_eq!(end.due(&before, &unknown), healed + STANDS_LATER);
        assert_eq!(end.due(&later, &none), healed + second + STANDS);
        let without = End { broker_away: true, ..end };
        assert_eq!(without.due(&later, &none), healed + second + WITHOUT_BROKER);
    }
}
