//! `aldis runner`: executes runs of a server on another machine.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use aldis_protocol::wire::Welcome;
use aldis_runner::{Capabilities, Remote, RemoteError, Runner, Stop};
use anyhow::{Context, Result, bail};
use tokio::sync::{Notify, watch};

use crate::sandbox;
use crate::settings::{RunnerSettings, environment};
use crate::stopping::Signals;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

pub(super) async fn run() -> Result<u8> {
    let settings = RunnerSettings::read(&environment)?;
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    let mut signals = Signals::listen()?;
    let remote = Remote::new(&settings.server).map_err(|error| match error {
        RemoteError::Token => anyhow::anyhow!("ALDIS_RUNNER_TOKEN: {error}"),
        RemoteError::CaFile { .. } => anyhow::anyhow!("ALDIS_SERVER_CA_FILE: {error}"),
        other => other.into(),
    })?;
    let welcome = tokio::select! {
        welcome = welcome(&remote) => welcome.context("ALDIS_SERVER_URL, ALDIS_RUNNER_TOKEN")?,
        () = signals.next() => return Ok(0),
    };
    let wake = Arc::new(Notify::new());
    let runner = settings.runner(&welcome.name);
    let capabilities = sandbox::look(&runner).await?;
    let work = Runner::new(remote.clone(), Arc::clone(&wake), runner, capabilities.clone())?;
    greet(&settings, &welcome, &capabilities)?;
    let (runs, told) = watch::channel(Stop::No);
    let ended = async {
        tokio::select! {
            ended = work.run(told) => ended,
            never = remote.hear(wake) => match never {},
        }
    };
    let mut ended = std::pin::pin!(ended);
    tokio::select! {
        ended = &mut ended => { ended?; bail!("the runner ended by itself") }
        () = signals.next() => {}
    }
    runs.send_replace(Stop::Drain);
    let mut outcome = Ok(());
    signals.see_off(async { outcome = ended.await }, &runs, settings.stop_timeout).await;
    outcome?;
    Ok(0)
}

/// Asks until the server answers. It may be starting, too.
async fn welcome(remote: &Remote) -> Result<Welcome, RemoteError> {
    let mut pause = FIRST_PAUSE;
    loop {
        match remote.hello().await {
            Err(RemoteError::Unreachable(error)) => {
                let seconds = pause.as_secs();
                tracing::warn!(error, seconds, "the server does not answer yet");
            }
            answered => return answered,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn greet(settings: &RunnerSettings, welcome: &Welcome, capabilities: &Capabilities) -> Result<()> {
    let mut out = std::io::stderr().lock();
    writeln!(out, "Aldis runner {} works for {}", welcome.name, settings.server.url)?;
    writeln!(out, "  pools        {}", welcome.pools.join(", "))?;
    writeln!(out, "  slots        {}", settings.slots)?;
    sandbox::describe(&mut out, capabilities)
}
