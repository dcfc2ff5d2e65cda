//! GitLab refuses a write: what was asked for is not asked again, what comes next is, and nothing
//! else suffers.

use std::collections::BTreeSet;

use aldis_gitlab_sim::{Fault, FaultKind, Route};
use aldis_tests::Story;

/// Answers that say no, whatever the reason.
const NO: [u16; 4] = [400, 403, 404, 422];

/// Nothing that was refused was sent twice.
fn assert_each_was_sent_once(story: &Story, route: Route) {
    let calls = story.sim.calls().into_iter().filter(|call| call.route == route && !call.applied);
    let sent: Vec<String> = calls.map(|call| format!("{} {}", call.path, call.params)).collect();
    let distinct: BTreeSet<&String> = sent.iter().collect();
    assert!(!sent.is_empty(), "nothing was refused");
    assert_eq!(sent.len(), distinct.len(), "sent again: {sent:#?}");
}

#[tokio::test]
async fn a_comment_that_is_refused_is_made_with_the_next_text() {
    let story = Story::start().await;
    for (made, status) in NO.into_iter().enumerate() {
        let branch = format!("feature-{status}");
        story.sim.fault(Fault::on(Route::NoteCreate, FaultKind::status(status)));
        story.push(&format!("A{status}"), &branch, &[("code", &branch)]);
        let mr = story.propose(&branch);
        story.settle().await;
        assert!(!story.sim.faults_left(), "{status}: the fault was never met");
        assert_eq!(story.notes(mr).len(), 0, "{status}");
        assert_each_was_sent_once(&story, Route::NoteCreate);
        story.push(&format!("B{status}"), &branch, &[("ci.sh", "exit 1\n")]);
        story.settle().await;
        assert_eq!(story.headline(mr), "### ✗ 1 of 1 stack failed", "{status}");
        assert_eq!(story.notes(mr).len(), 1, "{status}");
        assert_eq!(story.runs().await.lines().count(), 2 * (made + 1));
    }
    story.finish_doubled(80).await;
}

#[tokio::test]
async fn an_edit_that_is_refused_mutes_no_later_one() {
    let story = Story::start().await;
    let mr = story.propose_commit("A", &[("code", "1")]);
    story.settle().await;
    for status in NO.into_iter().filter(|status| *status != 404) {
        story.sim.fault(Fault::on(Route::NoteUpdate, FaultKind::status(status)).always());
        let before = story.notes(mr);
        let refused = format!("refused {status}");
        story.push(&refused, "feature", &[("ci.sh", "exit 1\n"), ("code", &refused)]);
        story.settle().await;
        assert_each_was_sent_once(&story, Route::NoteUpdate);
        assert_eq!(story.notes(mr)[0].body, before[0].body, "{status}");
        story.sim.clear_faults();
        let next = format!("next {status}");
        story.push(&next, "feature", &[("ci.sh", "true\n"), ("code", &next)]);
        story.settle().await;
        let body = &story.notes(mr)[0].body;
        assert!(body.contains(&format!("Commit {}", &story.sha(&next)[..8])), "{status}: {body}");
        assert_eq!(story.headline(mr), "### ✓ 1 stack passed", "{status}");
        assert_eq!(story.notes(mr).len(), 1, "{status}");
    }
    story.finish_doubled(81).await;
}

#[tokio::test]
async fn an_edit_that_is_answered_404_makes_no_second_comment() {
    let story = Story::start().await;
    let mr = story.propose_commit("A", &[("code", "1")]);
    story.settle().await;
    let comment = story.notes(mr)[0].id;
    story.sim.fault(Fault::on(Route::NoteUpdate, FaultKind::status(404)));
    story.push("B", "feature", &[("ci.sh", "exit 1\n")]);
    story.settle().await;
    assert!(!story.sim.faults_left());
    assert_eq!(story.headline(mr), "### ✗ 1 of 1 stack failed");
    // The whole merge request is hidden for a while.
    for route in [Route::NoteUpdate, Route::NoteList] {
        story.sim.fault(Fault::on(route, FaultKind::status(404)).always());
    }
    story.push("C", "feature", &[("ci.sh", "true\n")]);
    story.settle().await;
    assert_each_was_sent_once(&story, Route::NoteUpdate);
    assert_eq!(story.headline(mr), "### ✗ 1 of 1 stack failed");
    story.sim.clear_faults();
    story.push("D", "feature", &[("code", "2")]);
    story.settle().await;
    assert_eq!(story.headline(mr), "### ✓ 1 stack passed");
    assert_eq!(story.notes(mr)[0].id, comment, "it is the same comment all the time");
    assert_eq!(story.sim.count(Route::NoteCreate), 1);
    story.finish_doubled(82).await;
}
