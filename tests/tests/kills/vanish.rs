//! One of several processes vanishes, or stands still, in the middle of what only it knows.

use std::time::{Duration, Instant};

use aldis_domain::event::Event;
use aldis_gitlab_sim::Route;
use aldis_tests::process::REMOTE;

use crate::divided::broker;
use crate::world::{BOT, World};

const TWO_RUNNERS: [&str; 6] =
    ["ingress,dispatch,web", "planner", "feedback", "feedback", REMOTE, REMOTE];
const TWO_WRITERS: [&str; 6] =
    ["ingress,dispatch,web", "planner", "feedback", "feedback", "feedback", REMOTE];
const PATIENCE: Duration = Duration::from_secs(200);

/// The runners of all attempts so far.
async fn attempts(world: &World) -> Vec<String> {
    let started = world.log().await.into_iter().filter_map(|(_, event)| match event {
        Event::AttemptStarted(started) => Some(started.runner),
        _ => None,
    });
    started.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_runner_is_killed_begins_again_within_a_minute_and_nobody_sees_red() {
    let mut world = World::divided("a runner is killed", TWO_RUNNERS, Some(&broker().await)).await;
    world.patience = PATIENCE;
    world.push("slow", "slow", "sleep 15\n");
    world.sim.by(world.developer).propose(world.project, "slow", "Slow").expect("a proposal");
    world.until_running("slow").await;
    let runner = attempts(&world).await.remove(0);
    let part = if runner.starts_with("r4/") { 3 } else { 4 };
    let killed = Instant::now();
    world.parts[part].1.kill().await;
    while attempts(&world).await.len() < 2 {
        assert!(killed.elapsed() < PATIENCE, "{}", world.describe("it does not begin again"));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let took = killed.elapsed();
    assert!(took <= Duration::from_mins(1), "it began again after {took:?}");
    world.settle().await;
    world.nothing_lost_or_doubled().await;
    world.nobody_saw_red("slow");
    world.stop().await;
}

/// How often somebody meant to make the comment, and when last, in microseconds since 1970.
async fn creations_intended(world: &World) -> (usize, i64) {
    let is_creation =
        |event: Event| matches!(event, Event::NoteIntended(intended) if intended.note.is_none());
    let log = world.site.log().await.into_iter();
    let log = log.filter(|envelope| is_creation(envelope.event().expect("of this version")));
    log.fold((0, 0), |(count, _), envelope| (count + 1, envelope.recorded_at))
}

/// Whoever wakes too late for what it meant to send does not send it. What becomes of a second
/// comment is in the stories, where a creation is held on its way.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_frozen_between_intent_and_send_leaves_one_comment() {
    let mut world = World::divided("a writer is frozen", TWO_WRITERS, Some(&broker().await)).await;
    world.patience = PATIENCE;
    for part in 1..4 {
        // Whichever of them is to make the comment.
        world.parts[part].1.kill().await;
        world.parts[part].1 = world.parts[part].0.start(Some("freeze:note_intended")).await;
    }
    world.push("red", "red", "false\n");
    world.sim.by(world.developer).propose(world.project, "red", "Red").expect("a proposal");
    let begun = Instant::now();
    while creations_intended(&world).await.0 == 0 {
        assert!(begun.elapsed() < PATIENCE, "{}", world.describe("no comment is intended"));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Whoever takes over after the lease waits for what may still land, and is frozen, too, when it
    // intends to make the comment itself.
    let frozen = Instant::now();
    tokio::time::sleep(Duration::from_secs(90).saturating_sub(frozen.elapsed())).await;
    let sent = world.sim.count(Route::NoteCreate);
    assert_eq!(sent, 0, "{}", world.describe("it was frozen after it had sent"));
    world.soon = Duration::MAX;
    // Who did not intend a comment so far may do so, and freeze, while the others go on.
    while world.parts[1..4].iter().any(|(_, part)| part.frozen()) {
        for (_, part) in &world.parts[1..4] {
            part.thaw();
        }
        world.settle().await;
    }
    let (intended, last) = creations_intended(&world).await;
    assert!(intended >= 2, "{}", world.describe("who was frozen went on as if nothing had been"));
    let calls = world.sim.calls();
    let made: Vec<_> = calls.iter().filter(|call| call.route == Route::NoteCreate).collect();
    let [made] = made.as_slice() else {
        panic!("{}", world.describe("not just one creation was sent"))
    };
    assert!(made.at.as_microsecond() >= last, "{}", world.describe("who was frozen sent it"));
    assert!(calls.iter().all(|call| call.route != Route::NoteDelete), "one comment, never two");
    let page = world.sim.merge_request_page(world.merge_request()).expect("the merge request");
    let notes = page.notes.iter().filter(|note| note.author == BOT).count();
    assert_eq!(notes, 1, "{}", world.describe("there is not just one comment"));
    world.stop().await;
}
