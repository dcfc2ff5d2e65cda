//! Hints between processes, through a broker that is killed, emptied, silent and not there.

#![expect(clippy::unwrap_used, reason = "a test whose surroundings fail has failed")]

use std::time::Duration;

use aldis_bus::{Broker, Bus, Listener, Topic};
use aldis_test_servers::{RabbitMq, Valve};
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
    let [first, second] = &mut plans;
    // Both wait by then: what nobody is free to hear goes on to the other process.
    let hint = async {
        tokio::task::yield_now().await;
        sender.hint(Topic::Plan);
    };
    let heard = tokio::join!(hears(first), hears(second), hint);
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
        // The broker may need a moment after the kill.
        let deleted = (0..10).any(|_| broker.ctl(&["delete_queue", "aldis.plan"]));
        (deleted, broker)
    });
    let (deleted, broker) = deleted.await.unwrap();
    assert!(deleted, "the queue is not there");
    until_heard(&sender, Topic::Plan, &mut plans).await;
    drop(broker);
}

/// A way to the broker: the two connections of the first process that takes it lead through a valve
/// of their own, later ones past it.
struct Way {
    broker: Broker,
    hole: Valve,
    _all: Valve,
}

impl Way {
    async fn to(broker: &RabbitMq) -> Self {
        let url = broker.url();
        let (user, server) = url.rsplit_once('@').unwrap();
        let place = |valve: &Valve| valve.url().trim_start_matches("http://").to_owned();
        let hole = Valve::before_all(vec![server.to_owned()]).await;
        // They take turns from the second on.
        let turns = [server, &place(&hole), &place(&hole), server].map(str::to_owned);
        let all = Valve::before_all(turns.to_vec()).await;
        let broker = at(&format!("{user}@{}", place(&all)));
        Self { broker, hole, _all: all }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hint_that_went_into_a_black_hole_is_given_again() {
    let broker = broker().await;
    let way = Way::to(&broker).await;
    let sender = Bus::through_rabbitmq(way.broker, Vec::new());
    let receiver = process(&broker);
    let mut cancels = receiver.listen(Topic::Cancel);
    until_heard(&sender, Topic::Cancel, &mut cancels).await;
    while hears(&mut cancels).await {}
    way.hole.shut();
    sender.hint(Topic::Cancel);
    assert!(!hears(&mut cancels).await, "it does not lead through the hole");
    // What the connection itself says of its end comes only after a minute.
    let (begun, limit) = (Instant::now(), Duration::from_secs(20));
    cancels.wait(limit).await;
    assert!(begun.elapsed() < limit, "nobody missed the confirmation");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_into_a_black_hole_notices() {
    let broker = broker().await;
    let way = Way::to(&broker).await;
    let receiver = Bus::through_rabbitmq(way.broker, Topic::ALL.to_vec());
    let sender = Bus::through_rabbitmq(at(&broker.url()), Vec::new());
    let mut cancels = receiver.listen(Topic::Cancel);
    until_heard(&sender, Topic::Cancel, &mut cancels).await;
    while hears(&mut cancels).await {}
    way.hole.shut();
    let begun = Instant::now();
    sender.hint(Topic::Cancel);
    assert!(!hears(&mut cancels).await, "it does not lead through the hole");
    until_heard(&sender, Topic::Cancel, &mut cancels).await;
    // Asked every 15 seconds; two answers are waited for, five seconds each.
    let deaf = begun.elapsed();
    assert!(deaf < Duration::from_secs(35), "{deaf:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_black_hole_all_is_heard_again() {
    let broker = broker().await;
    let valve = Valve::before(&broker.url()).await;
    let process = || Bus::through_rabbitmq(at(valve.url()), Topic::ALL.to_vec());
    let (one, two) = (process(), process());
    let mut near = one.listen(Topic::Cancel);
    let mut far = two.listen(Topic::Cancel);
    until_heard(&one, Topic::Cancel, &mut far).await;
    until_heard(&two, Topic::Cancel, &mut near).await;
    quiet(&mut [near, far]).await;
    valve.shut();
    let begun = Instant::now();
    let (mut near, mut far) = (one.listen(Topic::Cancel), two.listen(Topic::Cancel));
    for topic in Topic::ALL.repeat(5000) {
        one.hint(topic);
    }
    assert!(hears(&mut near).await, "the own process hears at once");
    assert!(begun.elapsed() < Duration::from_secs(2), "hints wait for the broker");
    // Longer than an answer is waited for, so that all connections are given up.
    for _ in 0..4 {
        assert!(!hears(&mut far).await, "it is no hole");
    }
    valve.open();
    let begun = Instant::now();
    for topic in Topic::ALL {
        until_heard(&one, topic, &mut two.listen(topic)).await;
        until_heard(&two, topic, &mut one.listen(topic)).await;
    }
    // Ten seconds are the longest pause.
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
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
