//! What the bot keeps resident, at rest and with a queue.

use std::time::Duration;

use aldis_gitlab_sim::{Options, Scope, Simulator};
use anyhow::Result;

use super::{Plan, spread};
use crate::bot::{Bot, Setup};
use crate::delivery::Template;
use crate::load::Connection;
use crate::place::Place;
use crate::report::{Judged, Row, Target};

const QUEUED: u64 = 1_000;
/// After this a bot that has nothing to do is at rest.
const REST: Duration = Duration::from_secs(2);

pub(crate) async fn rows(plan: &Plan, place: Place<'_>) -> Result<Vec<Row>> {
    let sim = Simulator::start(Options::default()).await?;
    let token = sim.create_token(sim.create_bot("bot"), &[Scope::Api], None)?;
    let (mut idle, mut peak) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds.min(3) {
        let home = place.home()?;
        let setup = Setup { gitlab: sim.url(), token: &token, home: &home, slots: 2, budget: None };
        let bot = Bot::start(&setup).await?;
        tokio::time::sleep(REST).await;
        idle.push(bot.memory("VmRSS")?);
        let mut template = Template::new(bot.address, 4_711);
        let mut connection = Connection::open(bot.address).await?;
        for number in 0..QUEUED {
            connection.exchange(template.number(number)).await?;
        }
        tokio::time::sleep(REST).await;
        peak.push(bot.memory("VmHWM")?);
        bot.stop().await?;
    }
    let row = |name, measured, most: [f64; 2]| {
        let row = Row::told(name, "MiB", spread(measured)?);
        // The targets are those of one process.
        let is_one = !matches!(place, Place::Divided(..));
        let aims = most.map(Target::AtMost);
        anyhow::Ok(if is_one { row.aims(Judged::Value, aims) } else { row })
    };
    Ok(vec![
        row("memory at rest", idle, [40.0, 20.0])?,
        row("peak memory, 1,000 deliveries queued", peak, [120.0, 60.0])?,
    ])
}
