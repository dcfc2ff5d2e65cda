//! `cargo xtask bench`: builds bot and benchmarks as they are released, and starts the latter.
//! They are a package of their own, so that xtask keeps building without dependencies.

use crate::say;
use crate::step::{Failure, cargo, run};
use std::process::ExitCode;

/// `words`: what the benchmarks are to be told.
pub(crate) fn main(words: &[&str]) -> ExitCode {
    match build_and_run(words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { what, advice }) => {
            say::err(&format!("bench: {what}; {advice}"));
            ExitCode::FAILURE
        }
    }
}

fn build_and_run(words: &[&str]) -> Result<(), Failure> {
    let packages = ["--release", "--locked", "--package", "aldis", "--package", "aldis-bench"];
    run(cargo(&["build"]).args(packages), "correct what rustc names")?;
    let start = ["run", "--quiet", "--release", "--locked", "--package", "aldis-bench", "--"];
    run(cargo(&start).args(words), "it could not measure; the line above tells why")
}
