//! A merge request has two comments of the bot: how that comes to be, and how soon one is left.
//!
//! Where the bot itself makes both, a story ends without [`Story::finish`], which fails on that.

use std::time::Duration;

use aldis_domain::event::Event;
use aldis_domain::event::resource::NoteRefused;
use aldis_domain::id::ChangeKey;
use aldis_domain::note::{QUIET_SECONDS, marker};
use aldis_domain::stream;
use aldis_gitlab_sim::{Call, Fault, FaultKind, MergeRequestRef, Route};
use aldis_store::{Append, Expected, Meta, NewEvent, WorkKey, WorkKind, WorkTouch};
use aldis_tests::Story;

/// Longest time from the word of a second comment until it is gone.
const HEALED: Duration = Duration::from_secs(10);
/// Longest time until the bot looks what may have landed late.
const QUIET: Duration = Duration::from_secs(QUIET_SECONDS);

/// Calls to this endpoint that took effect, oldest first.
fn done(story: &Story, route: Route) -> Vec<Call> {
    story.sim.calls().into_iter().filter(|call| call.route == route && call.applied).collect()
}

fn since(earlier: &Call, later: &Call) -> Duration {
    Duration::try_from(later.at.duration_since(earlier.at)).expect("it is later")
}

/// The number of the comment that a call edits or deletes.
fn target(call: &Call) -> u64 {
    let number = call.path.rsplit('/').next().and_then(|number| number.parse().ok());
    number.expect("a path that ends in a number")
}

/// The numbers of the bot's comments, oldest first.
fn standing(story: &Story, mr: MergeRequestRef) -> Vec<u64> {
    story.notes(mr).iter().map(|note| note.id.0).collect()
}

/// Of which comments the log says that they stand, oldest word first.
async fn confirmed(story: &Story) -> Vec<u64> {
    let log = story.log().await.into_iter();
    let notes = log.filter_map(|(_, event)| match event {
        Event::NoteConfirmed(confirmed) => Some(confirmed.note),
        _ => None,
    });
    notes.collect()
}

async fn until_confirmed(story: &Story, times: usize) {
    let is_so = async || confirmed(story).await.len() >= times;
    story.until("the comment is known", is_so).await;
}

/// What the log calls the merge request.
async fn change(story: &Story) -> ChangeKey {
    let log = story.log().await;
    let mut names = log.iter().filter_map(|(name, _)| name.strip_prefix("change-mr-"));
    let name = names.next().expect("a merge request in the log");
    format!("mr-{name}").parse().expect("a change's stream")
}

/// Whoever has the bot's token makes a comment that looks like the bot's own.
async fn by_another_hand(story: &Story, mr: MergeRequestRef) -> u64 {
    story.comment_as_bot(mr, &format!("{}\nby another hand", marker(&change(story).await)));
    *standing(story, mr).last().expect("a comment")
}

async fn until_met(story: &Story) {
    story.until_seen("the fault is met", |s| !s.sim.faults_left()).await;
}

/// Waits until a comment is deleted and nothing follows, and says how long it stood since this
/// creation, with which the second one came.
async fn both_stood(story: &Story, creation: usize) -> Duration {
    let is_gone = |s: &Story| !done(s, Route::NoteDelete).is_empty();
    story.until_seen("a comment is deleted", is_gone).await;
    story.settle().await;
    since(&done(story, Route::NoteCreate)[creation], &done(story, Route::NoteDelete)[0])
}

/// The next result goes to the comment that is left. In all, one was deleted.
async fn next_edit_goes_to(story: &Story, mr: MergeRequestRef, left: u64) {
    let edits = done(story, Route::NoteUpdate).len();
    story.push("next", "feature", &[("ci.sh", "exit 1\n")]);
    story.settle().await;
    assert_eq!(standing(story, mr), [left], "{}", story.timeline());
    assert_eq!(story.headline(mr), "### ✗ 1 of 1 stack failed");
    let edited = done(story, Route::NoteUpdate).split_off(edits);
    assert!(edited.iter().all(|call| target(call) == left), "{edited:#?}");
    assert_eq!(confirmed(story).await.last(), Some(&left));
    assert_eq!(done(story, Route::NoteDelete).len(), 1, "{}", story.timeline());
}

/// Gives the work of a writer whose creation is on its way to another one, to whom nothing that was
/// sent can land any more.
async fn overtake(story: &Story) {
    let key = change(story).await;
    let message = "the answer was lost, and the note never came".to_owned();
    let given_up = NewEvent::new(NoteRefused { class: None, gone: false, message });
    let append = Append::new(Meta::from_source("story"));
    let mut append = append.write(&stream::note(&key), Expected::Any, vec![given_up]);
    let work = WorkKey::new(WorkKind::Note, key.to_string());
    append.finished.push(work.clone());
    append.touches.push(WorkTouch::now(work, 0));
    story.bot.store.append(append).await.expect("the work can be given away");
}

