//! What this machine can do to keep runs apart, and how it is said.

use std::io::Write;

use aldis_domain::config::Executor;
use aldis_runner::{Capabilities, PreflightError};
use anyhow::Result;

/// Looks at the machine; the error says what else could be done.
pub(crate) async fn look(runner: &aldis_runner::Settings) -> Result<Capabilities> {
    let looked = aldis_runner::preflight(runner).await;
    looked.map_err(|error| {
        let help = match error {
            PreflightError::NoBubblewrap | PreflightError::NoSandbox(_) => {
                "\nALDIS_EXECUTOR=shell runs jobs without any isolation, which is for trusted code \
                 only"
            }
            _ => "",
        };
        anyhow::anyhow!("{error}{help}")
    })
}

/// A runner's settings by what the operator chose.
pub(crate) fn runner(
    name: &str,
    data_dir: &std::path::Path,
    executor: Executor,
    slots: u16,
) -> aldis_runner::Settings {
    let mut runner = aldis_runner::Settings::new(name, data_dir.join("runner"));
    runner.slots = slots;
    runner.executor = executor;
    runner.allow_shell = executor == Executor::Shell;
    runner
}

/// How runs will be kept apart, and what is missing for more.
pub(crate) fn describe(out: &mut impl Write, capabilities: &Capabilities) -> Result<()> {
    writeln!(out, "  sandbox      {}", capabilities.sandbox)?;
    writeln!(out, "  network      {}", capabilities.network)?;
    writeln!(out, "  limits       {}", capabilities.limits)?;
    for remark in &capabilities.remarks {
        writeln!(out, "  note         {remark}")?;
    }
    Ok(())
}
