//! One of several processes vanishes, or stands still, in the middle of what only it knows.

use std::time::{Duration, Instant, SystemTime};

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
/// Longest time after a writer's waking until a comment too many is gone.
const HEALED: Duration = Duration::from_secs(10);

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
    let intended = async || {
        let log = world.log().await;
        log.iter().any(|(_, event)| matches!(event, Event::NoteIntended(_)))
    };
    let begun = Instant::now();
    while !intended().await {
        assert!(begun.elapsed() < PATIENCE, "{}", world.describe("no comment is intended"));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Whoever takes over after the lease waits for what may still land, and is frozen, too, when it
    // intends to make the comment itself.
    let frozen = Instant::now();
    tokio::time::sleep(Duration::from_secs(90).saturating_sub(frozen.elapsed())).await;
    world.soon = Duration::MAX;
    // Who did not intend a comment so far may do so, and freeze, while the others go on.
    while world.parts[1..4].iter().any(|(_, part)| part.frozen()) {
        for (_, part) in &world.parts[1..4] {
            part.thaw();
        }
        let woken = SystemTime::now();
        world.settle().await;
        let deleted = world.sim.calls().into_iter().filter(|c| c.route == Route::NoteDelete);
        for at in deleted.map(|call| SystemTime::from(call.at)).filter(|at| *at > woken) {
            let took = at.duration_since(woken).expect("it is later");
            assert!(took <= HEALED, "{}", world.describe(&format!("two comments for {took:?}")));
        }
    }
    let page = world.sim.merge_request_page(world.merge_request()).expect("the merge request");
    let notes = page.notes.iter().filter(|note| note.author == BOT).count();
    assert_eq!(notes, 1, "{}", world.describe("a second comment stands"));
    let made =
        world.sim.calls().iter().filter(|c| c.route == Route::NoteCreate && c.applied).count();
    assert!(made <= 2, "{}", world.describe("more than one comment too many"));
    world.stop().await;
}
