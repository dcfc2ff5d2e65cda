//! The one comment on a merge request, GitLab, and two processes that want to write it.
//!
//! `aldis_domain::note` decides what comes next and what a list tells; what `aldis_feedback` does
//! about it is in `writer`. GitLab may do late what it was asked, or never, and answer or not. A
//! process may crash or dawdle between any two steps, and freeze where it must not dawdle.

mod action;
mod writer;

use std::collections::BTreeMap;

use aldis_domain::note::{
    CALL_SECONDS, InDoubt, LANDS_WITHIN_SECONDS, Listed, Next, Note, QUIET_SECONDS,
    SEND_WITHIN_SECONDS,
};
use stateright::{Model, Property};

pub use action::Action;

use crate::check::Story;

/// The times of the domain, in ticks. What matters is that the quiet period is the sum of the others,
/// so each is as short as can be.
const SEND_WITHIN: u64 = 1;
const LEAVES_WITHIN: u64 = 1;
const LANDS_WITHIN: u64 = 1;
const QUIET: u64 = SEND_WITHIN + LEAVES_WITHIN + LANDS_WITHIN;
const _: () = assert!(QUIET_SECONDS == SEND_WITHIN_SECONDS + CALL_SECONDS + LANDS_WITHIN_SECONDS);

/// A process's number.
pub type Who = usize;

/// What keeps the comment one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// A lease that ran out can be taken over.
    LeaseRunsOut,
    /// What is to be written is in the log before it is sent.
    IntentFirst,
    /// An intent is appended only under the last lease.
    IntentIsFenced,
    /// An outcome is appended only under the last lease.
    OutcomeIsFenced,
    /// What is in doubt is looked for before anything is written again.
    ReadFirst,
    /// A creation that is not found is repeated only after a while.
    QuietPeriod,
    /// How long that is going is asked before the list is read, not after.
    AgeBeforeList,
    /// A creation is sent only while its intent is young.
    SendSoon,
    /// A call that has not left after a while is given up.
    CallEnds,
    /// Who has created looks for a second one, also if it lost the lease meanwhile.
    HealAfterCreation,
    /// Once a creation was given up, each edit looks for a second one.
    HealAfterEdit,
}

/// The protocol, perhaps without one of its guards.
#[derive(Debug, Clone)]
pub struct StickyNote {
    pub without: Option<Guard>,
    /// How much may go wrong in one story.
    pub faults: u8,
    /// Whether a process may freeze between its last look at the clock and its call.
    pub freezes: bool,
    /// Whether there are edits once the note stands.
    pub edits: bool,
}

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// The note's stream, as what its events add up to.
    pub log: Note,
    /// Ticks since the last intent, up to the quiet period.
    pub intent_age: u64,
    /// The note's work row; `None`: nothing is to be done.
    pub row: Option<Row>,
    pub writers: [Doing; 2],
    /// Creations under way, oldest first.
    pub posts: Vec<Post>,
    /// Notes that people see, with the digests of their bodies.
    pub shown: BTreeMap<u64, String>,
    /// How many notes were ever made.
    pub made: u64,
    /// Digest of the body that should stand.
    pub wanted: String,
    pub faults_left: u8,
    /// A process froze.
    pub froze: bool,
    /// Since then somebody was cut off: from GitLab's answer, or from the log while it healed.
    pub cut_off: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Row {
    /// Who has the last lease. That is its epoch: who takes it anew has forgotten the one before.
    pub holder: Option<Who>,
    /// Nobody may take it. How long a lease lasts does not matter here, so it may end at any time.
    pub leased: bool,
}

/// A creation that was sent and is not done yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Post {
    /// Ticks since its call began.
    pub age: u64,
    /// Who waits for the answer.
    pub by: Option<Who>,
    pub digest: String,
}

