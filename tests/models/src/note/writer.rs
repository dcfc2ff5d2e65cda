//! What a process does about the note, step by step: `aldis_feedback`.

use aldis_domain::event::Event;
use aldis_domain::event::resource::{NoteConfirmed, NoteIntended};
use aldis_domain::fold::Fold;
use aldis_domain::note::{Listed, Next, QUIET_SECONDS, settle};

use super::{Doing, Guard, Post, QUIET, Row, SEND_WITHIN, State, StickyNote, Who};

impl State {
    fn holds(&self, who: Who) -> bool {
        self.row.is_some_and(|row| row.holder == Some(who))
    }

    /// Appends under the writer's lease. Whoever has lost it is told so, and stops.
    fn tell(&mut self, who: Who, is_fenced: bool, event: impl Into<Event>) -> bool {
        let tells = !is_fenced || self.holds(who);
        if tells {
            self.log.apply(&event.into());
        } else {
            self.writers[who] = Doing::Nothing;
        }
        tells
    }

    /// Whether an edit would be held up by one more tick.
    pub(super) fn is_edit_urgent(&self) -> bool {
        let is_urgent = |doing: &Doing| {
            matches!(doing, Doing::Intended { note: Some(_), age: SEND_WITHIN, .. })
        };
        self.writers.iter().any(is_urgent)
    }

    pub(super) fn is_holder_at_work(&self) -> bool {
        let holder = self.row.and_then(|row| row.holder);
        holder.is_some_and(|who| {
            !matches!(self.writers[who], Doing::Nothing | Doing::Sending { frozen: true, .. })
        })
    }

    /// Ends the lease, if it is still the writer's; `done`: there is nothing more to do.
    pub(super) fn release(&mut self, who: Who, done: bool) {
        self.writers[who] = Doing::Nothing;
        if self.holds(who) {
            self.row = (!done).then_some(Row { holder: None, leased: false });
        }
    }

    /// Our notes, oldest first.
    fn listed(&self) -> Vec<Listed> {
        let listed =
            |(note, digest): (&u64, &String)| Listed { note: *note, digest: digest.clone() };
        self.shown.iter().map(listed).collect()
    }

    pub(super) fn claim(&mut self, who: Who) -> Option<()> {
        if self.row?.leased || self.writers[who] != Doing::Nothing {
            return None;
        }
        self.row = Some(Row { holder: Some(who), leased: true });
        self.writers[who] = Doing::Leased;
        Some(())
    }

    fn send(&mut self, who: Who, note: Option<u64>, digest: String) {
        self.writers[who] = match note {
            None => {
                self.posts.push(Post { age: 0, by: Some(who), digest });
                Doing::Calling
            }
            // An edit may be repeated, so it need not be looked at as closely.
            Some(note) if self.shown.contains_key(&note) => {
                self.shown.insert(note, digest.clone());
                Doing::Answered { note, digest, created: false }
            }
            Some(_) => return self.release(who, false),
        };
    }

    /// Leaves the oldest of the listed notes.
    fn heal(&mut self, who: Who, listed: Vec<Listed>) {
        self.writers[who] = if self.holds(who) { Doing::Leased } else { Doing::Nothing };
        let mut listed = listed.into_iter();
        let Some(Listed { note, digest }) = listed.next() else { return };
        let is_another = self.log.id.is_some_and(|id| id != note);
        if is_another && !self.tell(who, true, NoteConfirmed { note, digest, read: false }) {
            self.cut_off |= self.froze;
            return;
        }
        for other in listed {
            self.shown.remove(&other.note);
        }
    }

    /// GitLab makes the note, and answers whoever waits for that.
    pub(super) fn land(&mut self, post: usize) {
        let Post { by, digest, .. } = self.posts.remove(post);
        self.made += 1;
        self.shown.insert(self.made, digest.clone());
        if let Some(who) = by {
            self.writers[who] = Doing::Answered { note: self.made, digest, created: true };
        }
    }

    /// Nobody waits for the answer to the writer's call any more.
    pub(super) fn forget_call(&mut self, who: Who) {
        for post in self.posts.iter_mut().filter(|post| post.by == Some(who)) {
            post.by = None;
        }
        self.cut_off |= self.froze;
    }
}

