//! Comments on merge requests, after `lib/api/notes.rb` and `app/services/notes` of GitLab.

use jiff::Timestamp;

use super::quick_actions::{Applied, extract};
use super::{AccessLevel, Note, State};
use crate::answer::Answer;
use crate::hooks::{Trigger, payload};
use crate::ids::{MergeRequestRef, NoteId, UserId};

/// Most characters of one comment.
const MAX_NOTE: usize = 1_000_000;
/// Most comments on one merge request.
const MAX_NOTES: usize = 5_000;

/// What came of a body that may hold quick actions.
#[derive(Debug)]
pub(crate) enum Posted {
    /// A comment was written.
    Note(NoteId),
    /// Nothing was left to write: only quick actions.
    OnlyCommands(Applied),
}

impl State {
    pub(crate) fn create_note(
        &mut self,
        mr: MergeRequestRef,
        author: UserId,
        body: &str,
        internal: bool,
    ) -> Result<Posted, Answer> {
        check_body(body)?;
        let count = self.notes.values().filter(|n| n.merge_request == mr && !n.system).count();
        if count >= MAX_NOTES {
            return Err(Answer::message(
                400,
                "400 Bad request - Maximum number of comments exceeded",
            ));
        }
        let (text, commands) = extract(body);
        let applied = self.run_commands(mr, author, &commands)?;
        if text.trim().is_empty() {
            return Ok(Posted::OnlyCommands(applied));
        }
        let id = self.add_note(mr, author, text, internal, false);
        let line =
            format!("{} {mr} note by {}: created", self.path(mr.project), self.username(author));
        self.tell(line);
        self.note_hook(id, "create");
        Ok(Posted::Note(id))
    }

    /// Writes a note that GitLab itself makes; it fires no hook.
    pub(crate) fn system_note(&mut self, mr: MergeRequestRef, author: UserId, text: &str) {
        self.add_note(mr, author, text.to_owned(), false, true);
    }

    fn add_note(
        &mut self,
        mr: MergeRequestRef,
        author: UserId,
        body: String,
        internal: bool,
        system: bool,
    ) -> NoteId {
        let id = NoteId(self.next_id("note"));
        let now = Timestamp::now();
        let note = Note {
            id,
            merge_request: mr,
            author,
            body,
            system,
            internal,
            edits: 0,
            created_at: now,
            updated_at: now,
        };
        self.notes.insert(id, note);
        id
    }

    /// Changes a comment. `None` when only quick actions were left and the comment is gone.
    pub(crate) fn edit_note(
        &mut self,
        mr: MergeRequestRef,
        id: NoteId,
        user: UserId,
        body: &str,
    ) -> Result<Option<NoteId>, Answer> {
        self.may_change_note(mr, id, user)?;
        check_body(body)?;
        let (text, commands) = extract(body);
        self.run_commands(mr, user, &commands)?;
        if text.trim().is_empty() {
            self.remove_note(id);
            return Ok(None);
        }
        let now = Timestamp::now();
        let Some(note) = self.notes.get_mut(&id) else { return Ok(None) };
        if note.body == text {
            return Ok(Some(id));
        }
        note.body = text;
        note.edits += 1;
        note.updated_at = now;
        let author = note.author;
        let line =
            format!("{} {mr} note by {}: edited", self.path(mr.project), self.username(author));
        self.tell(line);
        self.note_hook(id, "update");
        Ok(Some(id))
    }

    /// Deletes a comment; GitLab tells no hook.
    pub(crate) fn delete_note(
        &mut self,
        mr: MergeRequestRef,
        id: NoteId,
        user: UserId,
    ) -> Result<(), Answer> {
        self.may_change_note(mr, id, user)?;
        self.remove_note(id);
        Ok(())
    }

    fn remove_note(&mut self, id: NoteId) {
        if let Some(note) = self.notes.remove(&id) {
            let line = format!(
                "{} {} note by {}: deleted",
                self.path(note.merge_request.project),
                note.merge_request,
                self.username(note.author)
            );
            self.tell(line);
        }
    }

    fn may_change_note(&self, mr: MergeRequestRef, id: NoteId, user: UserId) -> Result<(), Answer> {
        let note = self.notes.get(&id).filter(|note| note.merge_request == mr);
        let note = note.ok_or_else(|| Answer::not_found("Note"))?;
        if note.author == user && !note.system {
            return Ok(());
        }
        self.need(mr.project, user, AccessLevel::Maintainer)
    }

    fn note_hook(&mut self, id: NoteId, action: &str) {
        let Some(note) = self.notes.get(&id) else { return };
        let (project, internal) = (note.merge_request.project, note.internal);
        let trigger = if internal { Trigger::ConfidentialNote } else { Trigger::Note };
        self.fire(project, trigger, |state| payload::note(state, id, action));
    }
}

fn check_body(body: &str) -> Result<(), Answer> {
    if body.trim().is_empty() {
        return Err(Answer::message(400, "400 Bad request - Note {:note=>[\"can't be blank\"]}"));
    }
    if body.chars().count() > MAX_NOTE {
        let text =
            "400 Bad request - Note {:note=>[\"is too long (maximum is 1000000 characters)\"]}";
        return Err(Answer::message(400, text));
    }
    Ok(())
}
