//! Everything that can happen next, in words and in deed.

use std::fmt;

use aldis_domain::note::Next;

use super::{Doing, Row, State, StickyNote, Who};

/// A step of one of those who take part, of time, or of fate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Claim(Who),
    /// With what it is about to do.
    GoOn(Who, Doing),
    Land(usize),
    Tick,
    /// A tick that holds an edit up.
    Dawdle,
    RunOut,
    /// The lease runs out while its holder is at work.
    Overrun,
    Wake(Who),
    Want,
    // From here on: faults.
    LoseAnswer(Who),
    LosePost(usize),
    Crash(Who),
    Freeze(Who),
}

impl Action {
    pub(super) fn conceivable(state: &State) -> Vec<Self> {
        let mut all = Vec::new();
        for (who, doing) in state.writers.iter().enumerate() {
            all.push(Self::GoOn(who, doing.clone()));
            all.extend([Self::Claim(who), Self::Wake(who)]);
            all.extend([Self::LoseAnswer(who), Self::Crash(who), Self::Freeze(who)]);
        }
        for post in 0..state.posts.len() {
            all.extend([Self::Land(post), Self::LosePost(post)]);
        }
        all.extend([Self::Tick, Self::Dawdle, Self::RunOut, Self::Overrun, Self::Want]);
        all
    }
}

impl Action {
    pub(super) fn is_fault(&self) -> bool {
        matches!(self, Self::LoseAnswer(_) | Self::LosePost(_) | Self::Crash(_) | Self::Freeze(_))
    }

    /// `None`: it cannot happen now.
    pub(super) fn happen(self, model: &StickyNote, state: &mut State) -> Option<()> {
        match self {
            Self::Claim(who) => state.claim(who),
            Self::GoOn(who, _) => model.go_on(state, who),
            Self::Land(post) => {
                state.land(post);
                Some(())
            }
            Self::Tick => (!state.is_edit_urgent()).then(|| model.pass_time(state))?,
            Self::Dawdle => state.is_edit_urgent().then(|| model.pass_time(state))?,
            Self::RunOut => (!state.is_holder_at_work()).then(|| model.run_out(state))?,
            Self::Overrun => state.is_holder_at_work().then(|| model.run_out(state))?,
            Self::Wake(who) => {
                let Doing::Sending { frozen, .. } = &mut state.writers[who] else { return None };
                std::mem::take(frozen).then_some(())
            }
            Self::Want => {
                let is_written = state.row.is_none() && state.log.id.is_some();
                if !model.edits || !is_written {
                    return None;
                }
                let other = if state.wanted == "one" { "another" } else { "one" };
                other.clone_into(&mut state.wanted);
                state.row = Some(Row { holder: None, leased: false });
                Some(())
            }
            Self::LoseAnswer(who) => match state.writers[who] {
                Doing::Answered { .. } => {
                    state.forget_call(who);
                    state.release(who, false);
                    Some(())
                }
                _ => None,
            },
            Self::LosePost(post) => {
                state.posts.remove(post);
                Some(())
            }
            Self::Crash(who) => {
                state.forget_call(who);
                let was = std::mem::replace(&mut state.writers[who], Doing::Nothing);
                (was != Doing::Nothing).then_some(())
            }
            Self::Freeze(who) => {
                let is_first = !std::mem::replace(&mut state.froze, true);
                let Doing::Sending { frozen, .. } = &mut state.writers[who] else { return None };
                *frozen = true;
                (is_first && model.freezes).then_some(())
            }
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |who: &Who| ["A", "B"][*who];
        match self {
            Self::Claim(who) => write!(f, "{} takes the lease", name(who)),
            Self::GoOn(who, doing) => write!(f, "{} {}", name(who), about(doing)),
            Self::Land(_) => write!(f, "GitLab makes a note"),
            Self::Tick | Self::Dawdle => write!(f, "time passes"),
            Self::RunOut | Self::Overrun => write!(f, "the lease runs out"),
            Self::Wake(who) => write!(f, "{} goes on", name(who)),
            Self::Want => write!(f, "the note should say something else"),
            Self::LoseAnswer(who) => write!(f, "fault: {} gets no answer", name(who)),
            Self::LosePost(_) => write!(f, "fault: GitLab does not get what was sent"),
            Self::Crash(who) => write!(f, "fault: {} dies", name(who)),
            Self::Freeze(who) => write!(f, "fault: {} freezes", name(who)),
        }
    }
}

/// What a process does next.
fn about(doing: &Doing) -> &'static str {
    match doing {
        Doing::Nothing => "rests",
        Doing::Leased => "looks at the log",
        Doing::Decided(Next::Create, _) => "writes down that it will create the note",
        Doing::Decided(Next::Update { .. }, _) => "writes down that it will edit the note",
        Doing::Decided(Next::Resolve(_), _) => "begins to resolve a doubt",
        Doing::Decided(Next::Rest | Next::CompareLater { .. }, _) => "has nothing to do",
        Doing::Resolving { .. } => "reads the list of notes",
        Doing::Listed { .. } => "concludes from the list",
        Doing::Intended { .. } => "looks at the clock",
        Doing::Sending { note: None, .. } => "sends the creation",
        Doing::Sending { note: Some(_), .. } => "edits the note",
        Doing::Calling => "gives the call up",
        Doing::Answered { .. } => "writes down the outcome",
        Doing::Healing => "looks for a second note",
        Doing::HealingBy(_) => "deletes all but the oldest note",
    }
}
