//! Hints between processes, through RabbitMQ 3.10 or newer, without plugins.
//!
//! One connection publishes and another consumes: a broker that is short of memory stops publishers
//! by the connection. Each has a task that makes it anew after any error, and everything on it:
//! a channel that the broker has closed would leave its consumers waiting for ever. Never here: a
//! fact, or anybody who waits for the broker.

mod broker;
mod outbox;
mod topology;

use std::convert::Infallible as Never;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt, TryFutureExt};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::Topic;
pub use broker::{Broker, BrokerError};
use outbox::Outbox;
use topology::{EXCHANGE, Queue, declare_exchange, is_there};

/// Longest wait for an answer of the broker; one in a black hole says nothing.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a quiet connection is asked whether it still works.
const ASKED_EVERY: Duration = Duration::from_secs(15);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Hints that wait to be published; what is more is let go.
const WAITING: usize = 1024;
/// Messages that the broker hands out before one is acknowledged.
const AHEAD: u16 = 16;
/// What nobody here is free to hear goes back to its queue for another process, in the long run so
/// often at most: among many hints others have their share anyway.
const BACK_EVERY: Duration = Duration::from_millis(50);
/// As much of it at once as comes up in this time.
const BACK_AT_ONCE: Duration = Duration::from_millis(400);
/// Each append hints of the log, and pages may be so late.
const LOG_EVERY: Duration = Duration::from_millis(250);
/// Survives a restart of the broker.
const PERSISTENT: u8 = 2;

/// Rings the bells of this process; whether one who shares the topic was free to hear it.
pub(crate) type Ring = Arc<dyn Fn(Topic) -> bool + Send + Sync>;

/// The way to other processes. It is closed when this is dropped.
#[derive(Debug)]
pub(crate) struct Far {
    hints: mpsc::Sender<Topic>,
    _alive: watch::Sender<()>,
}

/// Why a connection is made anew.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Broker(#[from] lapin::Error),
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Silent,
    #[error("a queue is gone")]
    Unroutable,
    #[error("the broker ended a consumer")]
    Ended,
}

impl Far {
    /// Begins to connect. What others tell of `heard` rings here.
    pub(crate) fn new(broker: Broker, heard: Vec<Topic>, ring: Ring) -> Self {
        let (hints, waiting) = mpsc::channel(WAITING);
        let (alive, lives) = watch::channel(());
        tokio::spawn(publish(broker.clone(), waiting));
        tokio::spawn(consume(broker, heard, ring, lives));
        Self { hints, _alive: alive }
    }

    /// Tells others, sometime soon or never.
    pub(crate) fn hint(&self, topic: Topic) {
        // Full: whoever is to hear of it looks by itself.
        let _ = self.hints.try_send(topic);
    }
}

async fn within<T>(work: impl Future<Output = lapin::Result<T>>) -> Result<T, Trouble> {
    Ok(tokio::time::timeout(PATIENCE, work).await.map_err(|_| Trouble::Silent)??)
}

async fn connect(broker: &Broker, name: &str) -> Result<(Connection, Channel), Trouble> {
    let connection = within(broker.connect(name)).await?;
    let channel = within(connection.create_channel()).await?;
    declare_exchange(&channel).await?;
    Ok((connection, channel))
}

/// Pauses that double while a connection fails at once.
struct Pauses(Duration);

impl Pauses {
    async fn after(&mut self, what: &str, trouble: &Trouble, lasted: Duration) {
        if lasted > LONGEST_PAUSE {
            self.0 = FIRST_PAUSE;
        }
        tracing::warn!(%trouble, "{what} the broker is interrupted; without it all goes on, later");
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(LONGEST_PAUSE);
    }
}

/// When the last that went back will have had its share of time.
struct Backs(Instant);

impl Backs {
    /// Whether one more may go back now.
    fn take(&mut self) -> bool {
        let now = Instant::now();
        let until = self.0.max(now) + BACK_EVERY;
        let may = until <= now + BACK_AT_ONCE;
        if may {
            self.0 = until;
        }
        may
    }
}

async fn publish(broker: Broker, mut hints: mpsc::Receiver<Topic>) {
    let (mut pauses, mut outbox) = (Pauses(FIRST_PAUSE), Outbox::default());
    loop {
        let begun = Instant::now();
        match publishing(&broker, &mut hints, &mut outbox).await {
            Ok(()) => return,
            Err(trouble) => pauses.after("publishing to", &trouble, begun.elapsed()).await,
        }
        outbox.interrupted();
    }
}

