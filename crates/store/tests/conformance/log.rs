//! Appending to the log and reading it.

use std::collections::HashMap;

use aldis_store::{Answer, Append, Envelope, Expected, Meta, Position, Store};

use super::bench::{Bench, append};

fn last(answer: &Answer) -> Position {
    match answer {
        Answer::Appended { last, .. } => *last,
        other => panic!("not appended: {other:?}"),
    }
}

#[tokio::test]
async fn an_append_is_read_as_it_was_written() {
    let bench = Bench::new().await;
    let asked = append("change-a", Expected::NoStream, 3);
    let answer = bench.store.append(asked.clone()).await.unwrap();
    let Answer::Appended { last: 3, versions, at } = answer else { panic!("{answer:?}") };
    assert_eq!(versions, HashMap::from([("change-a".to_owned(), 3)]));
    let loaded = bench.store.load("change-a").await.unwrap();
    assert_eq!(loaded, bench.store.read(0, 10).await.unwrap());
    for (envelope, new) in loaded.iter().zip(&asked.writes[0].events) {
        assert_eq!((envelope.id, envelope.event().unwrap()), (new.id, new.event.clone()));
        assert_eq!((envelope.recorded_at, envelope.meta().unwrap()), (at, asked.meta.clone()));
    }
    assert_eq!(bench.store.load_from("change-a", 2).await.unwrap(), loaded[2..]);
    assert_eq!(bench.store.head().await.unwrap().hash, loaded[2].hash);
    assert!(bench.store.load("change-b").await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_contenders_one_wins_each_round() {
    let bench = Bench::new().await;
    for round in 0..5 {
        let contenders: Vec<_> = (0..64)
            .map(|_| {
                let store = bench.store.clone();
                let asked = append("change-a", Expected::Version(round), 1);
                tokio::spawn(async move { store.append(asked).await.unwrap() })
            })
            .collect();
        let mut winners = 0;
        for contender in contenders {
            match contender.await.unwrap() {
                Answer::Appended { .. } => winners += 1,
                Answer::Conflict { stream, actual } => {
                    assert_eq!((stream.as_str(), actual), ("change-a", Some(round + 1)));
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(winners, 1);
    }
    assert_eq!(bench.store.load("change-a").await.unwrap().len(), 5);
}

async fn write_streams(store: Store, writer: usize) {
    for n in 0..40 {
        let asked = append(&format!("change-{writer}-{n}"), Expected::NoStream, 1 + n % 3);
        last(&store.append(asked).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_that_follows_16_writers_misses_nothing() {
    let bench = Bench::new().await;
    let total: usize = 16 * (0..40).map(|n| 1 + n % 3).sum::<usize>();
    let writers: Vec<_> =
        (0..16).map(|w| tokio::spawn(write_streams(bench.store.clone(), w))).collect();
    let mut moved = bench.store.subscribe();
    let mut seen = Vec::new();
    while seen.len() < total {
        moved
            .wait_for(|position| *position > Position::try_from(seen.len()).unwrap())
            .await
            .unwrap();
        let after = Position::try_from(seen.len()).unwrap();
        seen.extend(bench.store.read(after, 37).await.unwrap());
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let positions: Vec<_> = seen.iter().map(|event| event.position).collect();
    assert_eq!(positions, (1..=Position::try_from(total).unwrap()).collect::<Vec<_>>());
    assert!(seen.is_sorted_by_key(|event| event.recorded_at));
    let verified = bench.store.verify(|_| ()).await.unwrap();
    assert_eq!(verified.head, bench.store.head().await.unwrap());
}

#[tokio::test]
async fn a_repeated_append_is_seen_and_not_doubled() {
    let bench = Bench::new().await;
    let new = append("change-a", Expected::NoStream, 2);
    let next = append("change-a", Expected::Version(2), 1);
    let any = append("change-b", Expected::Any, 1);
    for asked in [&new, &next, &any] {
        last(&bench.store.append(asked.clone()).await.unwrap());
    }
    for asked in [new, next, any] {
        assert_eq!(bench.store.append(asked).await.unwrap(), Answer::Seen);
    }
    assert_eq!(bench.store.head().await.unwrap().position, 4);
}

#[tokio::test]
async fn commands_of_one_group_are_judged_one_after_the_other() {
    let bench = Bench::new().await;
    let same = append("change-b", Expected::Any, 1);
    let (first, second, third, fourth, fifth) = tokio::join!(
        bench.store.append(append("change-a", Expected::NoStream, 1)),
        bench.store.append(append("change-a", Expected::NoStream, 1)),
        bench.store.append(append("change-a", Expected::Version(1), 1)),
        bench.store.append(same.clone()),
        bench.store.append(same),
    );
    assert_eq!(last(&first.unwrap()), 1);
    let conflict = Answer::Conflict { stream: "change-a".to_owned(), actual: Some(1) };
    assert_eq!(second.unwrap(), conflict);
    assert_eq!(last(&third.unwrap()), 2);
    assert_eq!(last(&fourth.unwrap()), 3);
    assert_eq!(fifth.unwrap(), Answer::Seen);
}

#[tokio::test]
async fn an_append_over_several_streams_happens_whole_or_not_at_all() {
    let bench = Bench::new().await;
    last(&bench.store.append(append("change-a", Expected::NoStream, 1)).await.unwrap());
    let mut both = append("change-b", Expected::NoStream, 1);
    both.writes.extend(append("change-a", Expected::Version(7), 0).writes);
    let event = both.writes[0].events.remove(0);
    both.writes[0].events.push(event.with_payload(vec![1, 2]));
    let conflict = Answer::Conflict { stream: "change-a".to_owned(), actual: Some(1) };
    assert_eq!(bench.store.append(both.clone()).await.unwrap(), conflict);
    assert!(bench.store.load("change-b").await.unwrap().is_empty());
    assert_eq!(bench.store.payload(2).await.unwrap(), None);

    both.writes[1].expected = Expected::Version(1);
    assert_eq!(last(&bench.store.append(both).await.unwrap()), 2);
    assert_eq!(bench.store.payload(2).await.unwrap(), Some(vec![1, 2]));
    assert_eq!(bench.store.payload(1).await.unwrap(), None);
    let streams = ["change-a", "change-b", "change-c"].map(str::to_owned);
    let many = bench.store.load_many(&streams).await.unwrap();
    let mut counts: Vec<_> = many.iter().map(|(s, e)| (s.as_str(), e.len())).collect();
    counts.sort_unstable();
    assert_eq!(counts, [("change-a", 1), ("change-b", 1)]);
}

#[tokio::test]
async fn the_log_and_its_chain_go_on_after_a_restart() {
    let mut bench = Bench::new().await;
    for n in 0..100 {
        last(&bench.store.append(append(&format!("change-{n}"), Expected::Any, 7)).await.unwrap());
    }
    bench.restart().await;
    assert_eq!(*bench.store.subscribe().borrow(), 700);
    let answer = bench.store.append(append("change-5", Expected::Version(7), 1)).await.unwrap();
    assert_eq!(last(&answer), 701);
    assert_eq!(bench.store.verify(|_| ()).await.unwrap().events, 701);
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let bench = Bench::new().await;
    bench.store.close().await;
    let refused = bench.store.append(Append::new(Meta::default())).await.unwrap_err();
    insta::assert_snapshot!(refused, @"the store was closed");
    insta::assert_snapshot!(bench.store.head().await.unwrap_err(), @"the store was closed");
}

#[tokio::test]
async fn long_reads_are_the_same_as_short_ones() {
    let bench = Bench::new().await;
    for n in 0..13 {
        let asked = append(&format!("change-{n}"), Expected::NoStream, 50);
        last(&bench.store.append(asked).await.unwrap());
    }
    let mut short = Vec::new();
    while short.len() < 650 {
        let after = short.last().map_or(0, |event: &Envelope| event.position);
        short.extend(bench.store.read(after, 100).await.unwrap());
    }
    let positions: Vec<Position> = short.iter().map(|event| event.position).collect();
    assert_eq!(positions, (1..=650).collect::<Vec<_>>());
    for (after, limit) in
        [(0_u16, 257), (0, 512), (0, 5000), (17, 300), (17, 600), (649, 900), (700, 900)]
    {
        let from = usize::from(after).min(short.len());
        let expected = &short[from..short.len().min(from + limit)];
        let read = bench.store.read(after.into(), limit).await.unwrap();
        assert_eq!(read, expected, "{limit} after {after}");
    }
}
