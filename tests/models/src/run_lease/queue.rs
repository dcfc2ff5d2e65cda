//! What the queue does, step by step: `aldis_dispatch` over the store.

use aldis_domain::report::{Outcome, Report};
use aldis_domain::run::{Phase, Rejection, Run, RunCommand, decide};

use super::{Answer, Claim, Doing, Guard, LEASE, Row, RunLease, Stage, State, TRACKED_LEASE, Who};

impl Row {
    fn is_due(self) -> bool {
        matches!(self.left, None | Some(0))
    }
}

impl State {
    /// Whether the lease of `epoch` is the last one. One that ran out still is.
    fn holds(&self, epoch: u64) -> bool {
        self.row.is_some_and(|row| row.epoch == epoch && row.left.is_some())
    }

    fn prolong(&mut self, epoch: u64, ticks: u8) -> bool {
        let holds = self.holds(epoch);
        if let Some(row) = self.row.as_mut().filter(|_| holds) {
            row.left = Some(ticks);
        }
        holds
    }

    fn reach(&mut self, who: Who, stage: Stage) {
        if let Some(claim) = &mut self.claims[who] {
            claim.stage = stage;
        }
    }

    /// Ends a claim without a run for the runner.
    pub(super) fn drop_claim(&mut self, who: Who) {
        self.claims[who] = None;
        if self.runners[who].doing == Doing::Waiting {
            self.runners[who].doing = Doing::Nothing;
        }
    }

    /// The attempt does not count, and the next one may begin at once.
    pub(super) fn take_back(&mut self, epoch: u64) {
        if self.holds(epoch) {
            self.log.decide(RunCommand::Lose { epoch, counts: false });
            let is_over = self.log.run().finished.is_some();
            self.row = (!is_over).then_some(Row { epoch, left: Some(0) });
        }
    }

    pub(super) fn can_be_claimed(&self, model: &RunLease) -> bool {
        let runs_out = model.has(Guard::LeaseRunsOut);
        self.row.is_some_and(|row| row.is_due() && (runs_out || row.left.is_none()))
    }
}

impl RunLease {
    /// Takes the lease, which is committed alone, or finds that nothing is due.
    pub(super) fn serve_claim(&self, state: &mut State, who: Who) -> Option<()> {
        let Stage::Asked { again } = state.claims[who]?.stage else { return None };
        if let Some(epoch) = again.filter(|epoch| state.holds(*epoch)) {
            let run = state.log.run();
            let has_begun = run.running && run.epoch == Some(epoch);
            state.prolong(epoch, self.lease());
            let leased = Stage::Leased { epoch, counts: false, long: true };
            state.reach(who, if has_begun { Stage::Answered { epoch } } else { leased });
            return Some(());
        }
        let Some(row) = state.row.filter(|_| state.can_be_claimed(self)) else {
            state.drop_claim(who);
            return Some(());
        };
        let epoch = if self.has(Guard::EpochGrows) { row.epoch + 1 } else { 1 };
        state.row = Some(Row { epoch, left: Some(LEASE) });
        state.reach(who, Stage::Leased { epoch, counts: row.left.is_some(), long: false });
        Some(())
    }

    /// Makes a tracked run's lease a long one.
    pub(super) fn make_long(&self, state: &mut State, who: Who) -> Option<()> {
        let first = self.has(Guard::LongLeaseFirst);
        let (epoch, next) = match state.claims[who]?.stage {
            Stage::Leased { epoch, counts, long: false } if self.is_tracked() && first => {
                (epoch, Stage::Leased { epoch, counts, long: true })
            }
            Stage::Started { epoch } => (epoch, Stage::Answered { epoch }),
            _ => return None,
        };
        state.prolong(epoch, TRACKED_LEASE);
        state.reach(who, next);
        Some(())
    }

