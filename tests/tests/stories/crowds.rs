//! Much at once, in any order, and other ways to be set up.

use std::time::Duration;

use aldis_domain::event::Event;
use aldis_gitlab_sim::{Fault, FaultKind, MergeRequestRef, NewMergeRequest, Order, Route};
use aldis_tests::{Hooks, Setup, Story};

#[tokio::test]
async fn ten_merge_requests_in_each_of_three_projects_at_once() {
    let story = Story::start().await;
    let projects =
        [story.project, story.add_project("group/second"), story.add_project("other/third")];
    let mut opened = Vec::new();
    for number in 0..10 {
        for project in projects {
            let branch = format!("feature-{number}");
            let name = format!("P{project}-{number}");
            let script = if number % 3 == 0 { "exit 1\n" } else { "true\n" };
            story.push_to(project, &name, &branch, &[("ci.sh", script), ("code", &branch)]);
            let mr = story.alice().propose(project, &branch, "Change").unwrap();
            opened.push((mr, number));
        }
    }
    story.settle().await;
    for (mr, number) in &opened {
        let red = number % 3 == 0;
        let wanted = if red { "### ✗ 1 of 1 stack failed" } else { "### ✓ 1 stack passed" };
        assert_eq!(story.headline(*mr), wanted, "{}", story.page(*mr));
        let pipeline = story.sim.merge_request_page(*mr).unwrap().pipeline.unwrap();
        assert_eq!(pipeline.status.to_string(), if red { "failed" } else { "success" });
        assert_eq!((pipeline.jobs.len(), pipeline.retried), (2, 0), "{pipeline}");
    }
    assert_eq!(story.runs().await.lines().count(), opened.len());
    story.finish_doubled(80).await;
}

#[tokio::test]
async fn nobody_waits_for_a_first_status_while_plans_wait_for_gitlab() {
    /// Longer than the bot waits for an answer: nothing is planned before the fault is cleared.
    const READS: Duration = Duration::from_mins(1);
    let story = Story::start().await;
    story.push("first", "main", &[("code", "0")]);
    story.settle().await;
    story.sim.fault(Fault::on(Route::BranchGet, FaultKind::DelayAnswer(READS)).always());
    let names: Vec<String> = (0..20).map(|number| format!("crowd-{number}")).collect();
    for name in &names {
        story.push(name, name, &[("code", name)]);
    }
    let announced = |story: &Story| names.iter().all(|n| story.states(n, "aldis") == ["pending"]);
    story.until_seen("all commits have a first status", announced).await;
    let log = story.log().await;
    let planned = log.iter().filter(|(_, event)| matches!(event, Event::ChangePlanned(_))).count();
    assert_eq!(planned, 1, "only the first push is planned");
    story.sim.clear_faults();
    let passed = |story: &Story| names.iter().all(|name| story.shows(name, "aldis", "success"));
    story.until_seen("all have passed", passed).await;
    story.settle().await;
    story.finish_doubled(9).await;
}

/// A busy hour: what a merge request goes through, all of it told only afterwards.
fn an_hour(story: &Story) -> MergeRequestRef {
    let mr = story.propose_commit("A", &[("code", "1")]);
    story.push("B", "feature", &[("code", "2"), ("ci.sh", "exit 1\n")]);
    story.alice().close(mr).unwrap();
    story.alice().reopen(mr).unwrap();
    story.push("C", "feature", &[("ci.sh", "true\n")]);
    story.push("D", "main", &[("other", "1")]);
    story.alice().create_tag(story.project, "v1", &story.sha("D"), None).unwrap();
    story.push("E", "other", &[("third", "1")]);
    let other = story.propose("other");
    story.alice().close(other).unwrap();
    mr
}

/// What is left to see of it.
async fn seen(story: &Story, mr: MergeRequestRef) -> String {
    let mut runs: Vec<String> = story.runs().await.lines().map(str::to_owned).collect();
    runs.sort_unstable();
    let page = story.page(mr);
    let mut of_d: Vec<String> = story.pipelines("D").iter().map(ToString::to_string).collect();
    of_d.sort_unstable();
    format!("{page}\n{}\n{}", story.plain(&of_d.join("\n")), runs.join("\n"))
}

