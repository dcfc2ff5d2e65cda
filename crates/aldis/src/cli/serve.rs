//! `aldis serve`

use std::io::Write;

use anyhow::Result;
use secrecy::ExposeSecret;
use tokio::signal::unix::{SignalKind, signal};

use crate::bot::Bot;
use crate::roles::Role;
use crate::settings::{Settings, environment};

pub(crate) async fn run(roles: Vec<Role>) -> Result<u8> {
    let settings = Settings { roles: roles.into_iter().collect(), ..Settings::read(&environment)? };
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    let bot = Bot::start(settings).await?;
    greet(&bot)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: what runs may finish; a second signal cancels it");
    let runs = bot.runs();
    let stop = bot.stop();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return Ok(0),
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        runs.send_replace(aldis_runner::Stop::Cancel);
    }
}

fn greet(bot: &Bot) -> Result<()> {
    let base = &bot.base_url;
    let mut out = std::io::stderr().lock();
    writeln!(out, "Aldis listens on {}", bot.address)?;
    if bot.roles.has(Role::Ingress) {
        writeln!(out, "  webhook URL  {base}/api/webhooks/gitlab")?;
    }
    if let Some(token) = &bot.bootstrap_token {
        writeln!(out, "  pages        {base}/")?;
        writeln!(out, "  page token   {}", token.expose_secret())?;
    }
    if let Some(capabilities) = &bot.capabilities {
        writeln!(out, "  sandbox      {}", capabilities.sandbox)?;
        writeln!(out, "  network      {}", capabilities.network)?;
        writeln!(out, "  limits       {}", capabilities.limits)?;
        for remark in &capabilities.remarks {
            writeln!(out, "  note         {remark}")?;
        }
    }
    Ok(())
}
