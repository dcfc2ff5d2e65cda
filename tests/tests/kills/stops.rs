//! An operator stops the bot while something runs.

use std::time::Duration;

use aldis_domain::event::Event;

use crate::world::World;

async fn with_run(name: &str, test: &str) -> World {
    let mut world = World::build(name, &[]).await;
    world.push("work", "work", test);
    world.sim.by(world.developer).propose(world.project, "work", "Work").expect("a proposal");
    world.until_running("work").await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_may_finish_and_is_told_after_the_restart() {
    let mut world = with_run("SIGTERM", "sleep 10\n").await;
    world.bot.terminate();
    let status = world.bot.end().await;
    assert!(status.success(), "{}", world.describe(&format!("it ends with {status}")));
    let ended = world.log().await.iter().any(|(_, e)| matches!(e, Event::RunFinished(_)));
    assert!(ended, "{}", world.describe("the run was not waited for"));
    world.bot = world.site.start(None).await;
    world.settle().await;
    world.nothing_lost_or_doubled().await;
    let attempts = world.log().await;
    let attempts = attempts.iter().filter(|(_, e)| matches!(e, Event::AttemptStarted(_))).count();
    assert_eq!(attempts, 2, "{}", world.describe("app and deploy are started once each"));
    let seen = world.seen();
    assert!(seen.contains("aldis: success \"2 stacks passed\""), "{}", world.describe("not green"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_leaves_no_step_running_and_the_run_begins_again() {
    let mut world = World::build("no step outlives a kill", &[]).await;
    let sleep = world.long_sleep();
    world.push("work", "work", &format!("{sleep}\n"));
    world.sim.by(world.developer).propose(world.project, "work", "Work").expect("a proposal");
    world.until_running("work").await;
    let alive = || is_running(&sleep);
    until("the step runs", alive).await;
    world.bot.kill().await;
    until("no step runs", || !alive()).await;
    world.revive().await;
    until("the step runs again", alive).await;
    world.push("fix", "work", "true\n");
    world.settle().await;
    world.nothing_lost_or_doubled().await;
    assert!(!alive(), "{}", world.describe("a canceled step runs"));
    world.stop().await;
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(30), wait).await.is_ok(), "not so: {what}");
}

/// Whether a process with this command line lives on the machine.
fn is_running(command: &str) -> bool {
    let processes = std::fs::read_dir("/proc").expect("Linux").flatten();
    processes.into_iter().any(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.trim_end() == command
    })
}
