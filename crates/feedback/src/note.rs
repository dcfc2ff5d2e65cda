//! The sticky note of a merge request: made once, then edited in place.

use std::time::Duration;

use aldis_domain::change::Change;
use aldis_domain::event::Event;
use aldis_domain::event::resource::{NoteCompared, NoteConfirmed, NoteIntended, NoteRefused};
use aldis_domain::id::ChangeKey;
use aldis_domain::note::{self, InDoubt, Links, Listed, Next, Note, Shown};
use aldis_domain::statuses::Statuses;
use aldis_domain::stream;
use aldis_gitlab::{Error, Notes};
use aldis_store::{Claimed, Envelope, Release, sha256_hex};

use crate::failure::{Failure, failure};
use crate::{Feedback, FeedbackError, age_of, fold, may_send, since_boot};

/// How often a note is searched for whose creation got no answer.
const SEARCH_AGAIN: Duration = Duration::from_secs(5);
/// After so long nothing that was sent can land any more.
const QUIET: Duration = Duration::from_secs(note::QUIET_SECONDS);
const MOST_STEPS: usize = 6;

/// The note a work item is about, and the lease on it.
struct Sticky<'a> {
    claimed: &'a Claimed,
    stream: String,
    notes: Notes<'a>,
    marker: String,
}

impl Feedback {
    pub(crate) async fn note(&self, claimed: &Claimed) -> Result<Release, FeedbackError> {
        let Ok(key) = claimed.key.key.parse::<ChangeKey>() else { return Ok(Release::Done) };
        let Some(iid) = key.merge_request() else { return Ok(Release::Done) };
        let sticky = Sticky {
            claimed,
            stream: stream::note(&key),
            notes: self.gitlab.project(key.project().id).merge_request(iid).notes(),
            marker: note::marker(&key),
        };
        for _ in 0..MOST_STEPS {
            let envelopes = self.store.load(&sticky.stream).await?;
            let shown: Note = fold(&envelopes);
            let body = self.body(&key, &shown).await?;
            let digest = body.as_ref().map(|body| sha256_hex(body.as_bytes()));
            match (shown.next(digest.as_deref()), body, digest) {
                (Next::Resolve(in_doubt), _, _) => {
                    if !self.resolve_note(&sticky, &envelopes, &in_doubt).await? {
                        return Ok(Release::Later(SEARCH_AGAIN));
                    }
                }
                (Next::Create, Some(body), Some(digest)) => {
                    self.create_note(&sticky, &body, digest).await?;
                }
                (Next::Update { note }, Some(body), Some(digest)) => {
                    self.update_note(&sticky, note, &body, digest).await?;
                    if shown.given_up {
                        self.heal(&sticky).await?;
                    }
                }
                (Next::CompareLater { note }, _, _) => {
                    let read = |e: &Event| matches!(e, Event::NoteConfirmed(c) if c.read);
                    let left = QUIET.saturating_sub(age_of(&envelopes, read).unwrap_or(QUIET));
                    if !left.is_zero() {
                        return Ok(Release::Later(left));
                    }
                    self.compare_note(&sticky, note).await?;
                }
                _ => return Ok(Release::Done),
            }
        }
        Ok(Release::Later(Duration::from_secs(1)))
    }

    async fn body(&self, key: &ChangeKey, shown: &Note) -> Result<Option<String>, FeedbackError> {
        let change: Change = fold(&self.store.load(&stream::change(key)).await?);
        let planned = change.plans.iter().flat_map(|p| &p.stacks).filter_map(|s| s.run.clone());
        let mut ids: Vec<_> = planned.collect();
        ids.sort();
        ids.dedup();
        let runs = self.load_runs(ids).await?;
        let statuses: Statuses = match change.plan() {
            Some(plan) => {
                self.store.fold(&stream::statuses(plan.posting_project, &plan.sha)).await?
            }
            None => Statuses::default(),
        };
        let links = Links { base: &self.base_url };
        let told = Shown { runs: &runs, statuses: &statuses };
        Ok(note::body(key, &change, told, shown.id.is_some(), links))
    }

    async fn create_note(
        &self,
        sticky: &Sticky<'_>,
        body: &str,
        digest: String,
    ) -> Result<(), FeedbackError> {
        let since = self.intend_note(sticky, None, &digest).await?;
        if !may_send(since) {
            return Err(FeedbackError::HeldUp);
        }
        match sticky.notes.create(body).await {
            Ok(made) => {
                let confirmed = NoteConfirmed { note: made.id, digest, read: false };
                let told = self.tell(sticky.claimed, &sticky.stream, confirmed).await;
                // Whoever took over meanwhile may have made one, and nobody else knows of this one.
                self.heal(sticky).await?;
                Ok(told?)
            }
            Err(error) => self.note_failed(sticky, error).await,
        }
    }

