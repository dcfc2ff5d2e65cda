//! Leases, cancels and the end of a runner.

use std::sync::Arc;
use std::time::Duration;

use aldis_domain::config::Stack;
use aldis_domain::report::{Outcome, StepResult};
use aldis_protocol::{Assignment, DispatchError};
use aldis_runner::{Runner, Settings, Stop, Turn, preflight};
use tokio::sync::{Notify, watch};

use crate::support::{Bench, PATIENCE, Queue, Repo, assignment, is_running, stack, step};

#[tokio::test]
async fn a_cancel_ends_grandchildren_too() {
    let repo = Repo::new(&[]);
    let mut bench = Bench::new().await;
    let script = "(setsid sh -c 'trap \"\" TERM; sleep 31.125; true' &) ; echo up; sleep 31.125";
    bench.queue.add(assignment(&repo, stack(vec![step("x", script), step("y", "true")])));
    let (queue, stop) = (bench.queue.clone(), bench.stop.subscribe());
    let turn = tokio::spawn(async move { bench.slot.step(&stop).await });
    queue.says("\nup\n").await;
    queue.cancel();
    assert_eq!(tokio::time::timeout(PATIENCE, turn).await.unwrap().unwrap(), Ok(Turn::Ran));
    let finish = &queue.finished()[0];
    assert_eq!(finish.outcome, Outcome::Canceled);
    let results: Vec<StepResult> = finish.report.steps.iter().map(|s| s.result).collect();
    assert_eq!(results, [StepResult::Canceled, StepResult::Canceled]);
    assert!(!is_running("31.125"));
}

#[tokio::test]
async fn a_stale_lease_ends_the_job_without_a_word() {
    let repo = Repo::new(&[]);
    let mut bench = Bench::new().await;
    bench.queue.answer_heartbeats(DispatchError::Stale);
    let mut job = assignment(&repo, stack(vec![step("x", "sleep 31.375")]));
    job.lease = Duration::from_millis(2250);
    bench.queue.add(job);
    let turn = tokio::time::timeout(PATIENCE, bench.slot.step(&bench.stop.subscribe())).await;
    assert_eq!(turn.unwrap(), Ok(Turn::Ran));
    assert!(bench.queue.finished().is_empty());
    assert!(!is_running("31.375"));
    assert_eq!(bench.run_dirs(), 0);
}

#[tokio::test]
async fn a_lease_that_cannot_be_kept_ends_the_job_unless_it_is_tracked() {
    let repo = Repo::new(&[]);
    let mut bench = Bench::new().await;
    bench.queue.answer_heartbeats(DispatchError::Unavailable("away".to_owned()));
    let mut job = assignment(&repo, stack(vec![step("x", "sleep 2")]));
    job.lease = Duration::from_secs(1);
    bench.queue.add(job.clone());
    let turn = tokio::time::timeout(PATIENCE, bench.slot.step(&bench.stop.subscribe())).await;
    assert_eq!(turn.unwrap(), Ok(Turn::Ran));
    assert!(bench.queue.finished().is_empty());

    job.tracked = true;
    let (outcome, _) = bench.run(job).await;
    assert_eq!(outcome, Outcome::Passed);
}

#[tokio::test]
async fn a_result_is_offered_until_it_is_taken() {
    let mut bench = Bench::new().await;
    bench.queue.refuse_finish(2);
    let (outcome, _) = bench.script("true").await;
    assert_eq!(outcome, Outcome::Passed);
}

#[tokio::test]
async fn a_runner_that_must_stop_hands_test_runs_back() {
    let repo = Repo::new(&[]);
    let queue = stopped_at(Stop::HandBack, assignment(&repo, endless("31.625"))).await;
    assert!(queue.finished().is_empty());
    assert_eq!(queue.handed_back(), 1);
    assert!(!is_running("31.625"));
}

#[tokio::test]
async fn a_tracked_run_is_canceled_only_by_force() {
    let repo = Repo::new(&[]);
    let tracked = Assignment { tracked: true, ..assignment(&repo, endless("31.875")) };
    let queue = stopped_at(Stop::Cancel, tracked).await;
    let finish = &queue.finished()[0];
    assert_eq!(finish.outcome, Outcome::Canceled);
    assert_eq!(finish.report.trouble.as_deref(), Some("the runner was stopped"));
    assert_eq!(queue.handed_back(), 0);
    assert!(!is_running("31.875"));
}

/// `time`: how long the step sleeps, and how it is told from others.
fn endless(time: &str) -> Stack {
    stack(vec![step("x", &format!("echo up; sleep {time}"))])
}

/// Runs it and stops the runner in the middle of it; what the queue was told.
async fn stopped_at(last: Stop, assignment: Assignment) -> Queue {
    let mut bench = Bench::new().await;
    let (queue, stop) = (bench.queue.clone(), bench.stop.clone());
    queue.add(assignment);
    let turn = tokio::spawn(async move { bench.slot.step(&bench.stop.subscribe()).await });
    queue.says("\nup\n").await;
    stop.send_replace(last);
    tokio::time::timeout(PATIENCE, turn).await.unwrap().unwrap().unwrap();
    queue
}

#[tokio::test]
async fn an_idle_turn_does_nothing() {
    let mut bench = Bench::new().await;
    assert_eq!(bench.slot.step(&bench.stop.subscribe()).await, Ok(Turn::Idle));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_loop_follows_hints_sweeps_leftovers_and_drains() {
    let repo = Repo::new(&[]);
    let dir = tempfile::tempdir().unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
    std::fs::set_permissions(dir.path(), open).unwrap();
    let leftover = dir.path().join("runs/old-1");
    std::fs::create_dir_all(leftover.join("tree")).unwrap();
    let mut settings = Settings::new("loop", dir.path());
    settings.slots = 2;
    settings.first_uid = 75_000;
    // Only a hint can wake it within the test's patience.
    settings.poll = Duration::from_hours(1);
    let capabilities = preflight(&settings).await.unwrap();
    let (queue, wake) = (Queue::default(), Arc::new(Notify::new()));
    let twice = (settings.clone(), capabilities.clone());
    let runner = Runner::new(queue.clone(), Arc::clone(&wake), settings, capabilities).unwrap();
    assert!(!leftover.exists());
    let again = Runner::new(queue.clone(), Arc::clone(&wake), twice.0, twice.1);
    let words = again.err().unwrap().to_string();
    assert!(
        words.ends_with("another runner works in it; give each its own ALDIS_DATA_DIR"),
        "{words}"
    );

    let (stop, seen) = watch::channel(Stop::No);
    let running = tokio::spawn(runner.run(seen));
    queue.looked(2).await;
    queue.add(assignment(&repo, stack(vec![step("x", "echo up; sleep 0.3; echo through")])));
    wake.notify_waiters();
    queue.says("\nup\n").await;
    stop.send_replace(Stop::Drain);
    tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap().unwrap();
    assert_eq!(queue.finished()[0].outcome, Outcome::Passed);
    assert!(queue.output().contains("through"));
}
