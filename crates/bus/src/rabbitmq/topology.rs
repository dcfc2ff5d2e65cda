//! What is declared at the broker: one exchange, a quorum queue for each topic that consumers
//! share, and for each process a queue of its own for what everybody is to hear.
//!
//! Only arguments that 3.10 knows: a queue cannot be declared again with others.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

use super::{Trouble, within};
use crate::Topic;

pub(super) const EXCHANGE: &str = "aldis";
/// A hint that comes back so often is of no use.
const DELIVERIES: i32 = 20;
/// Hints that wait in a queue. There is no use for more: each only says "look".
const LENGTH: i32 = 10_000;

/// A queue that a process listens to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Queue<'a> {
    /// Of all processes that hear the topic.
    Shared(Topic),
    /// Of this connection alone, for those of the topics that everybody hears.
    Own(&'a [Topic]),
}

impl Queue<'_> {
    /// Makes it if it is not there; its name.
    pub(super) async fn declare(self, channel: &Channel) -> Result<String, Trouble> {
        match self {
            Self::Shared(topic) => {
                let durable = QueueDeclareOptions { durable: true, ..Default::default() };
                within(channel.queue_declare(topic.queue().into(), durable, arguments())).await?;
                bind(channel, &topic.queue(), topic).await?;
                Ok(topic.queue())
            }
            Self::Own(heard) => {
                let own = QueueDeclareOptions { exclusive: true, ..Default::default() };
                let mut table = FieldTable::default();
                table.insert("x-max-length".into(), AMQPValue::LongInt(1000));
                let queue = within(channel.queue_declare("".into(), own, table)).await?;
                let name = queue.name().as_str().to_owned();
                for topic in heard.iter().filter(|topic| !topic.is_shared()) {
                    bind(channel, &name, *topic).await?;
                }
                Ok(name)
            }
        }
    }
}

/// All queues are bound to it.
pub(super) async fn declare_exchange(channel: &Channel) -> Result<(), Trouble> {
    let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
    let none = FieldTable::default();
    within(channel.exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, options, none)).await
}

fn arguments() -> FieldTable {
    let mut table = FieldTable::default();
    table.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    table.insert("x-delivery-limit".into(), AMQPValue::LongInt(DELIVERIES));
    table.insert("x-max-length".into(), AMQPValue::LongInt(LENGTH));
    table.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    table
}

async fn bind(channel: &Channel, queue: &str, topic: Topic) -> Result<(), Trouble> {
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    let key = topic.routing_key();
    within(channel.queue_bind(queue.into(), EXCHANGE.into(), key.into(), options, none)).await
}

/// Whether the broker answers and the queue is still there.
pub(super) async fn is_there(channel: &Channel, queue: &str) -> Result<(), Trouble> {
    let options = QueueDeclareOptions { passive: true, ..Default::default() };
    within(channel.queue_declare(queue.into(), options, FieldTable::default())).await.map(drop)
}
