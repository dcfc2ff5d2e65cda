//! From when on rows are looked for that are due.
//!
//! What a claim takes leaves a dead entry behind at the very beginning of the index, until the table is
//! vacuumed. A claim that began there each time would pass by all of them: in a burst, thousands. So it
//! begins a little before where the last one found something. What was committed late and lies before
//! that is found when nothing else is, and once a second in any case.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::work::{CLASSES, Due, WorkKind};

/// Whoever writes later than this after the time at which the row is due must wait a moment.
const LATE: i64 = 50;
/// How often all of a kind is searched.
const ALL_EVERY: Duration = Duration::from_secs(1);
/// Where there is nothing earlier.
const ALL: i64 = i64::MIN;

/// Where to begin with each class of each kind, in milliseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Searches(Mutex<HashMap<WorkKind, Search>>);

#[derive(Debug, Clone, Copy)]
struct Search {
    since: [i64; CLASSES],
    searched_all: Instant,
}

/// A row that a claim found.
pub(super) struct Found {
    pub(super) class: usize,
    /// Before it was leased.
    pub(super) due_at: i64,
    /// The time of the claim.
    pub(super) now: i64,
}

/// Searches all of the classes that are asked for.
pub(super) fn all(due: Due) -> Vec<i64> {
    vec![ALL; CLASSES.min(usize::from(due.upto) + 1)]
}

/// Whether these begin where nothing is earlier.
pub(super) fn is_all(since: &[i64]) -> bool {
    since.iter().all(|since| *since == ALL)
}

impl Searches {
    /// Where to begin with each of the classes that are asked for.
    pub(super) fn begin(&self, due: Due) -> Vec<i64> {
        let all = all(due);
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(&due.kind).filter(|it| it.searched_all.elapsed() < ALL_EVERY);
        known.map(|known| known.since[..all.len()].to_vec()).unwrap_or(all)
    }

    /// Takes note of what a search from `since` found, in its order.
    pub(super) fn end(&self, due: Due, since: &[i64], found: &[Found]) {
        let Some(last) = found.last() else { return };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let nothing = Search { since: [ALL; CLASSES], searched_all: Instant::now() };
        let search = known.entry(due.kind).or_insert(nothing);
        if is_all(since) {
            *search = nothing;
        }
        for (class, since) in search.since.iter_mut().enumerate() {
            let begins = found.iter().find(|row| row.class == class).map(|row| row.due_at);
            // What comes before the last one was searched to its end.
            let begins = begins.or((class < last.class).then_some(last.now));
            *since = begins.map_or(*since, |begins| begins.saturating_sub(LATE));
        }
    }
}
