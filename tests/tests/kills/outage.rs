//! The database is away in the middle of a run, for as long as a restart of its machine takes.

use std::time::{Duration, Instant};

use aldis_domain::event::Event;
use aldis_domain::report::Outcome;
use aldis_gitlab_sim::Route;
use aldis_test_servers::{Valve, postgres};
use aldis_tests::oracle::outcomes;

use crate::world::World;

const OUTAGE: Duration = Duration::from_mins(1);
const PATIENCE: Duration = Duration::from_mins(1);

/// A world whose database can be cut off.
async fn behind_a_valve() -> (World, Valve) {
    let url = tokio::task::spawn_blocking(|| postgres().database()).await.expect("a database");
    let way = Valve::before(&url).await;
    (World::on(way.url()).await, way)
}

/// How many runners were given up, once all is well again.
async fn losses_by_an_outage(world: &mut World, way: &Valve) -> usize {
    way.shut();
    tokio::time::sleep(OUTAGE).await;
    way.open();
    world.settle().await;
    world.nothing_lost_or_doubled().await;
    let log = world.log().await;
    assert!(outcomes(&log).all(|o| o == Outcome::Passed), "{}", world.describe("it did not pass"));
    log.iter().filter(|(_, event)| matches!(event, Event::AttemptLost(_))).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_survives_a_minute_without_the_database() {
    let (mut world, way) = behind_a_valve().await;
    world.push("direct", "main", "true\n");
    let begun = Instant::now();
    while world.sim.count(Route::DeploymentCreate) == 0 {
        assert!(begun.elapsed() < PATIENCE, "{}", world.describe("nothing is deployed"));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(losses_by_an_outage(&mut world, &way).await, 0);
    assert_eq!(world.sim.count(Route::DeploymentCreate), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_minute_without_the_database_a_test_run_begins_again_and_nobody_sees_red() {
    let (mut world, way) = behind_a_valve().await;
    world.push("slow", "slow", "sleep 10\n");
    world.sim.by(world.developer).propose(world.project, "slow", "Slow").expect("a proposal");
    world.until_running("slow").await;
    let losses = losses_by_an_outage(&mut world, &way).await;
    assert!(losses <= 1, "{}", world.describe("given up twice"));
    world.nobody_saw_red("slow");
    world.stop().await;
}
