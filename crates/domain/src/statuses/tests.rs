//! The statuses of a commit, whatever happens to its changes and runs.

#[path = "tests/world.rs"]
mod world;

use proptest::prelude::*;

use super::*;
use crate::event::change::PlanVerdict;
use crate::event::resource::{PipelinesSeen, StatusesIntended, StatusesSettled};
use crate::report::Outcome;
use world::{World, branch, merge_request, project, run_id, sha};

#[test]
fn the_aggregate_comes_first_and_all_are_announced_before_any_ends() {
    let mut world = World::default();
    world.admit(branch());
    insta::assert_snapshot!(world.told(), @"1 aldis Pending: finding out what to run");
    world.plan(branch(), PlanVerdict::Runs, &[0, 2], 0);
    world.finish(&run_id(0, 0), Outcome::Passed);
    insta::assert_snapshot!(world.told(), @r"
    1 aldis/web Pending: waiting for a runner
    1 aldis Running: 2 stacks
    1 aldis/api Success: passed in 0 ms
    ");
    world.start(&run_id(2, 0));
    world.finish(&run_id(2, 0), Outcome::Failed);
    insta::assert_snapshot!(world.told(), @r"
    1 aldis/web Failed: failed
    1 aldis Failed: 1 of 2 stacks failed: web
    ");
}

#[test]
fn the_aggregate_follows_its_table() {
    let told = |verdict: PlanVerdict, change: ChangeKey, admitted: bool| {
        let mut world = World::default();
        if admitted {
            world.admit(change.clone());
            world.settle();
            world.story.clear();
        }
        world.plan(change, verdict, &[], 0);
        world.told()
    };
    let invalid =
        || PlanVerdict::ConfigError { findings: vec![".aldis.yml:3:1: unknown key".into()] };
    let nothing = || PlanVerdict::Nothing { stacks: 3 };
    insta::assert_snapshot!(told(PlanVerdict::NoConfig, branch(), false), @"");
    insta::assert_snapshot!(told(PlanVerdict::NoConfig, branch(), true), @"1 aldis Success: no .aldis.yml");
    insta::assert_snapshot!(told(invalid(), merge_request(7), false), @"1 aldis Failed: .aldis.yml:3:1: unknown key");
    insta::assert_snapshot!(told(nothing(), branch(), false), @"");
    insta::assert_snapshot!(told(nothing(), branch(), true), @"1 aldis Success: 0 of 3 stacks affected");
    insta::assert_snapshot!(told(nothing(), merge_request(7), false), @"1 aldis Success: 0 of 3 stacks affected");
    insta::assert_snapshot!(told(PlanVerdict::DraftsHeldBack, merge_request(7), true), @"1 aldis Skipped: held back while the merge request is a draft");
    insta::assert_snapshot!(told(PlanVerdict::AwaitingApproval, merge_request(7), false), @"1 aldis Pending: waits for approval: it comes from outside");
    insta::assert_snapshot!(told(PlanVerdict::SkippedByAuthor, branch(), true), @"1 aldis Skipped: skipped on the author's request");
}

#[test]
fn outcomes_of_runs_decide_the_aggregate() {
    let told = |outcomes: &[Outcome]| {
        let mut world = World::default();
        let stacks: Vec<usize> = (0..outcomes.len()).collect();
        world.plan(branch(), PlanVerdict::Runs, &stacks, 0);
        for (stack, outcome) in outcomes.iter().enumerate() {
            world.start(&run_id(stack, 0));
            world.finish(&run_id(stack, 0), *outcome);
        }
        world.told().lines().last().unwrap_or_default().to_owned()
    };
    insta::assert_snapshot!(told(&[Outcome::Passed, Outcome::Passed]), @"1 aldis Success: 2 stacks passed");
    insta::assert_snapshot!(told(&[Outcome::Passed, Outcome::TimedOut]), @"1 aldis Failed: 1 of 2 stacks failed: docs");
    insta::assert_snapshot!(told(&[Outcome::Passed, Outcome::Lost]), @"1 aldis Canceled: 1 of 2 stacks canceled: docs");
    insta::assert_snapshot!(told(&[Outcome::Unknown]), @"1 aldis Failed: 1 of 1 stack failed: api (outcome unknown)");
    insta::assert_snapshot!(told(&[Outcome::Failed, Outcome::Skipped]), @"1 aldis Failed: 1 of 2 stacks failed: api");
}

#[test]
fn a_lane_without_subscriber_ends_canceled_and_begins_again_when_reopened() {
    let mut world = World::default();
    world.plan(merge_request(7), PlanVerdict::Runs, &[0], 0);
    world.start(&run_id(0, 0));
    world.settle();
    world.story.clear();
    world.end(merge_request(7));
    insta::assert_snapshot!(world.told(), @r"
    1 aldis/api Canceled: the merge request was closed
    1 aldis Canceled: the merge request was closed
    ");
    world.finish(&run_id(0, 0), Outcome::Canceled);
    world.plan(merge_request(7), PlanVerdict::Runs, &[0], 1);
    insta::assert_snapshot!(world.told(), @r"
    1 aldis Pending: 1 stack
    1 aldis/api Pending: waiting for a runner
    ");
}

#[test]
fn a_merge_request_pipeline_of_gitlab_becomes_home_and_the_old_one_is_not_left_open() {
    let mut world = World::default();
    world.admit(merge_request(7));
    world.plan(merge_request(7), PlanVerdict::Runs, &[0], 0);
    world.settle();
    world.story.clear();
    world.pipelines.push(PipelineSeen {
        id: 9,
        name: "refs/merge-requests/7/head".into(),
        source: "merge_request_event".into(),
    });
    world.happened(PipelinesSeen {
        project: project(),
        sha: sha(),
        read: false,
        pipelines: Vec::new(),
    });
    insta::assert_snapshot!(world.told(), @r"
    9 aldis Pending: 1 stack
    9 aldis/api Pending: waiting for a runner
    ");
    world.finish(&run_id(0, 0), Outcome::Passed);
    insta::assert_snapshot!(world.told(), @r"
    9 aldis/api Success: passed in 0 ms
    1 aldis/api Success: passed in 0 ms
    9 aldis Success: 1 stack passed
    1 aldis Success: 1 stack passed
    ");
}

#[test]
fn a_lost_answer_is_settled_by_what_is_visible() {
    let mut world = World::default();
    world.admit(branch());
    let Next::Write(writes) = next(&world.statuses, &world.runs, Knowledge::default()) else {
        panic!("the aggregate is due");
    };
    world.happened(StatusesIntended { writes: writes.clone(), epoch: 1 });
    assert_eq!(next(&world.statuses, &world.runs, Knowledge::default()), Next::Resolve);
    let shown = Visible {
        job: 5,
        pipeline: 3,
        lane: "topic".into(),
        name: "aldis".into(),
        state: StatusState::Pending,
        description: "finding out what to run".into(),
    };
    assert_eq!(settle(&writes, &[], &world.statuses.rows), [StatusOutcome::NotDone]);
    let outcomes = settle(&writes, &[shown], &world.statuses.rows);
    world.happened(StatusesSettled { outcomes, tell: Vec::new(), read: false });
    assert_eq!(world.told(), "");
}

#[test]
fn what_landed_late_is_seen_when_nothing_can_land_any_more_and_made_good() {
    let mut world = World::default();
    world.plan(branch(), PlanVerdict::Runs, &[0], 0);
    world.settle();
    world.start(&run_id(0, 0));
    let Next::Write(writes) = next(&world.statuses, &world.runs, Knowledge::default()) else {
        panic!("the line is to show that the run has begun");
    };
    world.happened(StatusesIntended { writes, epoch: 1 });
    let outcomes = vec![StatusOutcome::NotDone];
    world.happened(StatusesSettled { outcomes, tell: Vec::new(), read: true });
    world.finish(&run_id(0, 0), Outcome::Passed);
    world.settle();
    world.story.clear();
    let after = |seconds, statuses: &Statuses, runs: &Runs| {
        let pipelines_read = true;
        let doubt_age = Some(seconds);
        next(statuses, runs, Knowledge { pipelines_read, doubt_age, ..Knowledge::default() })
    };
    let waits = Next::Rest { look_again: Some(5) };
    assert_eq!(after(70, &world.statuses, &world.runs), waits);
    assert_eq!(after(75, &world.statuses, &world.runs), Next::Compare);
    let late = Visible {
        job: 50,
        pipeline: 1,
        lane: "topic".into(),
        name: "aldis/api".into(),
        state: StatusState::Running,
        description: "running".into(),
    };
    let before = Visible { job: 40, state: StatusState::Success, ..late.clone() };
    let foreign = Visible { pipeline: 7, ..late.clone() };
    let compared = compare(&world.statuses, &[late, before, foreign]);
    assert_eq!(compared.lines.len(), 1);
    world.gitlab.insert((1, "aldis/api".into()), StatusState::Running);
    world.happened(compared);
    insta::assert_snapshot!(world.told(), @"1 aldis/api Success: passed in 0 ms");
    let rests = Next::Rest { look_again: None };
    assert_eq!(after(80, &world.statuses, &world.runs), rests, "once is enough");
}

#[test]
fn the_end_of_an_earlier_attempt_is_not_taken_for_the_next_one() {
    let mut world = World::default();
    world.plan(branch(), PlanVerdict::Runs, &[0], 0);
    world.finish(&run_id(0, 0), Outcome::Passed);
    world.settle();
    world.story.clear();
    world.plan(branch(), PlanVerdict::Runs, &[0], 1);
    let Next::Write(writes) = next(&world.statuses, &world.runs, Knowledge::default()) else {
        panic!("the new attempt is due");
    };
    world.happened(StatusesIntended { writes: writes.clone(), epoch: 1 });
    let shown = |name: &str, description: &str| Visible {
        job: 5,
        pipeline: 1,
        lane: "topic".into(),
        name: name.into(),
        state: StatusState::Success,
        description: description.into(),
    };
    let visible = [shown("aldis", "1 stack passed"), shown("aldis/api", "passed in 0 ms")];
    let outcomes = settle(&writes, &visible, &world.statuses.rows);
    world.happened(StatusesSettled { outcomes, tell: Vec::new(), read: false });
    insta::assert_snapshot!(world.told(), @r"
    1 aldis Pending: 1 stack
    1 aldis/api Pending: waiting for a runner
    ");
}

#[test]
fn another_run_with_the_same_result_is_told_so_that_the_line_leads_to_it() {
    let mut world = World::default();
    world.plan(branch(), PlanVerdict::Runs, &[0], 0);
    world.finish(&run_id(0, 0), Outcome::Passed);
    world.settle();
    world.story.clear();
    world.plan(branch(), PlanVerdict::Runs, &[0], 1);
    world.finish(&run_id(0, 1), Outcome::Passed);
    insta::assert_snapshot!(world.told(), @"1 aldis/api Success: passed in 0 ms");
}

#[test]
fn of_two_merge_requests_the_one_that_asked_again_is_told() {
    let (first, second) = (merge_request(1), merge_request(2));
    let mut world = World::default();
    for change in [&first, &second] {
        world.plan(change.clone(), PlanVerdict::Runs, &[0], 0);
    }
    world.finish(&run_id(0, 0), Outcome::Failed);
    world.settle();
    world.story.clear();
    world.plan(first, PlanVerdict::Runs, &[0], 1);
    insta::assert_snapshot!(world.told(), @r"
    1 aldis Pending: 1 stack
    1 aldis/api Pending: waiting for a runner
    ");
    world.finish(&run_id(0, 1), Outcome::Passed);
    insta::assert_snapshot!(world.told(), @r"
    1 aldis/api Success: passed in 0 ms
    1 aldis Success: 1 stack passed
    ");
    world.plan(second, PlanVerdict::Runs, &[0], 0);
    insta::assert_snapshot!(world.told(), @"");
}

#[derive(Debug, Clone)]
enum Act {
    Plan { change: u64, stacks: Vec<usize>, round: u8 },
    Start(usize, u8),
    Finish(usize, u8, Outcome),
    End(u64),
    Pipeline(u64),
    Settle,
}

fn change(number: u64) -> ChangeKey {
    if number == 0 { branch() } else { merge_request(number) }
}

fn act() -> impl Strategy<Value = Act> {
    let outcome = prop::sample::select(vec![
        Outcome::Passed,
        Outcome::Failed,
        Outcome::Canceled,
        Outcome::Skipped,
        Outcome::Unknown,
    ]);
    prop_oneof![
        3 => (0..3u64, prop::collection::btree_set(0..3usize, 0..=3), 0..2u8).prop_map(|(change, stacks, round)| {
            Act::Plan { change, stacks: stacks.into_iter().collect(), round }
        }),
        3 => (0..3usize, 0..2u8).prop_map(|(s, r)| Act::Start(s, r)),
        3 => (0..3usize, 0..2u8, outcome).prop_map(|(s, r, o)| Act::Finish(s, r, o)),
        2 => (0..3u64).prop_map(Act::End),
        1 => (0..3u64).prop_map(Act::Pipeline),
        4 => Just(Act::Settle),
    ]
}

proptest! {
    /// GitLab never refuses a write, the statuses always come to rest, and nothing stays open once
    /// every change has left.
    #[test]
    fn whatever_happens_every_line_ends_legally(acts in prop::collection::vec(act(), 1..40)) {
        let mut world = World::default();
        for act in acts {
            match act {
                Act::Plan { change: c, stacks, round } => {
                    let verdict = if stacks.is_empty() { PlanVerdict::Nothing { stacks: 3 } } else { PlanVerdict::Runs };
                    world.plan(change(c), verdict, &stacks, round);
                }
                Act::Start(s, r) if world.runs.contains_key(&run_id(s, r)) => world.start(&run_id(s, r)),
                Act::Finish(s, r, o) if world.runs.contains_key(&run_id(s, r)) => world.finish(&run_id(s, r), o),
                Act::End(c) => {
                    if world.statuses.lanes.values().any(|l| l.subscribers.contains_key(&change(c))) {
                        world.end(change(c));
                    }
                }
                Act::Pipeline(iid) => {
                    let id = u64::try_from(world.pipelines.len()).unwrap() + 1;
                    let name = if iid == 0 { "topic".to_owned() } else { format!("refs/merge-requests/{iid}/head") };
                    world.pipelines.push(PipelineSeen { id, name, source: "push".into() });
                    world.happened(PipelinesSeen { project: project(), sha: sha(), read: false, pipelines: Vec::new() });
                }
                Act::Settle => world.settle(),
                Act::Start(..) | Act::Finish(..) => {}
            }
        }
        for number in 0..3 {
            if world.statuses.lanes.values().any(|l| l.subscribers.contains_key(&change(number))) {
                world.end(change(number));
            }
        }
        world.settle();
        let open: Vec<_> = world.gitlab.iter().filter(|(_, state)| !state.terminal()).collect();
        prop_assert!(open.is_empty(), "left open: {open:?}");
    }
}
