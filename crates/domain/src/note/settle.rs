//! After a lost answer: what GitLab lists decides what became of the intended write.

use super::{InDoubt, QUIET_SECONDS};
use crate::event::Event;
use crate::event::resource::{NoteConfirmed, NoteRefused, RefusalClass};

/// A note of ours as GitLab lists it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Listed {
    pub note: u64,
    /// SHA-256 of its body, hex.
    pub digest: String,
}

/// What became of the write; `None`: nothing can be said yet. `listed`: our notes on the merge
/// request, oldest first, or `None` if GitLab does not show the merge request. `age`: seconds since
/// the write was intended.
pub fn settle(in_doubt: &InDoubt, listed: Option<&[Listed]>, age: u64) -> Option<Event> {
    // A creation may still be on its way. An edit may be repeated at once: the same body twice is
    // one body.
    let may_land = in_doubt.note.is_none() && age < QUIET_SECONDS;
    let refused = |class, gone, message: &str| {
        Event::from(NoteRefused { class, gone, message: message.to_owned() })
    };
    let Some(listed) = listed else {
        let hidden = "GitLab does not show the merge request";
        return (!may_land).then(|| refused(Some(RefusalClass::Gone), false, hidden));
    };
    let same = listed.iter().find(|found| Some(found.note) == in_doubt.note);
    match (same.or(listed.first()), in_doubt.note) {
        // Beside one that is gone another may have come, by a creation that landed late.
        (Some(found), _) => {
            let (note, digest) = (found.note, found.digest.clone());
            Some(NoteConfirmed { note, digest, read: true }.into())
        }
        (None, Some(_)) => Some(refused(None, true, "the note is no longer there")),
        (None, None) if may_land => None,
        (None, None) => Some(refused(None, false, "the answer was lost, and the note never came")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(notes: &[u64]) -> Vec<Listed> {
        notes.iter().map(|note| Listed { note: *note, digest: format!("d{note}") }).collect()
    }

    /// What is told, in short, of an edit of note 5 and of a creation, both just intended, and of a
    /// creation of long ago.
    fn told(notes: Option<&[u64]>) -> [String; 3] {
        let listed = notes.map(listed);
        let told = |note, age| {
            let in_doubt = InDoubt { note, digest: "wanted".into() };
            match settle(&in_doubt, listed.as_deref(), age) {
                None => "wait".to_owned(),
                Some(Event::NoteConfirmed(it)) => format!("{} shows {}", it.note, it.digest),
                Some(Event::NoteRefused(it)) => format!("{:?}, gone: {}", it.class, it.gone),
                Some(other) => panic!("{other:?}"),
            }
        };
        [told(Some(5), 0), told(None, 0), told(None, QUIET_SECONDS)]
    }

    #[test]
    fn the_list_tells_what_became_of_a_write() {
        assert_eq!(told(Some(&[4, 5])), ["5 shows d5", "4 shows d4", "4 shows d4"]);
        assert_eq!(told(Some(&[4])), ["4 shows d4", "4 shows d4", "4 shows d4"]);
        assert_eq!(told(Some(&[])), ["None, gone: true", "wait", "None, gone: false"]);
    }

    #[test]
    fn a_merge_request_that_is_not_shown_says_nothing_of_the_note() {
        let hidden = "Some(Gone), gone: false";
        assert_eq!(told(None), [hidden, "wait", hidden]);
    }
}
