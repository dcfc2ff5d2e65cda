//! Everything that can happen next, in words and in deed.

use std::fmt;

use aldis_domain::event::EndReason;
use aldis_domain::run::RunCommand;

use super::{Doing, RunLease, State, Who};

/// A step of one of those who take part, of time, or of fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Ask(Who),
    ServeClaim(Who),
    MakeLong(Who),
    Start(Who),
    HearClaim(Who),
    Beat(Who),
    ServeBeat(Who),
    HearBeat(Who),
    EndSteps(Who),
    GiveUp(Who),
    Tell(Who),
    Take(u64),
    AppendResult,
    Tick,
    Wake(Who),
    // From here on: what need not happen.
    LoseClaim(Who),
    LoseBeat(Who),
    LoseAnswerTo(u64),
    LoseResult(u64),
    Crash(Who),
    CrashBetween,
    Freeze(Who),
    Dawdle,
    HandBack(Who),
    Cancel,
}

impl Action {
    /// All that is worth trying; what cannot happen is told by [`Action::happen`].
    pub(super) fn conceivable(state: &State) -> Vec<Self> {
        let of_a_runner: [fn(Who) -> Self; 17] = [
            Self::Ask,
            Self::ServeClaim,
            Self::MakeLong,
            Self::Start,
            Self::HearClaim,
            Self::Beat,
            Self::ServeBeat,
            Self::HearBeat,
            Self::EndSteps,
            Self::GiveUp,
            Self::Tell,
            Self::Wake,
            Self::LoseClaim,
            Self::LoseBeat,
            Self::Crash,
            Self::Freeze,
            Self::HandBack,
        ];
        let mut all = vec![Self::AppendResult, Self::Tick];
        for who in 0..state.runners.len() {
            all.extend(of_a_runner.map(|action| action(who)));
        }
        for epoch in &state.results {
            all.extend([Self::Take(*epoch), Self::LoseAnswerTo(*epoch), Self::LoseResult(*epoch)]);
        }
        all.extend([Self::CrashBetween, Self::Dawdle, Self::Cancel]);
        all
    }

    pub(super) fn is_fault(self) -> bool {
        matches!(
            self,
            Self::LoseClaim(_)
                | Self::LoseBeat(_)
                | Self::LoseAnswerTo(_)
                | Self::LoseResult(_)
                | Self::Crash(_)
                | Self::CrashBetween
                | Self::Freeze(_)
                | Self::Dawdle
                | Self::HandBack(_)
                | Self::Cancel
        )
    }

    /// `None`: it cannot happen now.
    pub(super) fn happen(self, model: &RunLease, state: &mut State) -> Option<()> {
        match self {
            Self::Ask(who) => model.ask(state, who),
            Self::ServeClaim(who) => model.serve_claim(state, who),
            Self::MakeLong(who) => model.make_long(state, who),
            Self::Start(who) => model.start(state, who),
            Self::HearClaim(who) => model.hear_claim(state, who),
            Self::Beat(who) => model.beat(state, who),
            Self::ServeBeat(who) => model.serve_beat(state, who),
            Self::HearBeat(who) => model.hear_beat(state, who),
            Self::EndSteps(who) => state.end_steps(who),
            Self::GiveUp(who) => model.give_up(state, who),
            Self::Tell(who) => state.tell(who),
            Self::Take(epoch) => {
                model.take(state, epoch);
                state.hear_end(epoch);
                Some(())
            }
            Self::AppendResult => {
                let epoch = state.half_ended.take()?;
                model.append_result(state, epoch);
                Some(())
            }
            Self::Tick => (!model.is_late(state)).then(|| model.pass_time(state))?,
            Self::Wake(who) => std::mem::take(&mut state.runners[who].frozen).then_some(()),
            Self::LoseClaim(who) => model.lose_claim(state, who),
            Self::LoseBeat(who) => state.lose_beat(who),
            Self::LoseAnswerTo(epoch) => {
                model.take(state, epoch);
                Some(())
            }
            Self::LoseResult(epoch) => state.results.remove(&epoch).then_some(()),
            Self::Crash(who) => state.crash(who),
            Self::CrashBetween => state.crash_between(),
            Self::Freeze(who) => state.freeze(who),
            Self::Dawdle => {
                state.history.somebody_failed = true;
                model.is_late(state).then(|| model.pass_time(state))?
            }
            Self::HandBack(who) => state.hand_back(who),
            Self::Cancel => {
                let is_new = state.log.run().cancel.is_none() && state.outcome().is_none();
                let reason = EndReason::Closed;
                is_new.then(|| state.log.decide(RunCommand::Cancel { reason }))
            }
        }
    }
}

