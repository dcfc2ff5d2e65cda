//! Hints through RabbitMQ, and the bot in several processes that hear of each other through it.

use std::time::{Duration, Instant};

use aldis_bus::{Broker, Bus, Listener, Topic};
use aldis_test_servers::RabbitMq;
use anyhow::{Result, bail};

use super::{Plan, ingest, memory, path, say, spread};
use crate::floor::Messages;
use crate::load::Load;
use crate::place::{Place, postgres, rabbitmq};
use crate::report::Row;

/// One of the topics that consumers share: its queue is a quorum queue, as the floor's.
const TOPIC: Topic = Topic::Plan;
/// Before these, the processes may still be connecting.
const WARMING: usize = 50;
/// After this a hint is lost.
const LOST: Duration = Duration::from_secs(10);

pub(crate) async fn rows(plan: &Plan) -> Result<Vec<Row>> {
    let (server, broker) = (postgres().await?, rabbitmq().await?);
    say("hints")?;
    let hints = hints(plan, &broker).await?;
    let place = Place::Divided(&server, &broker);
    say("ingest")?;
    let mut divided = ingest::rows(plan, place).await?;
    say("path")?;
    divided.extend(path::rows(plan, place).await?);
    say("memory")?;
    divided.extend(memory::rows(plan, place).await?);
    Ok(hints.into_iter().chain(divided.into_iter().map(|row| row.of("divided"))).collect())
}

async fn hints(plan: &Plan, broker: &RabbitMq) -> Result<Vec<Row>> {
    let address = Broker::at(broker.url().into())?;
    let from = Bus::through_rabbitmq(address.clone(), Vec::new());
    let to = Bus::through_rabbitmq(address, vec![TOPIC]);
    let mut listener = to.listen(TOPIC);
    let mut floor = Messages::open(&broker.url()).await?;
    for _ in 0..WARMING {
        floor.one().await?;
        hint(&from, &mut listener).await?;
    }
    let (mut hints, mut messages) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        let (mut heard, mut received) = (Vec::new(), Vec::new());
        let begun = Instant::now();
        while begun.elapsed() < plan.lasting {
            received.push(floor.one().await?.as_secs_f64() * 1000.0);
        }
        messages.push(Load::new(received, begun.elapsed())?);
        let begun = Instant::now();
        while begun.elapsed() < plan.lasting {
            heard.push(hint(&from, &mut listener).await?.as_secs_f64() * 1000.0);
        }
        hints.push(Load::new(heard, begun.elapsed())?);
    }
    let row = |name: &str, unit, of: &dyn Fn(&Load) -> f64| {
        let row = Row::told(name, unit, spread(hints.iter().map(of))?);
        anyhow::Ok(row.beside(spread(messages.iter().map(of))?))
    };
    Ok(vec![
        row("hint to another process, p50", "ms", &|load| load.percentile(0.5))?,
        row("hint to another process, p99", "ms", &|load| load.percentile(0.99))?,
        row("hints to another process, one after the other", "1/s", &|load| load.per_second)?,
    ])
}

/// How long it takes until it is heard.
async fn hint(from: &Bus, listener: &mut Listener) -> Result<Duration> {
    listener.hush();
    let begun = Instant::now();
    from.hint(TOPIC);
    listener.wait(LOST).await;
    let took = begun.elapsed();
    if took >= LOST {
        bail!("a hint was not heard within {} s", LOST.as_secs());
    }
    Ok(took)
}
