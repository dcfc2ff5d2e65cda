//! The bot in several processes on one Postgres database.

use std::time::Duration;

use aldis_test_servers::{Valve, rabbitmq};
use aldis_tests::process::REMOTE;

use crate::play::Play;
use crate::world::World;

const PARTS: [&str; 6] =
    ["ingress,dispatch,web", "planner", "planner", "feedback", "feedback", REMOTE];
/// What may follow one kill after the other: a lease of 45 s, and a quiet period of 75 s.
const PATIENCE: Duration = Duration::from_secs(200);
/// What is planned, run and written waits for its consumer to look three times, five seconds each.
const LATE: Duration = Duration::from_secs(15);

/// URL of the broker that the tests share.
pub(crate) async fn broker() -> String {
    tokio::task::spawn_blocking(|| rabbitmq().url()).await.expect("a broker")
}

#[tokio::test(flavor = "multi_thread")]
async fn divided_among_processes_it_does_what_one_process_does() {
    let took = merge_story("divided", &broker().await, || {}).await;
    assert_eq!(took.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_broker_in_a_black_hole_all_is_done_fifteen_seconds_later_at_most() {
    let broker = broker().await;
    let way = Valve::before(&broker).await;
    let soon = merge_story("a broker", &broker, || {}).await;
    let late = merge_story("a black hole", way.url(), || way.shut()).await;
    for (soon, late) in soon.iter().zip(&late) {
        assert!(*late <= *soon + LATE, "{late:?} instead of {soon:?}");
    }
}

/// Plays it after `begin`, and tells how long each act took.
async fn merge_story(name: &str, broker: &str, begin: impl FnOnce()) -> Vec<Duration> {
    let mut world = World::divided(name, PARTS, Some(broker)).await;
    world.patience = PATIENCE;
    begin();
    world.play(Play::Merge).await;
    world.ends_like(Play::Merge).await;
    let took = std::mem::take(&mut world.took);
    world.stop().await;
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_part_is_killed_in_each_act_the_story_ends_the_same() {
    let mut world = World::divided("divided and killed", PARTS, None).await;
    world.patience = PATIENCE;
    // Both planners, then both writers: one of either kind was in the middle of it.
    world.losing = [vec![0, 1], vec![2, 3], vec![0, 2], vec![1, 3]].into();
    world.play(Play::Merge).await;
    assert_eq!(world.kills, 8);
    world.ends_like(Play::Merge).await;
    world.stop().await;
}
