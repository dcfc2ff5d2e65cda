//! Comments on merge requests.

use serde_json::{Value, json};

use super::{Request, auth, entities, paging};
use crate::answer::{Answer, Reply};
use crate::ids::{MergeRequestRef, NoteId};
use crate::state::{AccessLevel, Note, Posted, State};

pub(super) fn list(state: &mut State, request: &Request<'_>) -> Reply {
    let mr = request.merge_request(state)?.reference();
    let filter = request.text("activity_filter");
    let internal_too = state.need(mr.project, request.user, AccessLevel::Reporter).is_ok();
    let wanted = |note: &&Note| {
        note.merge_request == mr
            && (!note.internal || internal_too)
            && match filter.as_deref() {
                Some("only_comments") => !note.system,
                Some("only_activity") => note.system,
                _ => true,
            }
    };
    let mut rows: Vec<&Note> = state.notes.values().filter(wanted).collect();
    if request.text("order_by").as_deref() == Some("updated_at") {
        rows.sort_by_key(|note| (note.updated_at, note.id));
    }
    if !paging::ascending(request, false)? {
        rows.reverse();
    }
    paging::page(state, request, &rows, |note| entities::note(state, note))
}

pub(super) fn get(state: &mut State, request: &Request<'_>) -> Reply {
    let mr = request.merge_request(state)?.reference();
    shown(state, 200, find(state, request, mr)?)
}

pub(super) fn create(state: &mut State, request: &Request<'_>) -> Reply {
    let mr = request.merge_request(state)?.reference();
    auth::note_limit(state, request.user)?;
    let body = request.text("body").ok_or_else(|| Answer::bad_params("body is missing"))?;
    let internal = request.flag("internal")?.unwrap_or(false);
    match state.create_note(mr, request.user, &body, internal)? {
        Posted::Note(id) => shown(state, 201, id),
        Posted::OnlyCommands(applied) => {
            let body = json!({
                "commands_changes": Value::Object(applied.changes),
                "summary": applied.summary,
            });
            Ok(Answer::json(202, &body))
        }
    }
}

pub(super) fn update(state: &mut State, request: &Request<'_>) -> Reply {
    let mr = request.merge_request(state)?.reference();
    let id = find(state, request, mr)?;
    let body = request.required("body")?;
    let before = state.notes.get(&id).cloned();
    match state.edit_note(mr, id, request.user, &body)? {
        Some(id) => shown(state, 200, id),
        // Only quick actions were left: the note is gone, the answer shows it a last time.
        None => match before {
            Some(note) => Ok(Answer::json(200, &entities::note(state, &note))),
            None => Err(Answer::not_found("Note")),
        },
    }
}

pub(super) fn delete(state: &mut State, request: &Request<'_>) -> Reply {
    let mr = request.merge_request(state)?.reference();
    let id = find(state, request, mr)?;
    state.delete_note(mr, id, request.user)?;
    Ok(Answer::empty(204))
}

/// A second award of the same emoji by the same user is answered 404, as GitLab does.
pub(super) fn award(state: &mut State, request: &Request<'_>) -> Reply {
    let mr = request.merge_request(state)?.reference();
    let id = find(state, request, mr)?;
    let name = request.required("name")?;
    if !state.awards.insert((id, request.user, name.clone())) {
        return Err(Answer::message(404, "404 Award Emoji Name has already been taken"));
    }
    let award = state.next_id("award");
    let body = json!({
        "id": award,
        "name": name,
        "user": entities::user(state, request.user),
        "awardable_id": id.0,
        "awardable_type": "Note",
    });
    let line =
        format!("{} {mr} emoji {name} by {}", state.path(mr.project), state.username(request.user));
    state.tell(line);
    Ok(Answer::json(201, &body))
}

fn find(state: &State, request: &Request<'_>, mr: MergeRequestRef) -> Result<NoteId, Answer> {
    let id = NoteId(request.arg_number(2, "Note")?);
    let found = state.notes.get(&id).filter(|note| note.merge_request == mr);
    found.map(|note| note.id).ok_or_else(|| Answer::not_found("Note"))
}

fn shown(state: &State, status: u16, id: NoteId) -> Reply {
    let note = state.notes.get(&id).ok_or_else(|| Answer::not_found("Note"))?;
    Ok(Answer::json(status, &entities::note(state, note)))
}
