//! Commits that a runner may fetch ahead.

use std::time::Duration;

use aldis_bus::Topic;
use aldis_domain::event::resource::LaneAdmitted;
use aldis_domain::stream;
use aldis_protocol::Dispatcher;

use crate::bench::{Queue, request};

fn admitted(change: &str) -> LaneAdmitted {
    let request = request(1, false);
    LaneAdmitted {
        project: request.project,
        sha: request.sha,
        lane: "fix".to_owned(),
        change: change.parse().unwrap(),
        aggregate: "aldis".to_owned(),
    }
}

async fn admit(queue: &Queue, change: &str) {
    let lane = admitted(change);
    queue.append(&stream::statuses(lane.project, &lane.sha), lane).await;
    queue.bus.hint(Topic::Commit);
}

#[tokio::test]
async fn what_was_admitted_is_announced_once_with_the_way_to_it() {
    let queue = Queue::start().await;
    admit(&queue, "mr-1.42-7").await;
    let before = queue.store.head().await.unwrap().position;
    admit(&queue, "ref-1.42-refs/heads/fix").await;
    admit(&queue, "mr-1.42-8").await;
    let announced = queue.dispatch.announced(Some(before)).await;
    let told: Vec<String> = announced
        .commits
        .iter()
        .map(|commit| format!("{} {} {}", commit.source.url, commit.git_ref, commit.sha.short()))
        .collect();
    insta::assert_snapshot!(told.join("\n"), @"
    https://git.example/gitlab/works/pump.git refs/heads/fix aaaaaaaa
    https://git.example/gitlab/works/pump.git refs/merge-requests/8/head aaaaaaaa
    ");
    // Nothing is told twice, and what is new is heard by a hint, before it would look by itself.
    let (dispatch, upto) = (queue.dispatch.clone(), announced.upto);
    let next = tokio::spawn(async move { dispatch.announced(Some(upto)).await });
    admit(&queue, "mr-1.42-9").await;
    let next = tokio::time::timeout(Duration::from_secs(30), next).await.unwrap().unwrap();
    assert_eq!(next.commits.len(), 1);
    assert_eq!(next.commits[0].git_ref, "refs/merge-requests/9/head");
}

#[tokio::test]
async fn a_project_that_the_log_does_not_know_is_not_announced() {
    let queue = Queue::without_project().await;
    admit(&queue, "mr-1.42-7").await;
    let announced = queue.dispatch.announced(Some(0));
    assert!(tokio::time::timeout(Duration::from_millis(50), announced).await.is_err());
}