#[tokio::test]
async fn who_was_overtaken_deletes_its_own_comment_when_it_hears_of_it() {
    let story = Story::start().await;
    story.sim.fault(Fault::on(Route::NoteCreate, FaultKind::Hold));
    let mr = story.propose_commit("A", &[("code", "1")]);
    until_met(&story).await;
    overtake(&story).await;
    until_confirmed(&story, 1).await;
    let first = standing(&story, mr);
    assert_eq!(first.len(), 1, "{}", story.timeline());
    story.sim.land();
    let stood = both_stood(&story, 1).await;
    assert!(stood <= HEALED, "two comments for {stood:?}");
    assert_eq!(standing(&story, mr), first, "the oldest is left");
    assert_eq!(confirmed(&story).await, first, "who was overtaken says nothing of its own");
    insta::assert_snapshot!(story.timeline_of("note by"), @"
    group/demo !1 note by aldis: created
    group/demo !1 note by aldis: created
    group/demo !1 note by aldis: deleted
    ");
    next_edit_goes_to(&story, mr, first[0]).await;
}

#[tokio::test]
async fn a_comment_that_came_before_the_own_takes_its_place() {
    let story = Story::start().await;
    story.sim.fault(Fault::on(Route::NoteCreate, FaultKind::Hold));
    let mr = story.propose_commit("A", &[("code", "1")]);
    until_met(&story).await;
    let first = by_another_hand(&story, mr).await;
    story.sim.land();
    let stood = both_stood(&story, 0).await;
    assert!(stood <= HEALED, "two comments for {stood:?}");
    assert_eq!(standing(&story, mr), [first], "the oldest is left");
    assert_eq!(story.headline(mr), "### ✓ 1 stack passed");
    let own = target(&done(&story, Route::NoteDelete)[0]);
    assert_eq!(confirmed(&story).await, [own, first, first]);
    next_edit_goes_to(&story, mr, first).await;
    story.finish().await;
}

#[tokio::test]
async fn who_looks_for_a_lost_comment_and_finds_two_leaves_one() {
    let story = Story::start().await;
    story.sim.fault(Fault::on(Route::NoteCreate, FaultKind::LandLate));
    let mr = story.propose_commit("A", &[("code", "1")]);
    until_met(&story).await;
    story.sim.fault(Fault::on(Route::NoteList, FaultKind::Hold));
    until_met(&story).await;
    let first = by_another_hand(&story, mr).await;
    story.sim.land();
    let stood = both_stood(&story, 0).await;
    assert!(stood <= HEALED, "two comments for {stood:?}");
    assert_eq!(standing(&story, mr), [first], "the oldest is left");
    assert_eq!(story.headline(mr), "### ✓ 1 stack passed");
    assert_eq!(confirmed(&story).await, [first, first]);
    next_edit_goes_to(&story, mr, first).await;
    story.finish().await;
}

/// The answer to the creation was lost, another comment was found in its place, and it comes after
/// all. Nobody hears of it before the comparison.
#[tokio::test]
async fn the_look_at_what_landed_late_leaves_one_comment() {
    let story = Story::start().await;
    story.sim.fault(Fault::on(Route::NoteCreate, FaultKind::LandLate));
    let mr = story.propose_commit("A", &[("code", "1")]);
    until_met(&story).await;
    let first = by_another_hand(&story, mr).await;
    until_confirmed(&story, 2).await;
    story.settle().await;
    story.sim.land();
    assert_eq!(standing(&story, mr).len(), 2, "{}", story.timeline());
    let stood = both_stood(&story, 0).await;
    assert!(stood <= QUIET + HEALED, "two comments for {stood:?}");
    let (created, deleted) =
        (&done(&story, Route::NoteCreate)[0], &done(&story, Route::NoteDelete)[0]);
    let edits = done(&story, Route::NoteUpdate).into_iter();
    let between: Vec<_> = edits.filter(|e| e.at > created.at && e.at < deleted.at).collect();
    assert!(between.is_empty(), "an edit may have done it: {between:#?}");
    assert_eq!(standing(&story, mr), [first], "the oldest is left");
    next_edit_goes_to(&story, mr, first).await;
    story.finish().await;
}

/// Nobody hears of it, so two comments stand until there is something new to tell.
#[tokio::test]
async fn a_comment_that_lands_after_it_was_made_again_is_deleted_by_the_next_edit() {
    let story = Story::start().await;
    story.sim.fault(Fault::on(Route::NoteCreate, FaultKind::LandLate));
    let mr = story.propose_commit("A", &[("code", "1")]);
    until_met(&story).await;
    until_confirmed(&story, 1).await;
    let first = standing(&story, mr);
    assert_eq!(first.len(), 1, "{}", story.timeline());
    story.sim.land();
    story.settle().await;
    assert_eq!(standing(&story, mr).len(), 2, "{}", story.timeline());
    let edits = done(&story, Route::NoteUpdate).len();
    next_edit_goes_to(&story, mr, first[0]).await;
    let edits = done(&story, Route::NoteUpdate).split_off(edits);
    let deleted = &done(&story, Route::NoteDelete)[0];
    let took = since(&edits[0], deleted);
    assert!(took <= HEALED, "two comments for {took:?} after an edit");
    let later = edits.iter().skip(1).all(|edit| edit.at > deleted.at);
    assert!(later, "the first edit left two: {}", story.timeline());
    assert_eq!(done(&story, Route::NoteCreate).len(), 2, "{}", story.timeline());
}
