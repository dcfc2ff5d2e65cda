//! What the machine offers to runs.

use aldis_domain::config::Executor;
use aldis_runner::{Capabilities, PreflightError};

use super::report::Report;
use crate::settings::Settings;

pub(super) async fn check(report: &mut Report, settings: &Settings) {
    // As `aldis serve` will start it.
    let mut runner = aldis_runner::Settings::new("embedded", settings.data_dir.join("runner"));
    runner.slots = settings.slots;
    runner.executor = settings.executor;
    runner.allow_shell = settings.executor == Executor::Shell;
    match aldis_runner::preflight(&runner).await {
        Ok(capabilities) => tell(report, settings.executor, &capabilities),
        Err(error) => {
            let advice = match &error {
                PreflightError::NoBubblewrap | PreflightError::NoSandbox(_) => {
                    "install or allow it; ALDIS_EXECUTOR=shell does without, for trusted code only"
                }
                PreflightError::NoGit
                | PreflightError::DataDir { .. }
                | PreflightError::NoSlots => "`aldis serve` does not start before",
            };
            report.fail("runner", error.to_string(), advice);
        }
    }
}

fn tell(report: &mut Report, executor: Executor, found: &Capabilities) {
    report.ok("git", &found.git);
    match executor {
        Executor::Bubblewrap => report.ok("sandbox", &found.sandbox),
        Executor::Shell => report.warn(
            "sandbox",
            "none: ALDIS_EXECUTOR=shell runs jobs as the bot's own user",
            "unset ALDIS_EXECUTOR unless every project's code is trusted",
        ),
    }
    // A remark that says more stands instead of the plain line.
    let mut remarks: Vec<&String> = found.remarks.iter().collect();
    for (check, start, plain, advice) in [
        (
            "network",
            "steps have no network",
            &found.network,
            "do this if tests need the network; else all is well",
        ),
        (
            "limits",
            "no cgroup is writable",
            &found.limits,
            "delegate a cgroup to the bot (`Delegate=yes` in its systemd unit)",
        ),
    ] {
        match remarks.iter().position(|remark| remark.starts_with(start)) {
            Some(index) => report.warn(check, remarks.remove(index), advice),
            None => report.ok(check, plain),
        }
    }
    for remark in remarks {
        report.warn("runner", remark, "this works, but could be better");
    }
}
