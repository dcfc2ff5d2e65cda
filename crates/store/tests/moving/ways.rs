//! What arrives.

use std::time::Duration;

use aldis_store::{Append, Backlog, Expected, Meta, Person, Store, WorkKind};

use super::place::Engine::{Postgres, Sqlite};
use super::place::{Bench, Engine, LEASE, append, appended, difference, event, fill, lines, seen};

/// What a bot does after it has moved: everything is there, what is due goes on, and so does the log.
async fn moves(from: Engine, to: Engine) {
    let bench = Bench::new();
    let (old, new) = (bench.place(from), bench.place(to));
    let store = old.open().await;
    fill(&store, &bench.clock).await;
    let before = seen(&store).await;
    store.close().await;
    let (outline, rows) = old.export().await;
    assert_eq!(rows.len() as u64, outline.rows.values().sum::<u64>());
    bench.clock.advance(Duration::from_secs(7));
    new.import(&outline, &rows).await.unwrap();

    let store = new.open().await;
    assert_eq!(difference(&before, &seen(&store).await), None);
    assert_eq!(store.head().await.unwrap(), outline.head);
    assert_eq!(store.verify(|_| ()).await.unwrap().head, outline.head);
    what_is_due_goes_on(&store, &bench, outline.epoch).await;
    let more = append("change-last", Expected::Version(1), vec![event(1)]);
    appended(&store, more).await;
    assert_eq!(store.verify(|_| ()).await.unwrap().events, outline.rows["events"] + 1);
    assert_eq!(store.ensure_instance("https://third.example").await.unwrap(), 3);
    store.close().await;
}

async fn what_is_due_goes_on(store: &Store, bench: &Bench, epoch: u64) {
    let backlog = store.backlog(WorkKind::Note).await.unwrap();
    // For how long something has been due moves along, and what was leased is due.
    let oldest = Duration::from_secs(20);
    assert_eq!(backlog, Backlog { due: 2, leased: 0, later: 2, oldest });
    let claimed = store.claim(WorkKind::Note, "me", LEASE, 9).await.unwrap();
    let names: Vec<_> = claimed.iter().map(|c| (c.key.key.as_str(), c.attempts)).collect();
    assert_eq!(names, [("waits", 0), ("leased", 0)]);
    assert!(claimed.iter().all(|c| c.epoch > epoch && c.took_over.is_none()), "{claimed:?}");
    // It had waited 20 of its 60 seconds.
    bench.clock.advance(Duration::from_secs(39));
    assert!(store.claim(WorkKind::Note, "me", LEASE, 9).await.unwrap().is_empty());
    bench.clock.advance(Duration::from_secs(1));
    let claimed = store.claim(WorkKind::Note, "me", LEASE, 9).await.unwrap();
    assert_eq!((claimed[0].key.key.as_str(), claimed[0].attempts), ("failed", 2));
}

#[tokio::test]
async fn from_sqlite_to_postgres_all_arrives_and_goes_on() {
    moves(Sqlite, Postgres).await;
}

#[tokio::test]
async fn from_postgres_to_sqlite_all_arrives_and_goes_on() {
    moves(Postgres, Sqlite).await;
}

#[tokio::test]
async fn a_backup_of_either_engine_is_restored() {
    moves(Sqlite, Sqlite).await;
    moves(Postgres, Postgres).await;
}

#[tokio::test]
async fn there_and_back_again_every_byte_is_the_same() {
    let bench = Bench::new();
    let mut place = bench.place(Sqlite);
    let store = place.open().await;
    fill(&store, &bench.clock).await;
    store.close().await;
    let (first, rows) = place.export().await;
    for engine in [Postgres, Sqlite, Postgres] {
        let next = bench.place(engine);
        next.import(&first, &rows).await.unwrap();
        let (outline, again) = next.export().await;
        assert_eq!((outline.head, &outline.rows), (first.head, &first.rows));
        assert!(outline.epoch >= first.epoch, "{outline:?}");
        assert_eq!(difference(&rows, &again), None);
        place = next;
    }
    drop(place);
}

#[tokio::test]
async fn an_empty_bot_moves_too() {
    let bench = Bench::new();
    for (from, to) in [(Sqlite, Postgres), (Postgres, Sqlite)] {
        let (old, new) = (bench.place(from), bench.place(to));
        old.open().await.close().await;
        let (outline, rows) = old.export().await;
        new.import(&outline, &rows).await.unwrap();
        let store = new.open().await;
        assert_eq!(store.verify(|_| ()).await.unwrap().events, 0);
        assert_eq!(store.ensure_instance("https://gitlab.example").await.unwrap(), 1);
        store.close().await;
    }
}

#[tokio::test]
async fn beside_a_running_bot_an_export_is_of_one_moment() {
    let bench = Bench::new();
    for engine in [Sqlite, Postgres] {
        let (place, copy) = (bench.place(engine), bench.place(engine));
        let store = place.open().await;
        fill(&store, &bench.clock).await;
        let reader = Store::open_read_only(&place.settings).await.unwrap();
        assert!(reader.is_served().await.unwrap(), "{engine:?}");
        let export = reader.export().await.unwrap();
        appended(&store, append("change-later", Expected::NoStream, vec![event(1)])).await;
        store.delete_secret("hook-1").await.unwrap();
        let (outline, mut rows) = (export.outline().clone(), Vec::new());
        let all = export.rows(|record| {
            rows.push(serde_json::to_string(&record).unwrap());
            Ok::<_, aldis_store::StoreError>(())
        });
        all.await.unwrap();
        copy.import(&outline, &rows).await.unwrap();
        let (now, _) = lines(&reader).await;
        assert_eq!(now.head.position, outline.head.position + 1);
        store.close().await;
        let gone = async { while reader.is_served().await.unwrap() {} };
        tokio::time::timeout(Duration::from_secs(30), gone).await.unwrap();
        reader.close().await;
    }
}

#[tokio::test]
async fn a_name_that_postgres_cannot_hold_arrives_as_it_would_be_written_there() {
    let bench = Bench::new();
    let (old, new) = (bench.place(Sqlite), bench.place(Postgres));
    let store = old.open().await;
    let named = |name: &str| Person { instance: 1, id: 7, name: name.to_owned(), avatar: None };
    let people = vec![named("A\0da")];
    appended(&store, Append { people, ..Append::new(Meta::default()) }).await;
    store.close().await;
    let (outline, rows) = old.export().await;
    new.import(&outline, &rows).await.unwrap();
    let store = new.open().await;
    assert_eq!(store.person(1, 7).await.unwrap(), Some(named("A\u{fffd}da")));
    store.close().await;
}
