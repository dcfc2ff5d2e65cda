//! The database is away in the middle of a deployment, for as long as a restart of its machine takes.

use std::time::{Duration, Instant};

use aldis_domain::event::Event;
use aldis_domain::report::Outcome;
use aldis_gitlab_sim::Route;
use aldis_test_servers::{Valve, postgres};
use aldis_tests::oracle::outcomes;

use crate::world::World;

const OUTAGE: Duration = Duration::from_mins(1);
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_survives_a_minute_without_the_database() {
    let url = tokio::task::spawn_blocking(|| postgres().database()).await.expect("a database");
    let way = Valve::before(&url).await;
    let mut world = World::on(way.url()).await;
    world.push("direct", "main", "true\n");
    let begun = Instant::now();
    while world.sim.count(Route::DeploymentCreate) == 0 {
        assert!(begun.elapsed() < PATIENCE, "{}", world.describe("nothing is deployed"));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    way.shut();
    tokio::time::sleep(OUTAGE).await;
    way.open();
    world.settle().await;
    world.nothing_lost_or_doubled().await;
    let log = world.log().await;
    let is_lost = |event: &Event| matches!(event, Event::AttemptLost(_));
    assert!(!log.iter().any(|(_, event)| is_lost(event)), "{}", world.describe("it was given up"));
    assert!(outcomes(&log).all(|o| o == Outcome::Passed), "{}", world.describe("it did not pass"));
    assert_eq!(world.sim.count(Route::DeploymentCreate), 1);
    world.stop().await;
}
