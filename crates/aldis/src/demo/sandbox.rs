//! Which executor the demo's own scripts run in.

use aldis_domain::config::Executor;
use aldis_runner::PreflightError;
use anyhow::Result;

use super::screen::Screen;

/// Bubblewrap where it works. Else the shell, and it says so: only the demo's own sample scripts
/// run here, so that is safe; `aldis serve` would refuse to start.
pub(super) async fn choose(screen: &mut Screen) -> Result<Executor> {
    let dir = tempfile::tempdir()?;
    let settings = aldis_runner::Settings::new("demo", dir.path());
    match aldis_runner::preflight(&settings).await {
        Ok(_) => Ok(Executor::Bubblewrap),
        Err(error @ (PreflightError::NoBubblewrap | PreflightError::NoSandbox(_))) => {
            screen.warning(&format!(
                "NO SANDBOX: {error}.\nThe demo goes on without one, because it runs only its own \
                 sample scripts.\n`aldis serve` refuses to start like this."
            ))?;
            Ok(Executor::Shell)
        }
        Err(error) => Err(error.into()),
    }
}
