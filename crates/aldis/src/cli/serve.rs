//! `aldis serve`

use std::io::Write;

use anyhow::Result;
use secrecy::ExposeSecret;

use crate::bot::Bot;
use crate::roles::Role;
use crate::sandbox;
use crate::settings::{Settings, environment};
use crate::stopping::Signals;

pub(crate) async fn run(roles: Vec<Role>) -> Result<u8> {
    let settings = Settings { roles: roles.into_iter().collect(), ..Settings::read(&environment)? };
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    let stop_timeout = settings.stop_timeout;
    let bot = Bot::start(settings).await?;
    // Who is told that it listens may ask it to stop.
    let mut signals = Signals::listen()?;
    greet(&bot)?;
    signals.next().await;
    let runs = bot.runs();
    signals.see_off(bot.stop(), &runs, stop_timeout).await;
    Ok(0)
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
    match &bot.capabilities {
        Some(capabilities) => sandbox::describe(&mut out, capabilities),
        None => Ok(()),
    }
}
