//! The bot dies, and an operator takes what it knew to another database.

use std::time::Duration;

use aldis_test_servers::postgres;

use crate::play::Play;
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn moved_in_the_middle_the_story_ends_the_same() {
    let mut world = World::build("moved", &[]).await;
    world.strangers().await;
    world.open();
    world.settle().await;
    world.fix();
    world.until_gitlab_hears().await;
    world.bot.kill().await;
    let database = tokio::task::spawn_blocking(|| postgres().database()).await;
    world.site.move_to(&database.expect("a database")).await;
    world.settle().await;
    for act in [World::test_again, World::merge] {
        act(&mut world);
        world.settle().await;
    }
    world.ends_like(Play::Merge).await;
    what_was_told_before_is_known(&mut world).await;
    world.stop().await;
}

/// GitLab sends everything once more.
async fn what_was_told_before_is_known(world: &mut World) {
    // What the kill left in doubt is compared only later, and told.
    world.soon = Duration::MAX;
    world.settle().await;
    let before = world.log().await.len();
    let seen = world.seen();
    for delivery in world.sim.deliveries() {
        world.sim.redeliver(delivery.id).expect("a delivery of this number");
    }
    world.settle().await;
    for delivery in world.sim.deliveries() {
        let answer = delivery.attempts.last().map(|attempt| attempt.answer_body.as_str());
        let is_known = answer.is_some_and(|answer| answer.contains("seen"));
        assert!(is_known, "{}: {answer:?}", delivery.key);
    }
    assert_eq!(world.log().await.len(), before, "{}", world.describe("something was appended"));
    assert_eq!(world.seen(), seen);
}
