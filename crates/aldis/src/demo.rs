//! `aldis demo`: the whole bot against a simulated GitLab, with a sample project that goes from a
//! merge request with a failing test to a release tag.

mod sandbox;
mod scenario;
mod screen;

use std::time::Duration;

use anyhow::{Context, Result};
use secrecy::ExposeSecret;

use scenario::World;
use screen::Screen;

/// Runs the demo. With `once` it ends when all is shown; the code is 0 only if all of it arrived.
pub(crate) async fn run(once: bool) -> Result<u8> {
    let mut screen = Screen::new();
    screen.title("Aldis demo: a simulated GitLab, a sample project, and the bot")?;
    let executor = sandbox::choose(&mut screen).await?;
    let world = World::build(executor).await?;
    screen.line(&format!("GitLab (simulated)  {}", world.sim.url()))?;
    screen.line(&format!("Aldis               {}/", world.bot.base_url))?;
    let missing = play(&world, &mut screen).await?;
    world.show(&mut screen, &missing)?;
    if once {
        world.stop().await;
        return Ok(u8::from(!missing.is_empty()));
    }
    screen.line(&format!(
        "\nBoth keep running, have a look. Page token, if asked for: {}\nCtrl-C ends the demo.",
        world.bot.bootstrap_token.as_ref().map_or("", |token| token.expose_secret())
    ))?;
    tokio::signal::ctrl_c().await.context("cannot wait for Ctrl-C")?;
    world.stop().await;
    Ok(u8::from(!missing.is_empty()))
}

/// Longest time one act may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(90);

async fn play(world: &World, screen: &mut Screen) -> Result<Vec<String>> {
    let acts: [(&str, scenario::Act); 4] = [
        ("A developer opens a merge request. One test fails.", World::open),
        ("The developer pushes a fix.", World::fix),
        ("The merge request is merged. The default branch deploys to production.", World::merge),
        ("The release is tagged.", World::tag),
    ];
    for (number, (words, act)) in acts.into_iter().enumerate() {
        screen.act(number + 1, acts.len(), words)?;
        act(world)?;
        world.settle(screen, PATIENCE).await?;
    }
    world.missing()
}
