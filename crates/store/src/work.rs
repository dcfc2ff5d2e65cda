//! Work items: what is to be done next, and who does it.

use std::time::Duration;

pub use aldis_domain::touch::WorkKind;
use aldis_domain::touch::{RELAXED, Touch, URGENT};

/// How often each kind of work was made due by this process, in the most urgent class and in the
/// others: what hints are made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bells([[u64; 2]; WorkKind::ALL.len()]);

/// How many classes there are. One beyond the last counts as the last.
pub(crate) const CLASSES: usize = RELAXED as usize + 1;

/// Names one work item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkKey {
    pub kind: WorkKind,
    pub key: String,
}

/// Makes a work item due. The row is made if there is none; its revision is raised in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkTouch {
    pub key: WorkKey,
    /// 0 is most urgent, 2 the least. If the row has a more urgent class, that one stays.
    pub class: u8,
    /// If the row is due earlier, that stays.
    pub due_in: Duration,
    /// Forget failed attempts, and let `class` and `due_in` replace what the row says.
    pub reset: bool,
}

/// A lease that must still be the row's last one. Epochs are never given out twice. A lease that
/// ran out and that nobody has taken over still counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    pub key: WorkKey,
    pub epoch: u64,
}

/// What work is asked for. A [`WorkKind`] alone means all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    pub kind: WorkKind,
    /// Only items of this class or a more urgent one.
    pub upto: u8,
}

impl From<WorkKind> for Due {
    fn from(kind: WorkKind) -> Self {
        Self { kind, upto: u8::MAX }
    }
}

/// A work item that was leased to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    pub key: WorkKey,
    pub class: u8,
    /// Number of the lease: unique and growing, not consecutive.
    pub epoch: u64,
    /// Of the row when it was claimed.
    pub revision: u64,
    /// Failed attempts since the last reset, without this one.
    pub attempts: u32,
    /// Whether more work of its kind was due than was claimed.
    pub more: bool,
    /// The lease that ran out, if this one replaces it. A lease that a restart of the embedded
    /// store made void is not reported.
    pub took_over: Option<u64>,
}

/// What a look for work came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    pub items: Vec<Claimed>,
    /// If there are none, when the next becomes due; zero if one is, which somebody else is taking.
    pub next_due: Option<Duration>,
}

/// How a lease ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// The row goes, unless it was touched since the claim: then it stays, due as touched.
    Done,
    /// Due again then, or earlier if it was touched since the claim. Failed attempts are forgotten.
    Later(Duration),
    /// Due again as with [`Release::Later`], and the attempt counts as failed.
    Failed(Duration),
}

/// How much of a kind waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Due and not leased.
    pub due: u64,
    /// Leased, and the lease has not run out.
    pub leased: u64,
    /// Not due yet.
    pub later: u64,
    /// How long the longest waiting of the due ones has been due.
    pub oldest: Duration,
}

impl Bells {
    pub(crate) fn ring(&mut self, touch: &WorkTouch) {
        self.add(touch.key.kind, touch.class == URGENT);
    }

    /// For work of which nobody knows how urgent it is.
    pub(crate) fn ring_all(&mut self, kind: WorkKind) {
        self.add(kind, true);
        self.add(kind, false);
    }

    fn add(&mut self, kind: WorkKind, urgent: bool) {
        let rings = &mut self.0[kind as usize][usize::from(urgent)];
        *rings = rings.wrapping_add(1);
    }

    /// The kinds that were made due since `earlier`, and whether in the most urgent class.
    pub fn since(self, earlier: Self) -> impl Iterator<Item = (WorkKind, bool)> {
        let all = WorkKind::ALL.into_iter().flat_map(|kind| [(kind, true), (kind, false)]);
        all.filter(move |(kind, urgent)| {
            let rings = |bells: &Self| bells.0[*kind as usize][usize::from(*urgent)];
            rings(&self) != rings(&earlier)
        })
    }
}

impl WorkKey {
    /// The work item `key` of `kind`.
    pub fn new(kind: WorkKind, key: impl Into<String>) -> Self {
        Self { kind, key: key.into() }
    }
}

impl Claimed {
    /// The fence for appends under this lease.
    pub fn fence(&self) -> Fence {
        Fence { key: self.key.clone(), epoch: self.epoch }
    }
}

impl WorkTouch {
    /// Due now.
    pub fn now(key: WorkKey, class: u8) -> Self {
        Self { key, class, due_in: Duration::ZERO, reset: false }
    }
}

impl From<Touch> for WorkTouch {
    fn from(touch: Touch) -> Self {
        Self {
            key: WorkKey { kind: touch.kind, key: touch.key },
            class: touch.class,
            due_in: Duration::from_millis(touch.due_in_millis),
            reset: false,
        }
    }
}
