//! The end of the log as this process left it. If nobody else has appended since, nothing need be
//! asked before it is written: what an append expects is taken for true, and the database refuses
//! leases that are not held, versions that are not reached, and events of one that is there already.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::write::End;
use super::writer::WaitingAppend;
use crate::append::{Append, Expected};
use crate::envelope::Head;
use crate::judge::Facts;

/// The database's clock is asked for again after so long.
const CLOCK_FOR: Duration = Duration::from_secs(30);
/// Groups before the next guess, after one that was refused for what it expected. Where most of what
/// comes was there, guesses would be in vain.
const CAREFUL: u32 = 16;
/// Appends that are sent again for nothing rather than asked for, where others append as well,
const FEW: usize = 8;
/// and bytes of the bodies that they bring.
const LITTLE: usize = 64 << 10;

/// Streams whose versions are remembered.
const STREAMS: usize = 10_000;

/// What others in this process saw of the log on their way. All clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct News(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    /// As the last claim saw it.
    end: Option<(End, Instant)>,
    /// Of streams that were read: whoever reads one may append to it.
    versions: HashMap<String, u64>,
}

impl News {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log ended here a moment ago.
    pub(super) fn of_end(&self, end: End) {
        self.seen().end = Some((end, Instant::now()));
    }

    /// A stream had this version a moment ago; 0: no events.
    pub(super) fn of_stream(&self, stream: &str, version: u64) {
        let versions = &mut self.seen().versions;
        if versions.len() >= STREAMS {
            versions.clear();
        }
        // What was read before the last append may be told after it.
        let known = versions.entry(stream.to_owned()).or_insert(version);
        *known = version.max(*known);
    }
}

/// What is known without asking.
#[derive(Debug, Default)]
pub(super) struct Guess {
    /// The head, and when its event was recorded.
    end: Option<(Head, i64)>,
    /// The database's clock in microseconds, and when it was read or later.
    time: Option<(i64, Instant)>,
    /// Where the log ended for one that was refused.
    wrong_at: Option<Head>,
    careful: u32,
    /// The same of groups that carry much.
    careful_of_many: u32,
    news: News,
}

impl Guess {
    pub(super) fn new(news: News) -> Self {
        Self { news, ..Self::default() }
    }

    /// What to judge by, if it may be guessed for these appends. The end's `now` is never ahead of
    /// the database's.
    pub(super) fn make(&mut self, group: &[WaitingAppend]) -> Option<(End, Facts)> {
        self.hear();
        let appends = group.iter().map(|waiting| &waiting.ready.append);
        let facts = expected(appends, &self.news.seen().versions)?;
        self.careful = self.careful.saturating_sub(1);
        self.careful_of_many = self.careful_of_many.saturating_sub(1);
        let is_likely = self.careful == 0 && (is_small(group) || self.careful_of_many == 0);
        let ((head, recorded_at), (time, read)) = (self.end?, self.time?);
        let age = read.elapsed();
        let passed = i64::try_from(age.as_micros()).ok()?;
        let end = End { head, recorded_at, now: time.saturating_add(passed) };
        (is_likely && age < CLOCK_FOR).then_some((end, facts))
    }

    fn hear(&mut self) {
        let Some((end, seen)) = self.news.seen().end.take() else { return };
        // A claim may have begun before the last append of this process ended.
        if self.end.is_none_or(|(head, _)| head.position <= end.head.position) {
            self.end = Some((end.head, end.recorded_at));
            self.time = Some((end.now, seen));
        }
    }

    /// It is so late now, or later.
    pub(super) fn learn_time(&mut self, now: i64) {
        self.time = Some((now, Instant::now()));
    }

    /// The log ends here now, and so do these streams.
    pub(super) fn learn_end(
        &mut self,
        head: Head,
        recorded_at: i64,
        versions: &BTreeMap<String, u64>,
    ) {
        self.end = Some((head, recorded_at));
        let known = &mut self.news.seen().versions;
        for (stream, version) in versions {
            if let Some(known) = known.get_mut(stream) {
                *known = *version;
            }
        }
    }

    /// It was not the end: others append as well.
    pub(super) fn was_behind(&mut self, now: i64) {
        self.learn_time(now);
        self.careful_of_many = CAREFUL;
    }

    /// It was not the end, or what was expected is not so.
    pub(super) fn was_wrong(&mut self, end: Head) {
        *self = Self { wrong_at: Some(end), ..Self::new(self.news.clone()) };
    }

    /// The log ends here: whether it has grown meanwhile.
    pub(super) fn learn_why(&mut self, end: Head) {
        if self.wrong_at.take() == Some(end) {
            self.careful = CAREFUL;
        }
    }

    /// Whether the last words reached the database, nobody knows.
    pub(super) fn forget(&mut self) {
        self.end = None;
    }
}

fn is_small(group: &[WaitingAppend]) -> bool {
    let writes = group.iter().flat_map(|waiting| &waiting.ready.append.writes);
    let bodies = writes.flat_map(|write| &write.events).filter_map(|new| new.payload.as_ref());
    let bytes: usize = bodies.map(|body| body.len()).sum();
    group.len() <= FEW && bytes <= LITTLE
}

/// What the first append that names a stream or a lease expects of it. One that is content with any
/// version expects the one that was `read`. `None`: only the database knows it.
fn expected<'a>(
    appends: impl Iterator<Item = &'a Append>,
    read: &HashMap<String, u64>,
) -> Option<Facts> {
    let mut versions: HashMap<&str, Option<u64>> = HashMap::new();
    let mut facts = Facts::default();
    for append in appends {
        for write in &append.writes {
            let version = match write.expected {
                Expected::Any if write.events.is_empty() => continue,
                Expected::Any => Some(*read.get(&write.stream)?).filter(|version| *version > 0),
                Expected::NoStream | Expected::Version(0) => None,
                Expected::Version(version) => Some(version),
            };
            versions.entry(&write.stream).or_insert(version);
        }
        if let Some(fence) = &append.fence {
            facts.leases.entry(fence.key.clone()).or_insert(fence.epoch);
        }
    }
    let known = versions.into_iter();
    facts.versions = known.filter_map(|(stream, v)| Some((stream.to_owned(), v?))).collect();
    Some(facts)
}
