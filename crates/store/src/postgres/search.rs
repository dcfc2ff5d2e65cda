//! From when on rows are looked for that are due.
//!
//! What a claim takes leaves a dead entry behind at the very beginning of the index, until the table is
//! vacuumed. A claim that began there each time would pass by all of them: in a burst, thousands. So it
//! begins a little before where the last one found something. What was committed late, or was locked when
//! others passed it, lies before that; it is found when nothing else is, and within half a second in any
//! case.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::work::{CLASSES, Due, WorkKind};

/// Whoever writes later than this after the time at which the row is due must wait a moment.
const LATE: i64 = 50;
/// How often a class is searched from its beginning while there is always something to find,
const ALL_EVERY: Duration = Duration::from_millis(500);
/// and while there is nothing.
const ALL_AGAIN: Duration = Duration::from_millis(50);
/// Where there is nothing earlier.
const ALL: i64 = i64::MIN;

/// Where to begin with each class of each kind, in milliseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Searches(Mutex<HashMap<WorkKind, [Search; CLASSES]>>);

/// Of one class.
#[derive(Debug, Clone, Copy)]
struct Search {
    since: i64,
    /// When it was searched from its beginning.
    all: Option<Instant>,
}

/// How classes are searched.
#[derive(Debug, Clone)]
pub(super) struct Searched {
    /// Where to begin with each.
    pub(super) since: Vec<i64>,
    /// Whether to look at what is before that, if nothing is found. If not, there was nothing just now.
    pub(super) again: bool,
}

/// A row that a claim found.
pub(super) struct Found {
    pub(super) class: usize,
    /// Before it was leased.
    pub(super) due_at: i64,
    /// The time of the claim.
    pub(super) now: i64,
}

impl Default for Search {
    fn default() -> Self {
        Self { since: ALL, all: None }
    }
}

impl Search {
    fn is_fresh(&self, within: Duration) -> bool {
        self.all.is_some_and(|all| all.elapsed() < within)
    }
}

impl Searches {
    fn of(&self, due: Due) -> Vec<Search> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = CLASSES.min(usize::from(due.upto) + 1);
        known.get(&due.kind).copied().unwrap_or_default()[..asked].to_vec()
    }

    /// How the classes are to be searched that are asked for.
    pub(super) fn begin(&self, due: Due) -> Searched {
        let classes = self.of(due);
        let since = |class: &Search| if class.is_fresh(ALL_EVERY) { class.since } else { ALL };
        let since: Vec<i64> = classes.iter().map(since).collect();
        let is_known = classes.iter().all(|class| class.is_fresh(ALL_AGAIN));
        let again = !is_known && since.iter().any(|since| *since != ALL);
        Searched { since, again }
    }

    /// Takes note of what a search found, in its order. `is_all`: it was all searched again.
    pub(super) fn end(&self, due: Due, searched: Searched, is_all: bool, found: &[Found]) {
        let Searched { mut since, .. } = searched;
        if is_all {
            since.fill(ALL);
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let classes = known.entry(due.kind).or_default();
        let last = found.last().map_or(usize::MAX, |row| row.class);
        for (number, (class, since)) in classes.iter_mut().zip(&since).enumerate() {
            if number > last {
                return;
            }
            if *since == ALL {
                *class = Search { all: Some(Instant::now()), ..*class };
            }
            let begins = found.iter().find(|row| row.class == number).map(|row| row.due_at);
            // What comes before the last one was searched to its end.
            let passed = found.first().filter(|_| number < last).map(|row| row.now);
            let begins = begins.or(passed).map(|begins| begins.saturating_sub(LATE));
            // One that began before another found something earlier does not say where to begin.
            let says = |new: &i64| *since == ALL || *since == class.since || *new < class.since;
            class.since = begins.filter(says).unwrap_or(class.since);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_that_began_before_does_not_hide_what_another_found_earlier() {
        let (searches, due) = (Searches::default(), Due::from(WorkKind::Plan));
        let found = |class, due_at| [Found { class, due_at, now: 20_000 }];
        let first = searches.begin(due);
        searches.end(due, first, false, &found(0, 10_000));
        let (slow, late) = (searches.begin(due), searches.begin(due));
        assert_eq!(slow.since, [10_000 - LATE, ALL, ALL]);
        searches.end(due, late, true, &found(0, 1_000));
        searches.end(due, slow, false, &found(0, 11_000));
        assert_eq!(searches.begin(due).since[0], 1_000 - LATE);
        let next = searches.begin(due);
        searches.end(due, next, false, &found(1, 12_000));
        let since = searches.begin(due).since;
        assert_eq!(since[..2], [20_000 - LATE, 12_000 - LATE], "none was in class 0");
    }
}
