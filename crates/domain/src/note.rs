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
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Note {
    pub id: Option<u64>,
    /// SHA-256 of the body that GitLab shows, hex.
    pub shown: Option<String>,
    /// What was intended and of which nothing more is known.
    pub in_doubt: Option<InDoubt>,
    /// A write got no answer, and GitLab may still carry it out: what the note shows is to be
    /// compared when it no longer can.
    pub may_land: bool,
    /// Digest of the last body that GitLab would not take. It is not sent again; another is.
    pub refused: Option<String>,
    /// How often a person deleted it. After the second time it stays away.
    pub deleted: u32,
    /// A creation was given up, so there may be a second note: it lands late if its writer was frozen.
    pub given_up: bool,
}

/// A write without an outcome.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InDoubt {
    /// `None`: the note was to be created.
    pub note: Option<u64>,
    pub digest: String,
}

/// The next thing to do for a note.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Next {
    /// An earlier writer left no outcome. A creation is looked for by its marker; if it is not
    /// there, it may still land, so it is repeated only after [`QUIET_SECONDS`].
    Resolve(InDoubt),
    Create,
    Update {
        note: u64,
    },
    /// It shows what it should. A write without an answer may land yet: read it once more
    /// [`QUIET_SECONDS`] after it was looked for.
    CompareLater {
        note: u64,
    },
    Rest,
}

/// How long a creation of unknown outcome is searched for before it is repeated: from its intent to
/// the last moment at which it may land.
pub const QUIET_SECONDS: u64 = SEND_WITHIN_SECONDS + CALL_SECONDS + LANDS_WITHIN_SECONDS;

/// How old an intent may be when its call begins.
pub const SEND_WITHIN_SECONDS: u64 = 5;

/// How long a call lasts at most, and so how long after its beginning its last byte may be sent.
pub const CALL_SECONDS: u64 = 10;

/// How long after that GitLab may still do what was asked: its rack timeout.
pub const LANDS_WITHIN_SECONDS: u64 = 60;

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
                self.may_land |= confirmed.read;
            }
            Event::NoteCompared(compared) => {
                self.may_land = false;
                self.shown = compared.digest.clone().or(self.shown.take());
            }
            Event::NoteRefused(refused) => {
                let intended = self.in_doubt.take();
                self.given_up |= intended.as_ref().is_some_and(|intended| intended.note.is_none());
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
            Some(note) if self.shown.as_deref() == Some(wanted) => {
                if self.may_land {
                    Next::CompareLater { note }
                } else {
                    Next::Rest
                }
            }
            Some(note) => Next::Update { note },
        }
    }
}

#[cfg(test)]
#[path = "note/tests.rs"]
mod tests;
