//! `cargo xtask test`: what has to pass before a change is merged. `.ci/run` calls nothing else.
//! It stops at the first step that fails and never skips one in silence.

mod programs;

use crate::say;
use crate::step::{Failure, cargo, is_installed, run, run_within};
use std::process::ExitCode;
use std::time::{Duration, Instant};

pub(crate) const HELP: &str = "\
Everything that must pass before a change is merged, in this order:

  programs        what the tests start, and /dev/net/tun (seen to as root on Debian)
  format          cargo fmt --all --check
  lints           cargo clippy --workspace --all-targets --locked -- -D warnings
  documentation   cargo doc --workspace --no-deps --locked, warnings are errors
  tests           cargo test --workspace --locked
  on Postgres     the stories once more, with a throw-away Postgres instead of SQLite
  supply chain    cargo deny check, if cargo-deny is installed
  unused          cargo machete, if cargo-machete is installed
  demo            aldis demo --once

Usage: cargo xtask test
";

/// A demo that takes longer hangs; it needs seconds.
const DEMO_LIMIT: Duration = Duration::from_mins(3);

/// How a step that did not fail ended.
enum Done {
    Passed,
    /// With the reason and the remedy, told again in the summary.
    NotRun(String),
}

type Step = (&'static str, fn() -> Result<Done, Failure>);

const STEPS: [Step; 9] = [
    ("programs", programs),
    ("format", format),
    ("lints", lints),
    ("documentation", documentation),
    ("tests", tests),
    ("on Postgres", on_postgres),
    ("supply chain", supply_chain),
    ("unused", unused),
    ("demo", demo),
];

pub(crate) fn main() -> ExitCode {
    let began = Instant::now();
    let mut not_run = Vec::new();
    for (name, step) in STEPS {
        say::out(&format!("==> {name}"));
        let step_began = Instant::now();
        let outcome = step();
        let time = say::lasted(step_began.elapsed());
        match outcome {
            Ok(Done::Passed) => say::out(&format!("==> {name}: passed, {time}")),
            Ok(Done::NotRun(why)) => {
                say::out(&format!("==> {name}: not run, {why}"));
                not_run.push(name);
            }
            Err(failure) => {
                let Failure { what, advice } = failure;
                say::err(&format!("==> {name}: failed, {time}: {what}; {advice}"));
                return ExitCode::FAILURE;
            }
        }
    }
    say::out(&summary(&not_run, began.elapsed()));
    ExitCode::SUCCESS
}

fn summary(not_run: &[&str], time: Duration) -> String {
    let passed = STEPS.len() - not_run.len();
    let rest =
        if not_run.is_empty() { String::new() } else { format!(" ({})", not_run.join(", ")) };
    format!(
        "{passed} steps passed, 0 failed, {} not run{rest}, {}",
        not_run.len(),
        say::lasted(time)
    )
}

fn programs() -> Result<Done, Failure> {
    programs::see_to_them()?;
    Ok(Done::Passed)
}

fn format() -> Result<Done, Failure> {
    run(&mut cargo(&["fmt", "--all", "--check"]), "run `cargo fmt --all`")?;
    Ok(Done::Passed)
}

fn lints() -> Result<Done, Failure> {
    let words = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    run(&mut cargo(&words), "correct what clippy names; CONTRIBUTING.md tells how to except")?;
    Ok(Done::Passed)
}

fn documentation() -> Result<Done, Failure> {
    let mut doc = cargo(&["doc", "--workspace", "--no-deps", "--locked"]);
    run(doc.env("RUSTDOCFLAGS", "-D warnings"), "correct what rustdoc names")?;
    Ok(Done::Passed)
}

/// All tests, also after one has failed. Inline snapshots are compared and never rewritten.
fn tests() -> Result<Done, Failure> {
    let mut test = cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]);
    test.env("INSTA_UPDATE", "no").env_remove("INSTA_FORCE_PASS");
    run(&mut test, "the tests that failed are listed above, crate by crate")?;
    Ok(Done::Passed)
}

fn on_postgres() -> Result<Done, Failure> {
    let mut test = cargo(&["test", "--workspace", "--test", "stories", "--locked"]);
    test.env("ALDIS_STORIES_ON", "postgres").env("INSTA_UPDATE", "no");
    run(&mut test, "the stories that failed are listed above")?;
    Ok(Done::Passed)
}

fn supply_chain() -> Result<Done, Failure> {
    if !is_installed("cargo-deny") {
        return Ok(Done::NotRun("`cargo install --locked cargo-deny` makes it possible".into()));
    }
    run(
        &mut cargo(&["deny", "--locked", "check"]),
        "drop the dependency or, with the reason beside it, except it in deny.toml",
    )?;
    Ok(Done::Passed)
}

fn unused() -> Result<Done, Failure> {
    if !is_installed("cargo-machete") {
        return Ok(Done::NotRun("`cargo install --locked cargo-machete` makes it possible".into()));
    }
    run(&mut cargo(&["machete"]), "take the dependencies it names out of their Cargo.toml")?;
    Ok(Done::Passed)
}

/// Built first and without a limit, so that the limit is the demo's own. On Unix `cargo run`
/// becomes the program it starts, so what is killed at the limit is the demo itself.
fn demo() -> Result<Done, Failure> {
    run(&mut cargo(&["build", "--locked", "--package", "aldis"]), "correct what rustc names")?;
    run_within(
        &mut cargo(&["run", "--quiet", "--locked", "--package", "aldis", "--", "demo", "--once"]),
        DEMO_LIMIT,
        "start it alone: `cargo run -p aldis -- demo --once`",
    )?;
    Ok(Done::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_step_in_order() {
        let steps = HELP.lines().filter_map(|line| line.strip_prefix("  "));
        let names: Vec<&str> = steps.map(|line| line[..16].trim_end()).collect();
        assert_eq!(names, STEPS.map(|(name, _)| name));
    }

    #[test]
    fn the_summary_counts_what_was_not_run_as_not_run() {
        let minute = Duration::from_mins(1);
        assert_eq!(summary(&[], minute), "9 steps passed, 0 failed, 0 not run, 1 min 00 s");
        assert_eq!(
            summary(&["supply chain", "unused"], minute),
            "7 steps passed, 0 failed, 2 not run (supply chain, unused), 1 min 00 s"
        );
    }
}
