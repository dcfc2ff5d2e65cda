//! The same news twice, late, or in another order.

use aldis_gitlab_sim::{Order, Trigger};
use aldis_tests::{Setup, Story};

#[tokio::test]
async fn redelivery_changes_nothing() {
    let story = Story::start().await;
    let mr = story.propose_commit("A", &[("code", "1")]);
    story.settle().await;
    let (timeline, page) = (story.timeline(), story.page(mr));
    let events = story.log().await.len();
    for delivery in story.sim.deliveries() {
        story.sim.redeliver(delivery.id).unwrap();
        story.sim.redeliver(delivery.id).unwrap();
    }
    story.settle().await;
    assert_eq!(story.timeline(), timeline);
    assert_eq!(story.page(mr), page);
    assert_eq!(story.log().await.len(), events, "a delivery that was seen leaves no trace");
    story.finish_doubled(5).await;
}

#[tokio::test]
async fn a_group_hook_beside_the_projects_own_runs_nothing_twice() {
    let story = Setup { group_hook: true, ..Setup::USUAL }.start().await;
    let mr = story.propose_commit("A", &[("code", "1")]);
    story.settle().await;
    story.push("B", "main", &[("other", "1")]);
    story.settle().await;
    insta::assert_snapshot!(story.runs().await, @"
    A ci: passed
    B ci: passed
    ");
    for name in ["A", "B"] {
        for line in ["aldis", "aldis/ci"] {
            let mut states = story.states(name, line);
            let told = states.len();
            states.dedup();
            assert_eq!(states.len(), told, "{line} of {name} was told twice: {states:?}");
        }
    }
    assert_eq!(story.timeline_of("note by aldis").lines().count(), 1);
    assert_eq!(story.notes(mr).len(), 1);
    story.finish_doubled(6).await;
}

#[tokio::test]
async fn push_and_merge_request_hooks_in_either_order_make_one_run() {
    for order in [Order::AsFired, Order::Reversed] {
        let story = Story::start().await;
        story.sim.hold_deliveries();
        let mr = story.propose_commit("A", &[("code", "1")]);
        assert_eq!(
            story.sim.held_deliveries().iter().map(|d| d.trigger).collect::<Vec<_>>(),
            [Trigger::Push, Trigger::MergeRequests]
        );
        story.sim.release_deliveries(&order).unwrap();
        story.settle().await;
        assert_eq!(story.runs().await, "A ci: passed", "{order:?}");
        assert_eq!(story.headline(mr), "### ✓ 1 stack passed", "{order:?}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(story.statuses("A"), @r#"
            feature A: success (external)
              aldis: success "1 stack passed"
              aldis/ci: success "passed in T"
            "#);
        }
        story.finish_doubled(7).await;
    }
}
