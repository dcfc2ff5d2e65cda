//! The notes of a merge request (`lib/api/notes.rb`).

use serde::Deserialize;
use serde_json::json;

use crate::client::Call;
use crate::error::Error;
use crate::limit::Class;
use crate::project::Project;
use crate::tolerant::{Person, or_default};

/// A note.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Note {
    pub id: u64,
    #[serde(default, deserialize_with = "or_default")]
    pub body: String,
    #[serde(default)]
    pub author: Option<Person>,
    #[serde(default, deserialize_with = "or_default")]
    pub system: bool,
    /// Only members see it.
    #[serde(default, deserialize_with = "or_default")]
    pub internal: bool,
}

/// The notes of one merge request.
#[derive(Debug, Clone, Copy)]
pub struct Notes<'a> {
    pub(super) project: Project<'a>,
    pub(super) iid: u64,
}

impl Notes<'_> {
    fn all(&self) -> Call {
        let path = "/projects/:id/merge_requests/:iid/notes";
        Call::get(path, &[&self.project.id, &self.iid])
            .query("sort", Some("asc"))
            .query("order_by", Some("created_at"))
            .query("activity_filter", Some("only_comments"))
    }

    /// All comments, oldest first, without system notes.
    pub async fn list(&self) -> Result<Vec<Note>, Error> {
        self.project.gitlab.list(self.all()).await
    }

    /// The oldest comment that `wanted` accepts; pages after it are not read.
    pub async fn find(&self, wanted: impl FnMut(&Note) -> bool) -> Result<Option<Note>, Error> {
        self.project.gitlab.find(self.all(), wanted).await
    }

    /// Adds a comment. GitLab runs quick actions in it with the bot's rights; a text of nothing
    /// else gives [`Error::CommandsOnly`].
    pub async fn create(&self, body: &str) -> Result<Note, Error> {
        let path = "/projects/:id/merge_requests/:iid/notes";
        let call = Call::post(path, &[&self.project.id, &self.iid]).class(Class::Notes);
        self.project.gitlab.json(call.body(&json!({ "body": body }))).await
    }

    /// Replaces the text. Only the author and maintainers may. A text of nothing but quick
    /// actions deletes the note (`app/services/notes/update_service.rb`).
    pub async fn update(&self, note: u64, body: &str) -> Result<Note, Error> {
        let path = "/projects/:id/merge_requests/:iid/notes/:note_id";
        let call = Call::put(path, &[&self.project.id, &self.iid, &note]);
        self.project.gitlab.json(call.body(&json!({ "body": body }))).await
    }

    /// Removes the note.
    pub async fn delete(&self, note: u64) -> Result<(), Error> {
        let path = "/projects/:id/merge_requests/:iid/notes/:note_id";
        self.project.gitlab.done(Call::delete(path, &[&self.project.id, &self.iid, &note])).await
    }
}
