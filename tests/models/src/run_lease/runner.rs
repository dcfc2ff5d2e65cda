//! What a runner does with its lease: `aldis_runner`'s slot, lease and job.

use super::{Answer, Beat, Claim, Doing, Guard, RunLease, Stage, State, Who};

impl RunLease {
    pub(super) fn ask(&self, state: &mut State, who: Who) -> Option<()> {
        let is_free = state.awake(who)? == Doing::Nothing && state.claims[who].is_none();
        if !is_free || !state.can_be_claimed(self) {
            return None;
        }
        state.runners[who].doing = Doing::Waiting;
        state.claims[who] = Some(Claim { age: 0, stage: Stage::Asked { again: None } });
        Some(())
    }

    /// The answer to its claim arrives, and the steps begin.
    pub(super) fn hear_claim(&self, state: &mut State, who: Who) -> Option<()> {
        let Claim { age, stage: Stage::Answered { epoch } } = state.claims[who]? else {
            return None;
        };
        let doing = state.awake(who)?;
        state.drop_claim(who);
        let left = self.left(age);
        let too_late = left == 0 && self.ends_in_time();
        if doing == Doing::Waiting && !too_late {
            state.runners[who].doing = Doing::Working { epoch, left, beat: None };
            state.history.begun = 2.min(state.history.begun + 1);
        }
        Some(())
    }

    /// The answer to its claim does not arrive.
    pub(super) fn lose_claim(&self, state: &mut State, who: Who) -> Option<()> {
        let stage = state.claims[who]?.stage;
        let is_waited_for = state.runners[who].doing == Doing::Waiting;
        if matches!(stage, Stage::Asked { .. }) {
            return None;
        }
        state.drop_claim(who);
        if self.has(Guard::ClaimIsRepeatable) && is_waited_for {
            let again = stage.epoch();
            state.runners[who].doing = Doing::Waiting;
            state.claims[who] = Some(Claim { age: 0, stage: Stage::Asked { again } });
        }
        Some(())
    }

    pub(super) fn beat(&self, state: &mut State, who: Who) -> Option<()> {
        let Doing::Working { left, beat: beat @ None, .. } = state.awake_mut(who)? else {
            return None;
        };
        // A first one at once would change nothing.
        if *left == self.own_lease() {
            return None;
        }
        *beat = Some(Beat { age: 0, answer: None });
        Some(())
    }

    pub(super) fn serve_beat(&self, state: &mut State, who: Who) -> Option<()> {
        let Doing::Working { epoch, beat: Some(Beat { answer: None, .. }), .. } =
            state.runners[who].doing
        else {
            return None;
        };
        let answer = self.answer_beat(state, epoch);
        if let Doing::Working { beat: Some(beat), .. } = &mut state.runners[who].doing {
            beat.answer = Some(answer);
        }
        Some(())
    }

    pub(super) fn hear_beat(&self, state: &mut State, who: Who) -> Option<()> {
        let doing = state.awake_mut(who)?;
        let Doing::Working { left, beat, .. } = doing else { return None };
        let Beat { age, answer } = (*beat)?;
        *beat = None;
        match answer? {
            Answer::Kept => *left = self.left(age).max(*left),
            Answer::GoOn => {}
            Answer::Stop => {
                *doing = Doing::Nothing;
                let is_canceled = state.log.run().cancel.is_some();
                state.history.killed |= self.is_tracked() && !is_canceled;
            }
        }
        Some(())
    }

    /// Ends the steps because its lease is nearly over.
    pub(super) fn give_up(&self, state: &mut State, who: Who) -> Option<()> {
        if !self.must_give_up(state, who) {
            return None;
        }
        state.runners[who].doing = Doing::Nothing;
        Some(())
    }

    /// Whether it does so before time goes on.
    pub(super) fn must_give_up(&self, state: &State, who: Who) -> bool {
        let is_over = matches!(state.awake(who), Some(Doing::Working { left: 0, .. }));
        is_over && self.ends_in_time()
    }

    fn ends_in_time(&self) -> bool {
        !self.is_tracked() && self.has(Guard::OwnDeadline)
    }

    /// Ticks of its lease that are left, by an answer to what it sent `age` ago.
    fn left(&self, age: u8) -> u8 {
        let age = if self.has(Guard::DeadlineFromSending) { age } else { 0 };
        self.own_lease().saturating_sub(age)
    }
}

impl State {
    /// What the runner is about, if it is not frozen.
    fn awake(&self, who: Who) -> Option<Doing> {
        let runner = self.runners[who];
        (!runner.frozen).then_some(runner.doing)
    }

    fn awake_mut(&mut self, who: Who) -> Option<&mut Doing> {
        let runner = &mut self.runners[who];
        (!runner.frozen).then_some(&mut runner.doing)
    }

    pub(super) fn lose_beat(&mut self, who: Who) -> Option<()> {
        let Doing::Working { beat, .. } = &mut self.runners[who].doing else { return None };
        beat.take().map(drop)
    }

    /// The steps end by themselves.
    pub(super) fn end_steps(&mut self, who: Who) -> Option<()> {
        let Doing::Working { epoch, .. } = self.awake(who)? else { return None };
        self.runners[who].doing = Doing::Telling { epoch };
        self.results.insert(epoch);
        Some(())
    }

    /// Tells the result once more.
    pub(super) fn tell(&mut self, who: Who) -> Option<()> {
        let Doing::Telling { epoch } = self.awake(who)? else { return None };
        self.results.insert(epoch).then_some(())
    }

    /// It is stopped, and hands a test run back as if it had not had it.
    pub(super) fn hand_back(&mut self, who: Who) -> Option<()> {
        let Doing::Working { epoch, .. } = self.awake(who)? else { return None };
        self.runners[who].doing = Doing::Nothing;
        if self.log.run().tracked() {
            return None;
        }
        self.take_back(epoch);
        Some(())
    }

    /// The queue answered to a result.
    pub(super) fn hear_end(&mut self, epoch: u64) {
        for runner in self.runners.iter_mut().filter(|runner| !runner.frozen) {
            if runner.doing == (Doing::Telling { epoch }) {
                runner.doing = Doing::Nothing;
            }
        }
    }
}