#[tokio::test]
async fn hooks_in_any_order_and_doubled_lead_to_the_same() {
    let in_order = Story::start().await;
    in_order.sim.hold_deliveries();
    let mr = an_hour(&in_order);
    in_order.sim.release_deliveries(&Order::AsFired).unwrap();
    in_order.settle().await;
    let expected = seen(&in_order, mr).await;
    insta::assert_snapshot!(expected, @r#"
    !1 Change [opened] C
    feature C: success (external)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
    @aldis:
      <!-- aldis:note mr-1.1-1 -->
      ### ✓ 1 stack passed
      
      | | Stack | Result | Took |
      |---|---|---|---|
      | ✅ | [ci](ALDIS/runs/RUN) | passed in T | T |
      
      Commit C · [what was decided, and why](ALDIS/changes/mr-1.1-1)
    main D: success (external)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
    v1 D: success (external)
      aldis: success "0 of 1 stack affected"
    C ci: passed
    D ci: passed
    "#);
    in_order.finish_doubled(81).await;
    for (seed, skipped) in (1..=6).zip([0, 1, 2].into_iter().cycle()) {
        let story = Story::start().await;
        story.sim.hold_deliveries();
        let mr = an_hour(&story);
        let held: Vec<_> = story.sim.held_deliveries().iter().map(|d| d.id).collect();
        story.sim.release_deliveries(&Order::Shuffled(seed)).unwrap();
        for id in held.iter().skip(skipped).step_by(2) {
            story.sim.redeliver(*id).unwrap();
        }
        story.settle().await;
        assert_eq!(seen(&story, mr).await, expected, "seed {seed}\n{}", story.timeline());
        story.finish_doubled(seed).await;
    }
}

#[tokio::test]
async fn gitlab_may_lie_below_a_path_and_hooks_may_be_signed() {
    for (base_path, hooks) in [
        ("/gitlab", Hooks::Token),
        ("/a/b", Hooks::Signing),
        ("", Hooks::Signing),
        ("", Hooks::Both),
    ] {
        let story = Setup { base_path, hooks, ..Setup::USUAL }.start().await;
        let mr = story.propose_commit("A", &[("code", "1")]);
        story.settle().await;
        let refused = story.sim.deliveries().into_iter().flat_map(|d| d.attempts);
        assert!(refused.into_iter().all(|attempt| attempt.ok()), "{base_path} {hooks:?}");
        assert_eq!(story.headline(mr), "### ✓ 1 stack passed", "{base_path} {hooks:?}");
        assert!(story.shows("A", "aldis", "success"), "{base_path} {hooks:?}");
        story.finish().await;
    }
}

#[tokio::test]
async fn a_fork_and_its_target_may_have_branches_of_one_name() {
    let story = Story::start().await;
    let bob = story.add_person("bob", aldis_gitlab_sim::AccessLevel::Developer);
    let fork = story.sim.fork(story.project, bob).unwrap();
    let inside = story.propose_commit("A", &[("code", "1")]);
    let files = [("code", Some("2"))];
    let sha = story.sim.by(bob).commit_and_push(fork, "feature", &files, "Fork").unwrap();
    story.name(&sha, "F");
    let outside = story
        .sim
        .by(bob)
        .open_merge_request(NewMergeRequest {
            source_project: fork,
            source_branch: "feature".to_owned(),
            project: story.project,
            target_branch: "main".to_owned(),
            title: "From a fork".to_owned(),
        })
        .unwrap();
    story.settle().await;
    assert_eq!(story.headline(inside), "### ✓ 1 stack passed");
    insta::assert_snapshot!(story.headline(outside), @"### ⏸ Waits for approval");
    assert_eq!(story.runs().await, "A ci: passed");
    story.push("B", "feature", &[("code", "3")]);
    story.settle().await;
    assert_eq!(story.runs().await, "A ci: passed\nB ci: passed");
    assert_eq!(story.notes(outside).len(), 1);
    story.finish_doubled(82).await;
}