impl State {
    fn crash(&mut self, who: Who) -> Option<()> {
        let runner = &mut self.runners[who];
        let is_busy = runner.doing != Doing::Nothing;
        (runner.doing, runner.frozen) = (Doing::Nothing, false);
        self.history.somebody_failed = true;
        is_busy.then_some(())
    }

    /// Where one process holds the queue and the runners, they die together.
    fn crash_between(&mut self) -> Option<()> {
        self.half_ended.take()?;
        self.claims = [None; 2];
        self.results.clear();
        for runner in &mut self.runners {
            runner.doing = Doing::Nothing;
        }
        Some(())
    }

    /// Once in a story.
    fn freeze(&mut self, who: Who) -> Option<()> {
        let is_busy = self.runners[who].doing != Doing::Nothing;
        let is_first = !std::mem::replace(&mut self.history.froze, true);
        self.history.somebody_failed = true;
        self.runners[who].frozen = true;
        (is_busy && is_first).then_some(())
    }
}

impl RunLease {
    /// Whether a lease would run out in the next tick although whoever holds it could act: then that
    /// the tick comes first is a fault.
    fn is_late(&self, state: &State) -> bool {
        let ends = state.row.filter(|row| row.left == Some(1)).map(|row| row.epoch);
        let late = |who: Who| match state.runners[who].doing {
            Doing::Working { epoch, left, .. } => left == 1 || Some(epoch) == ends,
            Doing::Telling { epoch } => Some(epoch) == ends,
            Doing::Nothing | Doing::Waiting => state.claims[who].is_some_and(|claim| {
                let epoch = claim.stage.epoch();
                claim.age + 1 == self.own_lease() || (epoch.is_some() && epoch == ends)
            }),
        };
        [0, 1].into_iter().any(|who| !state.runners[who].frozen && late(who))
    }

    fn pass_time(&self, state: &mut State) -> Option<()> {
        if [0, 1].into_iter().any(|who| self.must_give_up(state, who)) {
            return None;
        }
        let oldest = self.lease();
        if let Some(left) = state.row.as_mut().and_then(|row| row.left.as_mut()) {
            *left = left.saturating_sub(1);
        }
        for claim in state.claims.iter_mut().flatten() {
            claim.age = oldest.min(claim.age + 1);
        }
        for runner in &mut state.runners {
            if let Doing::Working { left, beat, .. } = &mut runner.doing {
                *left = left.saturating_sub(1);
                if let Some(beat) = beat {
                    beat.age = oldest.min(beat.age + 1);
                }
            }
        }
        Some(())
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |who: &Who| ["runner A", "runner B"][*who];
        match self {
            Self::Ask(who) => write!(f, "{} asks for a run", name(who)),
            Self::ServeClaim(who) => write!(f, "the queue leases to {} what is due", name(who)),
            Self::MakeLong(who) => write!(f, "the queue makes {}'s lease long", name(who)),
            Self::Start(who) => write!(f, "the queue appends {}'s attempt", name(who)),
            Self::HearClaim(who) => write!(f, "{} hears the answer", name(who)),
            Self::Beat(who) => write!(f, "{} sends a heartbeat", name(who)),
            Self::ServeBeat(who) => write!(f, "the queue answers {}'s heartbeat", name(who)),
            Self::HearBeat(who) => write!(f, "{} hears the answer to its heartbeat", name(who)),
            Self::EndSteps(who) => write!(f, "{}'s steps end, and it tells so", name(who)),
            Self::GiveUp(who) => write!(f, "{} ends its steps in time", name(who)),
            Self::Tell(who) => write!(f, "{} tells its result again", name(who)),
            Self::Take(epoch) => write!(f, "the result of epoch {epoch} arrives"),
            Self::AppendResult => write!(f, "the queue appends the result"),
            Self::Tick => write!(f, "time passes"),
            Self::Wake(who) => write!(f, "{} goes on", name(who)),
            Self::LoseClaim(who) => write!(f, "fault: {} gets no answer to its claim", name(who)),
            Self::LoseBeat(who) => write!(f, "fault: {}'s heartbeat is lost", name(who)),
            Self::LoseAnswerTo(epoch) => {
                write!(f, "fault: the result of epoch {epoch} arrives, its answer is lost")
            }
            Self::LoseResult(epoch) => write!(f, "fault: the result of epoch {epoch} is lost"),
            Self::Crash(who) => write!(f, "fault: {} dies", name(who)),
            Self::CrashBetween => {
                write!(f, "fault: the process of all of them dies before the result is appended")
            }
            Self::Freeze(who) => write!(f, "fault: {} freezes", name(who)),
            Self::Dawdle => write!(f, "fault: time passes, and a lease with it"),
            Self::HandBack(who) => write!(f, "{} is stopped and hands the run back", name(who)),
            Self::Cancel => write!(f, "the run is canceled"),
        }
    }
}
