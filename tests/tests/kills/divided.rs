//! The bot in several processes on one Postgres database.

use std::time::Duration;

use aldis_tests::process::REMOTE;

use crate::play::Play;
use crate::world::World;

const PARTS: [&str; 6] =
    ["ingress,dispatch,web", "planner", "planner", "feedback", "feedback", REMOTE];
/// A process that is killed keeps its lease for up to 90 s.
const PATIENCE: Duration = Duration::from_secs(200);

#[tokio::test(flavor = "multi_thread")]
async fn divided_among_processes_it_does_what_one_process_does() {
    let mut world = World::divided("divided", PARTS, true).await;
    world.patience = PATIENCE;
    world.play(Play::Merge).await;
    world.ends_like(Play::Merge).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_part_is_killed_in_each_act_the_story_ends_the_same() {
    let mut world = World::divided("divided and killed", PARTS, false).await;
    world.patience = PATIENCE;
    // Both planners, then both writers: one of either kind was in the middle of it.
    world.losing = [vec![0, 1], vec![2, 3], vec![0, 2], vec![1, 3]].into();
    world.play(Play::Merge).await;
    assert_eq!(world.kills, 8);
    world.ends_like(Play::Merge).await;
    world.stop().await;
}
