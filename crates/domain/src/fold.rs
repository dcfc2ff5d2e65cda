//! Folding: state is what its events make of it.

use crate::event::Event;

/// A state that its stream's events add up to. Applying never fails: what happened, happened.
/// Events that do not concern the state are passed over.
pub trait Fold: Default {
    /// Takes in the next event of the stream.
    fn apply(&mut self, event: &Event);

    /// The state after all of `events`.
    fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut state = Self::default();
        for event in events {
            state.apply(event);
        }
        state
    }
}
