//! What GitLab said is old when it is acted on: meanwhile somebody else was told of what came after.

use std::time::{Duration, Instant};

use aldis_domain::event::Event;
use aldis_gitlab_sim::{Fault, FaultKind, NewMergeRequest, Route};
use aldis_tests::Story;

/// How long GitLab's word is on its way. Less than the bot waits for an answer.
const LATE: Duration = Duration::from_secs(5);

/// Waits until the head of some change is this commit.
async fn until_head(story: &Story, name: &str) {
    let sha = story.sha(name);
    let moved = async || {
        story.log().await.iter().any(|(_, event)| match event {
            Event::HeadMoved(moved) => moved.sha.as_str() == sha,
            _ => false,
        })
    };
    story.until("the head has moved", moved).await;
}

/// How many deliveries have an outcome.
async fn decided(story: &Story) -> usize {
    let log = story.log().await;
    log.iter().filter(|(_, event)| matches!(event, Event::DeliveryDecided(_))).count()
}

#[tokio::test]
async fn a_merge_request_does_not_go_back_to_a_head_that_was_read_too_early() {
    let story = Story::start().await;
    let mr = story.propose_commit("A", &[("code", "1")]);
    story.settle().await;
    let late = Fault::on(Route::MergeRequestGet, FaultKind::DelayAnswer(LATE));
    story.sim.fault(late.times(2));
    let asked = story.sim.count(Route::MergeRequestGet) + 2;
    story.push("B", "feature", &[("code", "2")]);
    story
        .until_seen("both its hooks are looked into", |s| {
            s.sim.count(Route::MergeRequestGet) >= asked
        })
        .await;
    story.push("C", "feature", &[("code", "3")]);
    until_head(&story, "C").await;
    story.settle().await;
    assert!(story.shows("C", "aldis", "success"), "{}", story.timeline());
    assert_eq!(story.headline(mr), "### ✓ 1 stack passed");
    assert!(story.page(mr).contains("Commit C"), "{}", story.page(mr));
    story.finish().await;
}

#[tokio::test]
async fn a_branch_does_not_go_back_to_a_head_that_was_read_too_early() {
    let story = Story::start().await;
    story.push("A", "main", &[("code", "1")]);
    story.settle().await;
    story.sim.fault(Fault::on(Route::BranchGet, FaultKind::DelayAnswer(LATE)).times(1));
    let asked = story.sim.count(Route::BranchGet) + 1;
    story.push("B", "main", &[("code", "2")]);
    story.until_seen("its hook is looked into", |s| s.sim.count(Route::BranchGet) >= asked).await;
    story.push("C", "main", &[("code", "3")]);
    until_head(&story, "C").await;
    story.settle().await;
    assert!(story.shows("C", "aldis", "success"), "{}", story.timeline());
    let log = story.log().await;
    let mut heads = log.iter().filter_map(|(_, event)| match event {
        Event::HeadMoved(moved) => Some(moved.sha.to_string()),
        _ => None,
    });
    assert_eq!(heads.next_back(), Some(story.sha("C")), "{}", story.timeline());
    story.finish().await;
}

#[tokio::test]
async fn a_plan_that_takes_longer_than_a_lease_is_made_once() {
    /// Less than the bot waits for an answer.
    const SLOW: Duration = Duration::from_secs(9);
    let story = Story::start().await;
    story.propose_commit("A", &[("code", "1")]);
    for target in ["one", "two", "three"] {
        story.alice().push(story.project, target, "main").unwrap();
        let title = "Change".to_owned();
        let (source_project, project) = (story.project, story.project);
        let (source_branch, target_branch) = ("feature".to_owned(), target.to_owned());
        let new = NewMergeRequest { source_project, source_branch, project, target_branch, title };
        story.alice().open_merge_request(new).unwrap();
    }
    story.settle().await;
    story.sim.hold_deliveries();
    let before = decided(&story).await;
    story.push("B", "feature", &[("code", "2")]);
    let hook = story.sim.held_deliveries().first().expect("the push").id;
    let asked = story.sim.count(Route::BranchGet);
    story.sim.fault(Fault::on(Route::AnyRead, FaultKind::DelayAnswer(SLOW)).always());
    let begun = Instant::now();
    story.sim.redeliver(hook).unwrap();
    let is_decided = async || decided(&story).await > before;
    story.until("the push is planned", is_decided).await;
    assert!(begun.elapsed() > Duration::from_secs(30), "{:?}", begun.elapsed());
    assert_eq!(story.sim.count(Route::BranchGet), asked + 1, "{}", story.timeline());
    story.sim.clear_faults();
}
