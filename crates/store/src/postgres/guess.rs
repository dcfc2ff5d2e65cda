//! The end of the log as this process left it. If nobody else has appended since, events of new
//! streams need no question before they are written: the database refuses what is there already.

use std::time::{Duration, Instant};

use super::write::End;
use super::writer::WaitingAppend;
use crate::append::{Append, Expected};
use crate::envelope::Head;

/// The database's clock is asked for again after so long.
const CLOCK_FOR: Duration = Duration::from_secs(30);
/// Groups before the next guess, after one that was wrong. Where many processes append, or most of
/// what comes was there, guesses would be in vain.
const CAREFUL: u32 = 16;

/// What is known without asking.
#[derive(Debug, Default)]
pub(super) struct Guess {
    /// The head, and when its event was recorded.
    end: Option<(Head, i64)>,
    /// The database's clock in microseconds, and when it was read or later.
    time: Option<(i64, Instant)>,
    careful: u32,
}

impl Guess {
    /// The end to judge by, if it may be guessed for these appends. Its `now` is never ahead of the
    /// database's.
    pub(super) fn end(&mut self, group: &[WaitingAppend]) -> Option<End> {
        if !group.iter().all(|waiting| is_new(&waiting.ready.append)) {
            return None;
        }
        self.careful = self.careful.saturating_sub(1);
        let ((head, recorded_at), (time, read)) = (self.end?, self.time?);
        let age = read.elapsed();
        let passed = i64::try_from(age.as_micros()).ok()?;
        let end = End { head, recorded_at, now: time.saturating_add(passed) };
        (self.careful == 0 && age < CLOCK_FOR).then_some(end)
    }

    /// It is so late now, or later.
    pub(super) fn learn_time(&mut self, now: i64) {
        self.time = Some((now, Instant::now()));
    }

    /// The log ends here now.
    pub(super) fn learn_end(&mut self, head: Head, recorded_at: i64) {
        self.end = Some((head, recorded_at));
    }

    /// It was not the end, or something was there already.
    pub(super) fn was_wrong(&mut self) {
        *self = Self { careful: CAREFUL, ..Self::default() };
    }

    /// Whether the last words reached the database, nobody knows.
    pub(super) fn forget(&mut self) {
        self.end = None;
    }
}

/// Whether the database itself finds what would speak against it.
fn is_new(append: &Append) -> bool {
    append.fence.is_none() && append.writes.iter().all(|w| w.expected == Expected::NoStream)
}
