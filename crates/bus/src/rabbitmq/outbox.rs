//! What is to be told to other processes. A topic that was told and not confirmed is not told
//! again before it is: whatever rings meanwhile becomes one hint, and no topic waits for another.

use std::collections::BTreeSet;

use crate::Topic;

/// Hints on their way.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: BTreeSet<Topic>,
    unconfirmed: BTreeSet<Topic>,
}

impl Outbox {
    /// To be told, once more if it was told already.
    pub(super) fn put(&mut self, topic: Topic) {
        self.waiting.insert(topic);
    }

    /// One to tell now, the most urgent first.
    pub(super) fn take(&mut self) -> Option<Topic> {
        let next = self.waiting.iter().find(|topic| !self.unconfirmed.contains(*topic)).copied()?;
        self.waiting.remove(&next);
        self.unconfirmed.insert(next);
        Some(next)
    }

    pub(super) fn confirmed(&mut self, topic: Topic) {
        self.unconfirmed.remove(&topic);
    }

    /// The connection is gone, and perhaps what was told with it.
    pub(super) fn interrupted(&mut self) {
        self.waiting.append(&mut self.unconfirmed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(outbox: &mut Outbox) -> Vec<Topic> {
        std::iter::from_fn(|| outbox.take()).collect()
    }

    #[test]
    fn what_waits_goes_out_at_once_and_the_most_urgent_first() {
        let mut outbox = Outbox::default();
        for topic in [Topic::Log, Topic::Plan, Topic::Announce, Topic::Plan] {
            outbox.put(topic);
        }
        assert_eq!(all(&mut outbox), [Topic::Announce, Topic::Plan, Topic::Log]);
    }

    #[test]
    fn what_rings_before_the_confirmation_goes_out_once_after_it() {
        let mut outbox = Outbox::default();
        outbox.put(Topic::Plan);
        assert_eq!(all(&mut outbox), [Topic::Plan]);
        outbox.put(Topic::Plan);
        outbox.put(Topic::Plan);
        assert_eq!(all(&mut outbox), []);
        outbox.put(Topic::Log);
        assert_eq!(all(&mut outbox), [Topic::Log], "another topic does not wait for it");
        outbox.confirmed(Topic::Plan);
        assert_eq!(all(&mut outbox), [Topic::Plan]);
        outbox.confirmed(Topic::Plan);
        assert_eq!(all(&mut outbox), []);
    }

    #[test]
    fn what_was_not_confirmed_goes_out_again_on_the_next_connection() {
        let mut outbox = Outbox::default();
        for topic in [Topic::Plan, Topic::Log] {
            outbox.put(topic);
        }
        assert_eq!(all(&mut outbox), [Topic::Plan, Topic::Log]);
        outbox.confirmed(Topic::Plan);
        outbox.interrupted();
        assert_eq!(all(&mut outbox), [Topic::Log]);
    }
}
