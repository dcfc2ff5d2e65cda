//! One run, the queue that leases it, and two runners that want it.
//!
//! `aldis_domain::run` decides, as it does for `aldis_dispatch`, whose way from the lease to the end
//! is in `queue`. What `aldis_runner` does with a lease is in `runner`. Messages may be lost, late,
//! doubled and overtaken, and whoever acts may crash, freeze or dawdle between any two steps.

mod action;
mod log;
mod queue;
mod runner;

use std::collections::BTreeSet;

use aldis_domain::report::Outcome;
use aldis_domain::run::TEST_ATTEMPTS;
use stateright::{Model, Property};

pub use action::Action;
pub use log::Log;

use crate::check::Story;

/// How long a lease of the store lasts, in ticks. A tracked run's first one is as short.
const LEASE: u8 = 3;
/// How long a tracked run is leased before its attempt begins, in ticks.
const TRACKED_LEASE: u8 = 5;
/// How much earlier than the store a runner takes its lease to be over, in ticks.
const MARGIN: u8 = 1;

/// A runner's number.
pub type Who = usize;

/// What is executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Test,
    Tracked,
}

/// What keeps the run from going wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// A lease that ran out can be taken over.
    LeaseRunsOut,
    /// Every lease has an epoch of its own.
    EpochGrows,
    /// An attempt begins only under the last lease.
    StartIsFenced,
    /// A tracked run's lease is long before its attempt begins, not after.
    LongLeaseFirst,
    /// Whoever asks again, because the answer was lost, is given what it was given before.
    ClaimIsRepeatable,
    /// A heartbeat prolongs the lease.
    HeartbeatExtends,
    /// A runner ends a test run's steps by itself before the lease is over.
    OwnDeadline,
    /// It reckons from before it sent what was answered.
    DeadlineFromSending,
    /// A tracked run is attempted once.
    OneTrackedAttempt,
    /// A test run is attempted twice at most.
    TwoTestAttempts,
    /// A tracked run's steps go on when its lease is over.
    TrackedGoesOn,
    /// The result of an older attempt is refused.
    StaleResultIsRefused,
    /// A result after a result changes nothing.
    FirstResultCounts,
    /// An unknown outcome is corrected by the attempt of which it was unknown.
    LateResultCorrects,
    /// A result is taken until the next attempt begins, not only until the next lease.
    ResultNeedsNoLease,
    /// The work row goes in the append that ends the run.
    RowGoesWithResult,
}

/// The protocol, perhaps without one of its guards.
#[derive(Debug, Clone)]
pub struct RunLease {
    pub kind: Kind,
    pub without: Option<Guard>,
    /// How much may go wrong in one story.
    pub faults: u8,
}

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    pub log: Log,
    pub row: Option<Row>,
    pub claims: [Option<Claim>; 2],
    pub runners: [Runner; 2],
    /// Results on the wire, by epoch. Each may arrive any number of times, or never.
    pub results: BTreeSet<u64>,
    /// A result whose work row is gone and which is not in the log yet.
    pub half_ended: Option<u64>,
    pub faults_left: u8,
    pub history: History,
}

/// The run's work row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Row {
    /// Of the last lease, from 1.
    pub epoch: u64,
    /// Ticks until the lease is over; `None`: not leased.
    pub left: Option<u8>,
}

/// A claim under way: a runner's request and what the queue does about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Ticks since the runner sent it.
    pub age: u8,
    pub stage: Stage,
}

/// How far the queue has come with a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Asked for; `again`: the epoch in the answer that was lost.
    Asked { again: Option<u64> },
    /// The lease is committed. `counts`: an attempt that it ends was lost by its runner.
    Leased { epoch: u64, counts: bool, long: bool },
    /// The attempt is in the log; the lease is to be made long.
    Started { epoch: u64 },
    /// The answer is on its way.
    Answered { epoch: u64 },
}

impl Stage {
    /// Of the lease that the claim led to.
    fn epoch(self) -> Option<u64> {
        match self {
            Self::Asked { again } => again,
            Self::Leased { epoch, .. } | Self::Started { epoch } | Self::Answered { epoch } => {
                Some(epoch)
            }
        }
    }
}

/// A runner, of one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Runner {
    pub doing: Doing,
    pub frozen: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Doing {
    Nothing,
    /// For the answer to its claim.
    Waiting,
    /// `left`: ticks until it takes its lease to be over.
    Working {
        epoch: u64,
        left: u8,
        beat: Option<Beat>,
    },
    /// The steps have ended, and the queue has not answered to the result.
    Telling {
        epoch: u64,
    },
}

/// A heartbeat under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Beat {
    /// Ticks since it was sent.
    pub age: u8,
    pub answer: Option<Answer>,
}

/// The queue's answer to a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The lease is prolonged.
    Kept,
    /// It is not, and the steps go on none the less.
    GoOn,
    Stop,
}

