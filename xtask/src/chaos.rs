//! `cargo xtask chaos`: builds bot and chaos as they are released, and starts the latter.

use crate::say;
use crate::step::{Failure, cargo, run};
use std::process::ExitCode;

/// `words`: what chaos is to be told.
pub(crate) fn main(words: &[&str]) -> ExitCode {
    match build_and_run(words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { what, advice }) => {
            say::err(&format!("chaos: {what}; {advice}"));
            ExitCode::FAILURE
        }
    }
}

fn build_and_run(words: &[&str]) -> Result<(), Failure> {
    let packages = ["--release", "--locked", "--package", "aldis", "--package", "aldis-chaos"];
    run(cargo(&["build"]).args(packages), "correct what rustc names")?;
    let start = ["run", "--quiet", "--release", "--locked", "--package", "aldis-chaos", "--"];
    run(cargo(&start).args(words), "the lines above tell what, and how to repeat it")
}
