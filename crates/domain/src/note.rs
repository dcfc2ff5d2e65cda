//! The sticky note of a merge request: what it should say, and the writes that get it there.

mod markdown;
mod settle;
mod view;

use crate::event::Event;
use crate::fold::Fold;

pub use markdown::{fenced, inline};
pub use settle::{Listed, settle};
pub use view::{Links, Shown, body, marker};

/// Everything known of one note.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Note {
    pub id: Option<u64>,
    /// SHA-256 of the body that GitLab shows, hex.
    pub shown: Option<String>,
    /// What was intended and of which nothing more is known.
    pub in_doubt: Option<InDoubt>,
    /// Digest of the last body that GitLab would not take. It is not sent again; another is.
    pub refused: Option<String>,
    /// How often a person deleted it. After the second time it stays away.
    pub deleted: u32,
}

/// A write without an outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InDoubt {
    /// `None`: the note was to be created.
    pub note: Option<u64>,
    pub digest: String,
}

/// The next thing to do for a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// An earlier writer left no outcome. A creation is looked for by its marker; if it is not
    /// there, it may still land, so it is repeated only after [`QUIET_SECONDS`].
    Resolve(InDoubt),
    Create,
    Update {
        note: u64,
    },
    Rest,
}

/// How long a creation of unknown outcome is searched for before it is repeated: GitLab may commit
/// a request up to 60 s after it was sent (its rack timeout), and a writer sends up to 15 s after
/// it wrote its intent.
pub const QUIET_SECONDS: u64 = 75;

/// How old an intent may be when it is carried out.
pub const SEND_WITHIN_SECONDS: u64 = 15;

/// Beyond this many deletions the note is not made again.
const MUTED_AFTER: u32 = 2;

impl Fold for Note {
    fn apply(&mut self, event: &Event) {
        match event {
            Event::NoteIntended(intended) => {
                self.in_doubt =
                    Some(InDoubt { note: intended.note, digest: intended.digest.clone() });
            }
            Event::NoteConfirmed(confirmed) => {
                self.in_doubt = None;
                self.refused = None;
                self.id = Some(confirmed.note);
                self.shown = Some(confirmed.digest.clone());
            }
            Event::NoteRefused(refused) => {
                let intended = self.in_doubt.take();
                if refused.gone {
                    self.id = None;
                    self.shown = None;
                    self.refused = None;
                    self.deleted += 1;
                } else if refused.class.is_some() {
                    self.refused = intended.map(|intended| intended.digest);
                }
            }
            _ => {}
        }
    }
}

impl Note {
    /// Decides the next step towards `wanted`, the digest of the body that should stand; `None`:
    /// there is nothing to tell yet.
    pub fn next(&self, wanted: Option<&str>) -> Next {
        if let Some(in_doubt) = &self.in_doubt {
            return Next::Resolve(in_doubt.clone());
        }
        let refused = self.refused.as_deref();
        let Some(wanted) = wanted.filter(|wanted| refused != Some(*wanted)) else {
            return Next::Rest;
        };
        match self.id {
            None if self.deleted >= MUTED_AFTER => Next::Rest,
            None => Next::Create,
            Some(_) if self.shown.as_deref() == Some(wanted) => Next::Rest,
            Some(note) => Next::Update { note },
        }
    }
}

#[cfg(test)]
#[path = "note/tests.rs"]
mod tests;
