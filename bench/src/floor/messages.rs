//! Messages through RabbitMQ with the fewest steps: published to a quorum queue, confirmed,
//! received and acknowledged.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer};

const QUEUE: &str = "floor";
const PERSISTENT: u8 = 2;

/// Somebody who publishes to a queue.
#[derive(Debug, Clone)]
pub(crate) struct Publisher {
    channel: Channel,
    queue: String,
    // Closed when it is dropped.
    _connection: std::sync::Arc<Connection>,
}

/// Somebody who consumes a queue.
pub(crate) struct Receiver {
    consumer: Consumer,
    _connection: Connection,
}

/// One of each.
pub(crate) struct Messages {
    publisher: Publisher,
    receiver: Receiver,
}

async fn open(url: &str, queue: &str) -> Result<(Connection, Channel)> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), durable, arguments).await?;
    Ok((connection, channel))
}

impl Publisher {
    pub(super) async fn open(url: &str, queue: &str) -> Result<Self> {
        let (connection, channel) = open(url, queue).await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Self { channel, queue: queue.to_owned(), _connection: connection.into() })
    }

    /// Returns when the broker has it on disk.
    pub(super) async fn publish(&self, body: &[u8]) -> Result<()> {
        let options = BasicPublishOptions::default();
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
        let queue = self.queue.as_str().into();
        let published =
            self.channel.basic_publish("".into(), queue, options, body, properties).await?;
        match published.await? {
            Confirmation::Ack(None) => Ok(()),
            other => bail!("the broker answered the floor {other:?}"),
        }
    }
}

impl Receiver {
    pub(super) async fn open(url: &str, queue: &str) -> Result<Self> {
        let (connection, channel) = open(url, queue).await?;
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = channel.basic_consume(queue.into(), "".into(), options, none).await?;
        Ok(Self { consumer, _connection: connection })
    }

    pub(super) async fn next(&mut self) -> Result<Delivery> {
        Ok(self.consumer.next().await.context("the broker ended the floor")??)
    }
}

impl Messages {
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let publisher = Publisher::open(url, QUEUE).await?;
        Ok(Self { publisher, receiver: Receiver::open(url, QUEUE).await? })
    }

    /// Publishes one and receives it; how long that took. Returns when both sides have confirmed.
    pub(crate) async fn one(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        let received = async {
            let message = self.receiver.next().await?;
            let took = begun.elapsed();
            message.ack(BasicAckOptions::default()).await?;
            anyhow::Ok(took)
        };
        let ((), took) = tokio::try_join!(self.publisher.publish(b"look"), received)?;
        Ok(took)
    }
}
