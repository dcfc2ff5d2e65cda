//! Kills between an effect in GitLab and its answer: it is done, and the bot does not know.

use std::time::Duration;

use aldis_gitlab_sim::{Fault, FaultKind, Route};

use crate::oracle::undisturbed;
use crate::play::Play;
use crate::trials;
use crate::world::World;

/// Longer than any answer is waited for.
const NEVER: Duration = Duration::from_mins(10);

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_an_answer_comes_nothing_is_done_twice() {
    undisturbed(Play::Merge).await;
    let calls = [
        (Route::StatusPost, 1),
        (Route::StatusPost, 2),
        (Route::StatusPost, 4),
        (Route::StatusPost, 9),
        (Route::NoteCreate, 1),
        (Route::NoteUpdate, 1),
        (Route::EnvironmentCreate, 1),
        (Route::DeploymentCreate, 1),
        (Route::DeploymentUpdate, 1),
        (Route::PipelineList, 1),
        (Route::MergeRequestGet, 1),
    ];
    let trials = calls.map(|(route, nth)| (format!("{route:?} {nth}"), trial(route, nth)));
    trials::all(trials.into_iter().collect()).await;
}

async fn trial(route: Route, nth: u32) {
    let mut world = World::build(&format!("{route:?} {nth}"), &[]).await;
    world.sim.fault(Fault::on(route, FaultKind::DelayAnswer(NEVER)).skip(nth - 1));
    world.kill_at = Some((route, nth as usize));
    world.play(Play::Merge).await;
    assert_eq!(world.kills, 1, "{}", world.describe("the call was not made"));
    world.ends_like(Play::Merge).await;
    world.stop().await;
}