/// What a process is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Doing {
    Nothing,
    /// It has the lease and is to look at the log.
    Leased,
    Decided(Next, String),
    /// It resolves a doubt. `age`: of the intent, in ticks, if that was asked already.
    Resolving {
        in_doubt: InDoubt,
        age: Option<u64>,
    },
    Listed {
        in_doubt: InDoubt,
        age: Option<u64>,
        listed: Vec<Listed>,
    },
    /// The intent is in the log, since `age` ticks.
    Intended {
        note: Option<u64>,
        digest: String,
        age: u64,
    },
    /// It has looked at the clock, and the call is its next instruction.
    Sending {
        note: Option<u64>,
        digest: String,
        frozen: bool,
    },
    /// It waits for the answer to a creation.
    Calling,
    Answered {
        note: u64,
        digest: String,
        created: bool,
    },
    Healing,
    HealingBy(Vec<Listed>),
}

pub const ONE_NOTE: &str = "nobody sees two notes, unless a process froze";
pub const AT_MOST_TWO: &str = "a freeze makes at most one more";
pub const NONE_IS_LEFT: &str = "whoever made it and is not cut off leaves one";

impl State {
    fn is_at_rest(&self) -> bool {
        let nobody = self.writers.iter().all(|doing| *doing == Doing::Nothing);
        nobody && self.row.is_none() && self.posts.is_empty()
    }
}

impl StickyNote {
    fn has(&self, guard: Guard) -> bool {
        self.without != Some(guard)
    }

    /// How long a creation may be under way, in ticks.
    fn under_way(&self) -> u64 {
        let leaves_within = LEAVES_WITHIN + u64::from(!self.has(Guard::CallEnds));
        leaves_within + LANDS_WITHIN
    }
}

impl Model for StickyNote {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            log: Note::default(),
            intent_age: 0,
            row: Some(Row { holder: None, leased: false }),
            writers: [Doing::Nothing, Doing::Nothing],
            posts: Vec::new(),
            shown: BTreeMap::new(),
            made: 0,
            wanted: "one".to_owned(),
            faults_left: self.faults,
            froze: false,
            cut_off: false,
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
        state.posts.sort();
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = vec![
            Property::always(ONE_NOTE, |_, s: &State| s.shown.len() <= 1 || s.froze),
            Property::sometimes("a creation lands after its lease is over", |_, s: &State| {
                s.made == 1
                    && s.log.in_doubt.is_some()
                    && s.row.is_some_and(|row| row.holder.is_some() && !row.leased)
            }),
            Property::sometimes("a creation is repeated", |_, s: &State| {
                s.log.given_up && s.log.id.is_some()
            }),
            Property::sometimes("both processes are about it", |_, s: &State| {
                s.writers.iter().all(|doing| *doing != Doing::Nothing)
            }),
        ];
        if self.edits {
            all.push(Property::sometimes("an edit is in doubt", |_, s: &State| {
                s.log.in_doubt.as_ref().is_some_and(|doubt| doubt.note.is_some())
            }));
        }
        if self.freezes {
            all.extend([
                Property::always(AT_MOST_TWO, |_, s: &State| s.shown.len() <= 2),
                Property::always(NONE_IS_LEFT, |_, s: &State| {
                    s.shown.len() <= 1 || s.cut_off || !s.is_at_rest()
                }),
                Property::sometimes("two are seen", |_, s: &State| s.shown.len() == 2),
            ]);
        }
        all
    }
}

impl Story for StickyNote {
    fn is_fault(&self, action: &Action) -> bool {
        // An edit that is held up or overtaken is in doubt, and that would heal.
        action.is_fault() || matches!(action, Action::Dawdle | Action::Overrun)
    }

    /// One note says what it should, the log knows it, and nobody has anything left to do.
    fn is_over(&self, state: &State) -> bool {
        let right = |(note, body): (&u64, &String)| {
            state.log.id == Some(*note) && *body == state.wanted && state.log.in_doubt.is_none()
        };
        state.shown.len() == 1 && state.shown.iter().all(right) && state.is_at_rest()
    }
}