    /// Begins an attempt under the lease. One that was under way is lost by that.
    pub(super) fn start(&self, state: &mut State, who: Who) -> Option<()> {
        let Stage::Leased { epoch, counts, long } = state.claims[who]?.stage else { return None };
        let first = self.is_tracked() && self.has(Guard::LongLeaseFirst);
        if first && !long {
            return None;
        }
        if self.has(Guard::StartIsFenced) && !state.holds(epoch) {
            state.reach(who, Stage::Asked { again: None });
            return Some(());
        }
        if let (true, Some(lost)) = (state.log.run().running, state.log.run().epoch) {
            state.history.gave_up_alive |= self.keeps_its_lease(state, lost);
            self.lose(state, lost, counts);
        }
        if matches!(state.log.run().phase(), Phase::Finished(_)) {
            state.row = None;
            state.reach(who, Stage::Asked { again: None });
            return Some(());
        }
        match decide(state.log.run(), RunCommand::Start { epoch, runner: who.to_string() }) {
            Ok(events) => {
                state.log.append(&events);
                let is_done = first || !self.is_tracked();
                let next =
                    if is_done { Stage::Answered { epoch } } else { Stage::Started { epoch } };
                state.reach(who, next);
            }
            Err(Rejection::Absent | Rejection::Over) => state.row = None,
            Err(Rejection::Stale) => state.drop_claim(who),
        }
        Some(())
    }

    fn lose(&self, state: &mut State, epoch: u64, counts: bool) {
        let Ok(mut events) = decide(state.log.run(), RunCommand::Lose { epoch, counts }) else {
            return;
        };
        let goes_on = match self.without {
            Some(Guard::OneTrackedAttempt) => self.is_tracked(),
            Some(Guard::TwoTestAttempts) => !self.is_tracked(),
            _ => false,
        };
        if goes_on {
            events.truncate(1);
        }
        state.log.append(&events);
        state.history.was_unknown |= state.outcome() == Some(Outcome::Unknown);
    }

    pub(super) fn answer_beat(&self, state: &mut State, epoch: u64) -> Answer {
        let run = state.log.run();
        let (is_ours, is_awaited) = (run.epoch == Some(epoch), run.awaits(epoch));
        let extends = self.has(Guard::HeartbeatExtends);
        let goes_on = self.is_tracked() && self.has(Guard::TrackedGoesOn) && is_awaited;
        if is_ours && state.holds(epoch) {
            extends.then(|| state.prolong(epoch, self.lease()));
            Answer::Kept
        } else if goes_on {
            Answer::GoOn
        } else {
            Answer::Stop
        }
    }

    /// A result arrives.
    pub(super) fn take(&self, state: &mut State, epoch: u64) {
        let run = state.log.run();
        let is_last = run.epoch == Some(epoch);
        let was_awaited = run.awaits(epoch);
        if self.would_take(state, epoch) {
            state.history.took_stale |= !is_last;
            state.row = None;
            if self.has(Guard::RowGoesWithResult) {
                self.append_result(state, epoch);
            } else {
                state.half_ended = Some(epoch);
            }
        } else if state.half_ended.is_none() {
            state.history.refused_last |= self.is_tracked() && was_awaited;
        }
    }

    fn would_take(&self, state: &State, epoch: u64) -> bool {
        let is_over = state.log.run().finished.is_some();
        let fenced_off = !self.has(Guard::ResultNeedsNoLease) && !is_over && !state.holds(epoch);
        let too_late = !self.has(Guard::LateResultCorrects) && is_over;
        state.half_ended.is_none()
            && !fenced_off
            && !too_late
            && decide(&self.judged(state), self.finish(state, epoch)).is_ok()
    }

    pub(super) fn append_result(&self, state: &mut State, epoch: u64) {
        if let Ok(events) = decide(&self.judged(state), self.finish(state, epoch)) {
            state.history.results = 2.min(state.history.results + 1);
            state.log.append(&events);
        }
    }

    /// The run as a result is judged by.
    fn judged(&self, state: &State) -> Run {
        let mut run = state.log.run().clone();
        if !self.has(Guard::FirstResultCounts) && run.finished.take().is_some() {
            run.running = true;
        }
        run
    }

    fn finish(&self, state: &State, epoch: u64) -> RunCommand {
        let newest = state.log.run().epoch.filter(|_| !self.has(Guard::StaleResultIsRefused));
        RunCommand::Finish {
            epoch: newest.unwrap_or(epoch),
            outcome: Outcome::Passed,
            report: Report::default(),
        }
    }

    /// Whether some runner rightly takes the lease of `epoch` to be its own.
    fn keeps_its_lease(&self, state: &State, epoch: u64) -> bool {
        let keeps = |claim: &Claim| match claim.stage {
            Stage::Started { epoch: of } | Stage::Answered { epoch: of } => {
                of == epoch && claim.age < self.own_lease()
            }
            _ => false,
        };
        let works = state.runners.iter().any(|runner| match runner.doing {
            Doing::Working { epoch: of, left, .. } => of == epoch && left > 0 && !runner.frozen,
            _ => false,
        });
        works || state.claims.iter().flatten().any(keeps)
    }
}