/// Publishes what is hinted until nobody can hint any more.
async fn publishing(
    broker: &Broker,
    hints: &mut mpsc::Receiver<Topic>,
    outbox: &mut Outbox,
) -> Result<(), Trouble> {
    let (connection, channel) = connect(broker, "aldis publishes").await?;
    within(channel.confirm_select(ConfirmSelectOptions::default())).await?;
    for topic in Topic::ALL.into_iter().filter(|topic| topic.is_shared()) {
        Queue::Shared(topic).declare(&channel).await?;
    }
    let (mut told, mut batch, mut open) = (FuturesUnordered::new(), Vec::new(), true);
    loop {
        while let Some(topic) = outbox.take() {
            told.push(tell(&channel, topic));
        }
        tokio::select! {
            Some(confirmed) = told.next() => outbox.confirmed(confirmed?),
            hinted = hints.recv_many(&mut batch, WAITING), if open => {
                open = hinted > 0;
                batch.drain(..).for_each(|topic| outbox.put(topic));
            }
            else => break,
        }
    }
    // The broker notices by itself otherwise.
    let _ = within(connection.close(200, "done".into())).await;
    Ok(())
}

/// Returns the topic when it may be told again.
async fn tell(channel: &Channel, topic: Topic) -> Result<Topic, Trouble> {
    // Whom a broadcast reaches is nobody's business; a shared topic has its queue.
    let options =
        BasicPublishOptions { mandatory: topic.is_shared(), ..BasicPublishOptions::default() };
    let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
    let key = topic.routing_key();
    let told = async {
        channel
            .basic_publish(EXCHANGE.into(), key.into(), options, b"look", properties)
            .await?
            .await
    };
    // A refusal says that the queue is full: there are hints enough.
    if let Confirmation::Ack(Some(_)) = within(told).await? {
        return Err(Trouble::Unroutable);
    }
    if topic == Topic::Log {
        tokio::time::sleep(LOG_EVERY).await;
    }
    Ok(topic)
}

async fn consume(broker: Broker, heard: Vec<Topic>, ring: Ring, mut lives: watch::Receiver<()>) {
    let mut pauses = Pauses(FIRST_PAUSE);
    loop {
        let begun = Instant::now();
        let trouble = tokio::select! {
            trouble = consuming(&broker, &heard, &ring) => trouble,
            // The way is closed. Dropping the connection ends it.
            _ = lives.changed() => return,
        };
        let Err(trouble) = trouble;
        tokio::select! {
            () = pauses.after("listening to", &trouble, begun.elapsed()) => {}
            _ = lives.changed() => return,
        }
    }
}

/// Listens to all queues until the connection fails.
async fn consuming(broker: &Broker, heard: &[Topic], ring: &Ring) -> Result<Never, Trouble> {
    let (connection, _channel) = connect(broker, "aldis listens").await?;
    // What was told while nobody listened.
    for topic in heard {
        ring(*topic);
    }
    let shared = heard.iter().filter(|topic| topic.is_shared()).copied().map(Queue::Shared);
    let queues = shared.chain([Queue::Own(heard)]);
    let mut listening: FuturesUnordered<_> =
        queues.map(|queue| listen(&connection, queue, ring)).collect();
    listening.next().await.unwrap_or(Err(Trouble::Ended))
}

/// Listens to one queue. What is wrong with it is not wrong with the others: a queue that does not
/// answer is tried again beside them.
async fn listen(connection: &Connection, queue: Queue<'_>, ring: &Ring) -> Result<Never, Trouble> {
    let mut pauses = Pauses(FIRST_PAUSE);
    loop {
        let begun = Instant::now();
        let Err(trouble) = hear(connection, queue, ring).await;
        // Whether it is the connection.
        within(within(connection.create_channel()).await?.close(200, "asked".into())).await?;
        pauses.after("listening to a queue of", &trouble, begun.elapsed()).await;
    }
}

/// Rings for every message of one queue, until something fails.
async fn hear(connection: &Connection, queue: Queue<'_>, ring: &Ring) -> Result<Never, Trouble> {
    let channel = within(connection.create_channel()).await?;
    within(channel.basic_qos(AHEAD, BasicQosOptions::default())).await?;
    let name = queue.declare(&channel).await?;
    let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
    let consumer = channel.basic_consume(name.as_str().into(), "".into(), options, none);
    let mut messages = within(consumer).await?;
    let mut ask = tokio::time::interval(ASKED_EVERY);
    let mut backs = Backs(Instant::now());
    loop {
        tokio::select! {
            message = messages.next() => {
                let message = message.ok_or(Trouble::Ended)??;
                let topic = Topic::of_routing_key(message.routing_key.as_str());
                if topic.is_none() {
                    tracing::warn!(key = %message.routing_key, "a hint of nothing known is let go");
                }
                let is_heard = topic.is_none_or(|topic| ring(topic) || !topic.is_shared());
                if is_heard || !backs.take() {
                    within(message.ack(BasicAckOptions::default()).map_ok(drop)).await?;
                } else {
                    let again = BasicNackOptions { requeue: true, multiple: false };
                    within(message.nack(again).map_ok(drop)).await?;
                }
            }
            _ = ask.tick() => is_there(&channel, &name).await?,
        }
    }
}
