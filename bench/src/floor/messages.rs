//! Messages through RabbitMQ with the fewest steps: published to a quorum queue, confirmed,
//! received and acknowledged.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer};

const QUEUE: &str = "floor";
const PERSISTENT: u8 = 2;

/// One who publishes and one who consumes, each with a connection.
pub(crate) struct Messages {
    publisher: Channel,
    consumer: Consumer,
    _connections: [Connection; 2],
}

impl Messages {
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let connect = || Connection::connect(url, ConnectionProperties::default());
        let connections = [connect().await?, connect().await?];
        let publisher = connections[0].create_channel().await?;
        publisher.confirm_select(ConfirmSelectOptions::default()).await?;
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        publisher.queue_declare(QUEUE.into(), durable, arguments).await?;
        let listening = connections[1].create_channel().await?;
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = listening.basic_consume(QUEUE.into(), "".into(), options, none).await?;
        Ok(Self { publisher, consumer, _connections: connections })
    }

    /// Publishes one and receives it; how long that took. Returns when both sides have confirmed.
    pub(crate) async fn one(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        let options = BasicPublishOptions::default();
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
        let published =
            self.publisher.basic_publish("".into(), QUEUE.into(), options, b"look", properties);
        let confirm = published.await?;
        let message = self.consumer.next().await.context("the broker ended the floor")??;
        let took = begun.elapsed();
        message.ack(BasicAckOptions::default()).await?;
        confirm.await?;
        Ok(took)
    }
}