impl StickyNote {
    pub(super) fn run_out(&self, state: &mut State) -> Option<()> {
        let row = state.row.as_mut().filter(|_| self.has(Guard::LeaseRunsOut))?;
        std::mem::take(&mut row.leased).then_some(())
    }

    /// The writer's own next step.
    pub(super) fn go_on(&self, state: &mut State, who: Who) -> Option<()> {
        match std::mem::replace(&mut state.writers[who], Doing::Nothing) {
            Doing::Nothing | Doing::Sending { frozen: true, .. } => return None,
            Doing::Calling => {
                state.forget_call(who);
                state.release(who, false);
            }
            Doing::Leased => {
                let next = state.log.next(Some(&state.wanted));
                state.writers[who] = Doing::Decided(next, state.wanted.clone());
            }
            Doing::Decided(next, digest) => self.begin(state, who, next, digest),
            Doing::Resolving { in_doubt, age } => {
                let listed = if self.has(Guard::ReadFirst) { state.listed() } else { Vec::new() };
                state.writers[who] = Doing::Listed { in_doubt, age, listed };
            }
            Doing::Listed { in_doubt, age, listed } => {
                let age = age.unwrap_or(state.intent_age) * QUIET_SECONDS / QUIET;
                let age = if self.has(Guard::QuietPeriod) { age } else { QUIET_SECONDS };
                match settle(&in_doubt, Some(&listed), age) {
                    None => state.release(who, false),
                    Some(outcome) => {
                        if state.tell(who, self.has(Guard::OutcomeIsFenced), outcome) {
                            state.writers[who] = Doing::Healing;
                        }
                    }
                }
            }
            Doing::Intended { note, digest, age } => {
                if age > SEND_WITHIN && self.has(Guard::SendSoon) {
                    state.release(who, false);
                } else {
                    state.writers[who] = Doing::Sending { note, digest, frozen: false };
                }
            }
            Doing::Sending { note, digest, frozen: false } => state.send(who, note, digest),
            Doing::Answered { note, digest, created } => {
                self.told(state, who, note, digest, created);
            }
            Doing::Healing => state.writers[who] = Doing::HealingBy(state.listed()),
            Doing::HealingBy(listed) => state.heal(who, listed),
        }
        Some(())
    }

    fn begin(&self, state: &mut State, who: Who, next: Next, digest: String) {
        let note = match next {
            // A late look mends what the note says; how many notes there are must not depend on it.
            Next::Rest | Next::CompareLater { .. } => return state.release(who, true),
            Next::Resolve(in_doubt) => {
                let age = self.has(Guard::AgeBeforeList).then_some(state.intent_age);
                state.writers[who] = Doing::Resolving { in_doubt, age };
                return;
            }
            Next::Create => None,
            Next::Update { note } => Some(note),
        };
        let intended = NoteIntended { note, digest: digest.clone(), epoch: 0 };
        if self.has(Guard::IntentFirst) {
            if !state.tell(who, self.has(Guard::IntentIsFenced), intended) {
                return;
            }
            state.intent_age = 0;
        }
        state.writers[who] = Doing::Intended { note, digest, age: 0 };
    }

    fn told(&self, state: &mut State, who: Who, note: u64, digest: String, created: bool) {
        let confirmed = NoteConfirmed { note, digest, read: false };
        let stands = state.tell(who, self.has(Guard::OutcomeIsFenced), confirmed);
        let heals = if created {
            self.has(Guard::HealAfterCreation)
        } else {
            stands && state.log.given_up && self.has(Guard::HealAfterEdit)
        };
        state.writers[who] = match (heals, stands) {
            (true, _) => Doing::Healing,
            (false, true) => Doing::Leased,
            (false, false) => Doing::Nothing,
        };
    }

    /// Time passes, unless somebody or something must come first.
    pub(super) fn pass_time(&self, state: &mut State) -> Option<()> {
        let is_instant = |doing: &Doing| matches!(doing, Doing::Sending { frozen: false, .. });
        let lands_now = |post: &Post| post.age + 1 == self.under_way();
        if state.writers.iter().any(is_instant) || state.posts.iter().any(lands_now) {
            return None;
        }
        state.intent_age = QUIET.min(state.intent_age + 1);
        state.posts.iter_mut().for_each(|post| post.age += 1);
        for doing in &mut state.writers {
            if let Doing::Intended { age, .. } = doing {
                *age = (SEND_WITHIN + 1).min(*age + 1);
            }
        }
        Some(())
    }
}
