//! Kills around the commit of every kind of event.

use std::time::Duration;

use aldis_domain::event::Event;
use aldis_gitlab_sim::{Fault, FaultKind, Route};

use crate::oracle::undisturbed;
use crate::play::Play;
use crate::trials;
use crate::world::World;

/// Kinds that no story can bring forth, and why.
const NEVER: [(&str, &str); 1] = [("capability_lost", "no part of this version writes it")];

/// Which occurrences of a kind are tried in the story of the merge.
fn occurrences(kind: &str) -> &'static [u32] {
    match kind {
        "delivery_received" => &[1, 2, 4, 9],
        "delivery_decided" => &[1, 3, 8],
        "change_planned" | "head_moved" | "lane_planned" => &[1, 2, 4],
        "run_requested" => &[1, 3, 6],
        "attempt_started" => &[1, 3, 4, 6],
        "run_finished" => &[1, 2, 3, 5, 6, 7],
        "statuses_intended" | "statuses_settled" => &[1, 2, 4, 7],
        "pipelines_seen" => &[1, 2, 3],
        "lane_admitted"
        | "lane_ended"
        | "run_released"
        | "note_confirmed"
        | "deployment_intended"
        | "deployment_confirmed" => &[1, 2],
        // Its first is the creation: see `slow_trial`.
        "note_intended" => &[2],
        "run_joined" | "run_left" | "cancel_requested" | "attempt_lost" | "note_refused"
        | "deployment_refused" | "statuses_compared" | "note_compared" => &[],
        _ => &[1],
    }
}

/// The bot is killed there, the story goes on, and nobody sees a difference.
async fn trial(play: Play, failpoints: Vec<String>) {
    let points: Vec<&str> = failpoints.iter().map(String::as_str).collect();
    let mut world = World::build(&failpoints.join(", "), &points).await;
    world.play(play).await;
    assert_eq!(world.kills, points.len(), "{}", world.describe("not every point was met"));
    world.ends_like(play).await;
    world.stop().await;
}

fn around(kind: &str, nth: u32) -> [String; 2] {
    ["before", "after"].map(|moment| format!("{moment}:{kind}:{nth}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_around_any_commit_the_story_ends_the_same() {
    undisturbed(Play::Merge).await;
    let mut trials = Vec::new();
    for kind in Event::KINDS.iter().filter(|kind| !NEVER.iter().any(|(never, _)| never == *kind)) {
        for nth in occurrences(kind) {
            for point in around(kind, *nth) {
                // It was not sent, and only time can tell: see `slow_trial`.
                if point != "after:deployment_intended:1" {
                    trials.push((point.clone(), trial(Play::Merge, vec![point])));
                }
            }
        }
    }
    trials::all(trials).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_a_run_is_canceled_the_story_ends_the_same() {
    undisturbed(Play::Supersede).await;
    let points = ["run_joined", "run_left", "cancel_requested", "attempt_started"];
    let points = points.into_iter().flat_map(|kind| around(kind, 1));
    trials::all(points.map(|p| (p.clone(), trial(Play::Supersede, vec![p]))).collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_while_it_recovers_the_story_ends_the_same() {
    undisturbed(Play::Merge).await;
    let mut trials = Vec::new();
    let mut add = |first: &str, second: &str| {
        let points = vec![first.to_owned(), second.to_owned()];
        trials.push((points.join(", "), trial(Play::Merge, points)));
    };
    for lost in around("attempt_lost", 1) {
        add("after:attempt_started:1", &lost);
        add("after:attempt_started:6", &lost);
    }
    for settled in around("statuses_settled", 1) {
        add("before:statuses_settled:1", &settled);
    }
    for confirmed in around("note_confirmed", 1) {
        add("before:note_confirmed:1", &confirmed);
    }
    for confirmed in around("deployment_confirmed", 1) {
        add("before:deployment_confirmed:1", &confirmed);
    }
    trials::all(trials).await;
}

/// A creation was intended, and it is not known whether it was sent. It may still be on its way, so
/// the bot waits for 75 s before it creates again. The points around a refusal are here, too: one
/// that was not written down leaves the same doubt.
#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_never_came_is_made_after_the_quiet_period() {
    undisturbed(Play::Merge).await;
    let mut waiting = tokio::task::JoinSet::new();
    // Beside all others: they mostly wait.
    for point in ["after:note_intended:1", "after:deployment_intended:1"] {
        waiting.spawn(slow_trial(vec![point.to_owned()], None));
    }
    let refusals =
        [("note_refused", Route::NoteCreate), ("deployment_refused", Route::DeploymentCreate)];
    for (kind, route) in refusals {
        for point in around(kind, 1) {
            let fault = Fault::on(route, FaultKind::rate_limited(1));
            waiting.spawn(slow_trial(vec![point], Some(fault)));
        }
    }
    while let Some(ended) = waiting.join_next().await {
        ended.expect("every trial passes");
    }
}

/// A kill leaves a write without an answer; it is looked at once more when it can no longer land,
/// and there the bot is killed again.
#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_looks_for_what_landed_late_the_story_ends_the_same() {
    undisturbed(Play::Merge).await;
    let mut waiting = tokio::task::JoinSet::new();
    let doubts = [
        ("before:statuses_settled:2", "statuses_compared"),
        ("before:note_confirmed:1", "note_compared"),
    ];
    for (first, kind) in doubts {
        for second in around(kind, 1) {
            waiting.spawn(slow_trial(vec![first.to_owned(), second], None));
        }
    }
    while let Some(ended) = waiting.join_next().await {
        ended.expect("every trial passes");
    }
}

async fn slow_trial(points: Vec<String>, fault: Option<Fault>) {
    let points: Vec<&str> = points.iter().map(String::as_str).collect();
    let mut world = World::build(&points.join(", "), &points).await;
    if points.len() > 1 {
        world.soon = Duration::MAX;
    }
    if let Some(fault) = fault {
        world.sim.fault(fault);
    }
    world.play(Play::Merge).await;
    assert_eq!(world.kills, points.len(), "{}", world.describe("not every point was met"));
    world.ends_like(Play::Merge).await;
    world.stop().await;
}

#[test]
fn every_kind_of_event_is_a_point() {
    let elsewhere = [
        "run_joined",
        "run_left",
        "cancel_requested",
        "attempt_lost",
        "note_refused",
        "deployment_refused",
        "statuses_compared",
        "note_compared",
        "capability_lost",
    ];
    let untried: Vec<_> = Event::KINDS.iter().filter(|kind| occurrences(kind).is_empty()).collect();
    assert!(untried.iter().all(|kind| elsewhere.contains(kind)), "{untried:?}");
}