/// What happened, as far as a property asks for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct History {
    /// How often steps have begun, counted up to 2.
    pub begun: u8,
    pub was_unknown: bool,
    /// Results that were taken, counted up to 2.
    pub results: u8,
    /// One of them was of an older attempt.
    pub took_stale: bool,
    /// The last attempt of a tracked run told its result, and it was not taken.
    pub refused_last: bool,
    /// An attempt was given up although its runner kept its lease.
    pub gave_up_alive: bool,
    /// A tracked run's steps were ended for its lease, and nobody had canceled it.
    pub killed: bool,
    /// Somebody crashed, froze or dawdled.
    pub somebody_failed: bool,
    pub froze: bool,
}

pub const ONE_RESULT: &str = "one result is taken";
pub const NEWEST_RESULT: &str = "it is the newest attempt's";
pub const BEGUN_ONCE: &str = "a tracked run's steps begin at most once";
pub const ONE_AT_A_TIME: &str = "no two runners execute it at once, unless one is frozen";
pub const FEW_ATTEMPTS: &str = "a test run has at most two attempts";
pub const NOT_GIVEN_UP: &str = "a runner that keeps its lease is not given up";
pub const LOSS_IS_HARMLESS: &str = "lost messages alone make no run lost or unknown";
pub const RESULT_IS_HEARD: &str = "the last attempt of a tracked run is heard, however late";
pub const NOT_KILLED: &str = "a tracked run's steps are not ended for its lease";

impl RunLease {
    pub(crate) fn has(&self, guard: Guard) -> bool {
        self.without != Some(guard)
    }

    fn is_tracked(&self) -> bool {
        self.kind == Kind::Tracked
    }

    /// What a heartbeat prolongs the lease to, in ticks.
    fn lease(&self) -> u8 {
        if self.is_tracked() { TRACKED_LEASE } else { LEASE }
    }

    /// How long a runner takes its lease to last, in ticks since it sent what was answered.
    fn own_lease(&self) -> u8 {
        self.lease() - MARGIN
    }
}

impl State {
    /// The runners that execute the run and could be told to end.
    fn executing(&self) -> usize {
        let works = |it: &&Runner| !it.frozen && matches!(it.doing, Doing::Working { .. });
        self.runners.iter().filter(works).count()
    }

    fn outcome(&self) -> Option<Outcome> {
        self.log.run().finished.as_ref().map(|finished| finished.outcome)
    }
}

impl Model for RunLease {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            log: Log::requested(self.kind),
            row: Some(Row { epoch: 0, left: None }),
            claims: [None; 2],
            runners: [Runner { doing: Doing::Nothing, frozen: false }; 2],
            results: BTreeSet::new(),
            half_ended: None,
            faults_left: self.faults,
            history: History::default(),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.extend(Action::conceivable(state));
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        if action.is_fault() {
            state.faults_left = state.faults_left.checked_sub(1)?;
        }
        action.happen(self, &mut state)?;
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = vec![
            Property::always(ONE_RESULT, |_, s: &State| s.history.results <= 1),
            Property::always(NEWEST_RESULT, |_, s: &State| !s.history.took_stale),
            Property::always(ONE_AT_A_TIME, |_, s: &State| s.executing() <= 1 || s.history.froze),
            Property::always(NOT_GIVEN_UP, |_, s: &State| !s.history.gave_up_alive),
            Property::always(LOSS_IS_HARMLESS, |_, s: &State| {
                let vanished = matches!(s.outcome(), Some(Outcome::Lost | Outcome::Unknown));
                !vanished || s.history.somebody_failed
            }),
            Property::sometimes("it passes", |_, s: &State| s.outcome() == Some(Outcome::Passed)),
            Property::sometimes("it is canceled", |_, s: &State| {
                s.outcome() == Some(Outcome::Canceled)
            }),
        ];
        all.extend(match self.kind {
            Kind::Test => vec![
                Property::always(FEW_ATTEMPTS, |_, s: &State| {
                    s.log.run().attempts <= TEST_ATTEMPTS
                }),
                Property::sometimes("it passes at the second attempt", |_, s: &State| {
                    s.outcome() == Some(Outcome::Passed) && s.log.run().attempts == 2
                }),
                Property::sometimes("it is lost", |_, s: &State| {
                    s.outcome() == Some(Outcome::Lost)
                }),
                Property::sometimes("a frozen runner wakes beside another", |_, s: &State| {
                    s.executing() == 2
                }),
            ],
            Kind::Tracked => vec![
                Property::always(BEGUN_ONCE, |_, s: &State| s.history.begun <= 1),
                Property::always(RESULT_IS_HEARD, |_, s: &State| !s.history.refused_last),
                Property::always(NOT_KILLED, |_, s: &State| !s.history.killed),
                Property::sometimes("it is unknown", |_, s: &State| {
                    s.outcome() == Some(Outcome::Unknown)
                }),
                Property::sometimes("unknown is corrected", |_, s: &State| {
                    s.outcome() == Some(Outcome::Passed) && s.history.was_unknown
                }),
            ],
        });
        all
    }
}

impl Story for RunLease {
    fn is_fault(&self, action: &Action) -> bool {
        action.is_fault()
    }

    fn is_over(&self, state: &State) -> bool {
        state.outcome().is_some() && state.row.is_none()
    }
}