    async fn update_note(
        &self,
        sticky: &Sticky<'_>,
        id: u64,
        body: &str,
        digest: String,
    ) -> Result<(), FeedbackError> {
        let since = self.intend_note(sticky, Some(id), &digest).await?;
        if !may_send(since) {
            return Err(FeedbackError::HeldUp);
        }
        match sticky.notes.update(id, body).await {
            Ok(_) => Ok(self
                .tell(
                    sticky.claimed,
                    &sticky.stream,
                    NoteConfirmed { note: id, digest, read: false },
                )
                .await?),
            // The note may be gone, or the merge request be hidden for a while. If the first were
            // believed wrongly there would be two; so it stays in doubt until the list tells.
            Err(error @ Error::NotFound(_)) => Err(error.into()),
            Err(error) => self.note_failed(sticky, error).await,
        }
    }

    async fn intend_note(
        &self,
        sticky: &Sticky<'_>,
        note: Option<u64>,
        digest: &str,
    ) -> Result<Duration, FeedbackError> {
        let since = since_boot();
        let intended =
            NoteIntended { note, digest: digest.to_owned(), epoch: sticky.claimed.epoch };
        self.tell(sticky.claimed, &sticky.stream, intended).await?;
        Ok(since)
    }

    async fn note_failed(&self, sticky: &Sticky<'_>, error: Error) -> Result<(), FeedbackError> {
        let (class, message, put_off) = match failure(error) {
            Failure::InDoubt(error) => return Err(error.into()),
            Failure::Refused(class, message) => (Some(class), message, None),
            Failure::NotDone(error) | Failure::Differs(error) => {
                (None, error.to_string(), Some(error))
            }
        };
        let refused = NoteRefused { class, gone: false, message };
        self.tell(sticky.claimed, &sticky.stream, refused).await?;
        put_off.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Finds out what became of a write without an answer. False: nothing can be said yet.
    async fn resolve_note(
        &self,
        sticky: &Sticky<'_>,
        envelopes: &[Envelope],
        in_doubt: &InDoubt,
    ) -> Result<bool, FeedbackError> {
        // Before the list is read: what lands while it is on its way is not on it.
        let intended = age_of(envelopes, |e| matches!(e, Event::NoteIntended(_)));
        let age = intended.map_or(u64::MAX, |age| age.as_secs());
        let listed = self.own_notes(sticky).await?;
        let Some(outcome) = note::settle(in_doubt, listed.as_deref(), age) else {
            return Ok(false);
        };
        self.tell(sticky.claimed, &sticky.stream, outcome).await?;
        self.heal(sticky).await?;
        Ok(true)
    }

    /// Writes down what the note shows, and leaves no second one.
    async fn compare_note(&self, sticky: &Sticky<'_>, note: u64) -> Result<(), FeedbackError> {
        let listed = self.own_notes(sticky).await?.unwrap_or_default();
        let found = listed.into_iter().find(|listed| listed.note == note);
        let compared = NoteCompared { digest: found.map(|found| found.digest) };
        self.tell(sticky.claimed, &sticky.stream, compared).await?;
        self.heal(sticky).await
    }

    /// Leaves one note of ours, the oldest, which is the one to be written to from now on.
    async fn heal(&self, sticky: &Sticky<'_>) -> Result<(), FeedbackError> {
        let mut listed = self.own_notes(sticky).await?.unwrap_or_default().into_iter();
        let Some(oldest) = listed.next() else { return Ok(()) };
        let shown: Note = self.store.fold(&sticky.stream).await?;
        if shown.id.is_some_and(|id| id != oldest.note) {
            let Listed { note, digest } = oldest;
            let confirmed = NoteConfirmed { note, digest, read: false };
            self.tell(sticky.claimed, &sticky.stream, confirmed).await?;
        }
        for Listed { note, .. } in listed {
            match sticky.notes.delete(note).await {
                Ok(()) | Err(Error::NotFound(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Notes with our marker on their first line, by ourselves, oldest first. Anybody may paste a
    /// marker. `None`: the merge request is not shown.
    async fn own_notes(&self, sticky: &Sticky<'_>) -> Result<Option<Vec<Listed>>, FeedbackError> {
        let notes = match sticky.notes.list().await {
            Err(Error::NotFound(_)) => return Ok(None),
            other => other?,
        };
        let own = notes.into_iter().filter(|note| {
            let by_us = note.author.as_ref().is_some_and(|a| a.id == self.own_user);
            by_us && note.body.lines().next() == Some(sticky.marker.as_str())
        });
        let listed = |note: aldis_gitlab::Note| Listed {
            note: note.id,
            digest: sha256_hex(note.body.as_bytes()),
        };
        let mut own: Vec<Listed> = own.map(listed).collect();
        own.sort_by_key(|listed| listed.note);
        Ok(Some(own))
    }
}
