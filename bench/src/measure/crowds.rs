//! The large bursts alone: on SQLite, on Postgres, and with the bot in several processes.

use anyhow::Result;

use super::path::Sides;
use super::scale::large;
use crate::place::{Place, postgres, rabbitmq};
use crate::report::Row;
use crate::world::World;

pub(crate) async fn rows() -> Result<Vec<Row>> {
    let (server, broker) = (postgres().await?, rabbitmq().await?);
    let mut rows = at(Place::Sqlite).await?;
    for (name, place) in
        [("Postgres", Place::Postgres(&server)), ("divided", Place::Divided(&server, &broker))]
    {
        rows.extend(at(place).await?.into_iter().map(|row| row.of(name)));
    }
    Ok(rows)
}

async fn at(place: Place<'_>) -> Result<Vec<Row>> {
    let mut world = World::build().await?;
    let (bot_home, floor_home) = (place.home()?, place.home()?);
    let sides = Sides::start(&world, &bot_home, &floor_home).await?;
    // Makes mirrors and caches.
    sides.singles(&mut world, 0).await?;
    let rows = large(&sides, &mut world).await?;
    sides.bot.stop().await?;
    Ok(rows)
}
