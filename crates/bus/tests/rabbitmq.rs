//! Hints between processes, through a broker that is killed, emptied and not there.

#![expect(clippy::unwrap_used, reason = "a test whose surroundings fail has failed")]

use std::time::Duration;

use aldis_bus::{Broker, Bus, Listener, Topic};
use aldis_test_servers::RabbitMq;
use tokio::time::{Instant, timeout};

fn at(url: &str) -> Broker {
    Broker::at(url.into()).unwrap()
}

/// A process that hears everything.
fn process(broker: &RabbitMq) -> Bus {
    Bus::through_rabbitmq(at(&broker.url()), Topic::ALL.to_vec())
}

async fn broker() -> RabbitMq {
    tokio::task::spawn_blocking(RabbitMq::start).await.unwrap()
}

/// Whether a hint comes within a time that no timer of the bus takes.
async fn hears(listener: &mut Listener) -> bool {
    let begun = Instant::now();
    let limit = Duration::from_secs(3);
    listener.wait(limit).await;
    begun.elapsed() < limit
}

/// Returns when nothing rings any more: a process that connects, or does so anew, rings for
/// everything once.
async fn quiet([one, two]: &mut [Listener; 2]) {
    loop {
        one.hush();
        two.hush();
        if tokio::join!(hears(one), hears(two)) == (false, false) {
            return;
        }
    }
}

/// Hints again and again until it is heard, as work that becomes due does.
async fn until_heard(from: &Bus, topic: Topic, listener: &mut Listener) {
    let heard = async {
        loop {
            listener.hush();
            from.hint(topic);
            let begun = Instant::now();
            listener.wait(Duration::from_millis(300)).await;
            if begun.elapsed() < Duration::from_millis(300) {
                return;
            }
        }
    };
    timeout(Duration::from_mins(1), heard).await.expect("it is never heard");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_topic_is_heard_by_one_process_and_the_others_by_all() {
    let broker = broker().await;
    let sender = Bus::through_rabbitmq(at(&broker.url()), Vec::new());
    let (one, two) = (process(&broker), process(&broker));
    let mut logs = [one.listen(Topic::Log), two.listen(Topic::Log)];
    for listener in &mut logs {
        until_heard(&sender, Topic::Log, listener).await;
    }
    let mut plans = [one.listen(Topic::Plan), two.listen(Topic::Plan)];
    quiet(&mut plans).await;
    sender.hint(Topic::Plan);
    let [first, second] = &mut plans;
    let heard = tokio::join!(hears(first), hears(second));
    assert!(heard.0 != heard.1, "{heard:?}");
    quiet(&mut logs).await;
    sender.hint(Topic::Log);
    let [first, second] = &mut logs;
    assert_eq!(tokio::join!(hears(first), hears(second)), (true, true));
}

#[tokio::test]
async fn other_processes_do_not_hear_of_what_somebody_here_is_free_to_do() {
    let broker = broker().await;
    let here = Bus::through_rabbitmq(at(&broker.url()), Vec::new());
    let there = process(&broker);
    let mut far = there.listen(Topic::Plan);
    until_heard(&here, Topic::Plan, &mut far).await;
    // More than one hint may have been on its way.
    while hears(&mut far).await {}
    let mut near = here.listen(Topic::Plan);
    near.hush();
    let waiting = tokio::spawn(async move {
        let heard = hears(&mut near).await;
        (near, heard)
    });
    tokio::task::yield_now().await;
    here.hint(Topic::Plan);
    let (near, heard) = waiting.await.unwrap();
    assert!(heard && !hears(&mut far).await, "one was free");
    here.hint(Topic::Plan);
    assert!(hears(&mut far).await, "nobody is free");
    drop(near);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_is_free_to_hear_is_heard_in_another_process() {
    let broker = broker().await;
    let sender = Bus::through_rabbitmq(at(&broker.url()), Vec::new());
    let (busy, free) = (process(&broker), process(&broker));
    // It never waits again.
    let mut at_work = busy.listen(Topic::Plan);
    until_heard(&sender, Topic::Plan, &mut at_work).await;
    let mut idle = free.listen(Topic::Plan);
    until_heard(&sender, Topic::Plan, &mut idle).await;
    while hears(&mut idle).await {}
    for hint in 1..=4 {
        idle.hush();
        let waiting = tokio::spawn(async move {
            let heard = hears(&mut idle).await;
            (idle, heard)
        });
        tokio::task::yield_now().await;
        sender.hint(Topic::Plan);
        let heard;
        (idle, heard) = waiting.await.unwrap();
        assert!(heard, "hint {hint}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_go_again_after_the_broker_was_killed_or_a_queue_deleted() {
    let broker = broker().await;
    let sender = Bus::through_rabbitmq(at(&broker.url()), Vec::new());
    let receiver = process(&broker);
    let mut plans = receiver.listen(Topic::Plan);
    until_heard(&sender, Topic::Plan, &mut plans).await;
    let broker = tokio::task::spawn_blocking(move || {
        broker.kill();
        broker.resume();
        broker
    });
    let broker = broker.await.unwrap();
    until_heard(&sender, Topic::Plan, &mut plans).await;
    let deleted = tokio::task::spawn_blocking(move || {
        let deleted = broker.ctl(&["delete_queue", "aldis.plan"]);
        (deleted, broker)
    });
    let (deleted, broker) = deleted.await.unwrap();
    assert!(deleted, "the queue is not there");
    until_heard(&sender, Topic::Plan, &mut plans).await;
    drop(broker);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_the_own_process_hears_at_once() {
    let bus = Bus::through_rabbitmq(at("amqp://guest:guest@127.0.0.1:1"), Topic::ALL.to_vec());
    let mut plans = bus.listen(Topic::Plan);
    plans.hush();
    for _ in 0..5000 {
        bus.hint(Topic::Plan);
    }
    assert!(hears(&mut plans).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn through_tls_hints_are_heard_as_well() {
    let broker = tokio::task::spawn_blocking(RabbitMq::with_tls).await.unwrap();
    let (url, authority) = broker.tls();
    let address = at(&format!("{url}?cacertfile={}", authority.display()));
    let sender = Bus::through_rabbitmq(address.clone(), Vec::new());
    let hearer = Bus::through_rabbitmq(address, Topic::ALL.to_vec());
    until_heard(&sender, Topic::Plan, &mut hearer.listen(Topic::Plan)).await;
}
