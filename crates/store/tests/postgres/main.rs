//! What only Postgres must do. The rest is in `conformance_postgres.rs`.

#![expect(clippy::unwrap_used, reason = "a test whose surroundings fail has failed")]

mod guess;
mod keys;
mod limits;
mod tampering;

use std::collections::HashSet;
use std::time::Duration;

use aldis_domain::event::Event;
use aldis_domain::event::run::RunReleased;
use aldis_domain::touch::WorkKind;
use aldis_store::{
    Answer, Append, Expected, Meta, NewEvent, Release, Settings, Store, StoreError, WorkKey,
    WorkTouch,
};
use aldis_test_servers::{Postgres, Valve, postgres};
use futures_util::future::join_all;
use secrecy::SecretString;
use sqlx::Connection;
use tempfile::TempDir;
use tokio::time::timeout;

/// A process's view of a database: the key file is the same for all.
fn settings(dir: &TempDir, url: &str) -> Settings {
    Settings { postgres: Some(SecretString::from(url)), ..Settings::in_dir(dir.path()) }
}

fn append(stream: &str, expected: Expected) -> Append {
    let event: Event = RunReleased::default().into();
    Append::new(Meta::from_source("test")).write(stream, expected, vec![NewEvent::new(event)])
}

/// The name of the database in a URL.
fn name(url: &str) -> &str {
    url.rsplit('/').next().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn thirty_two_claimers_in_four_processes_take_each_item_once() {
    let (dir, url) = (tempfile::tempdir().unwrap(), postgres().database());
    let mut stores = Vec::new();
    for _ in 0..4 {
        stores.push(Store::open(&settings(&dir, &url)).await.unwrap());
    }
    let items = 400;
    let touches =
        (0..items).map(|n| WorkTouch::now(WorkKey::new(WorkKind::Note, n.to_string()), 1));
    let asked = Append { touches: touches.collect(), ..Append::new(Meta::from_source("test")) };
    stores[0].append(asked).await.unwrap();
    let claimers: Vec<_> = (0..32)
        .map(|claimer: usize| {
            let store = stores[claimer % stores.len()].clone();
            tokio::spawn(async move {
                let mut taken = Vec::new();
                while store.next_due(WorkKind::Note).await.unwrap() == Some(Duration::ZERO) {
                    let lease = Duration::from_secs(45);
                    taken.extend(store.claim(WorkKind::Note, "me", lease, 3).await.unwrap());
                }
                taken
            })
        })
        .collect();
    let (mut keys, mut epochs, mut count) = (HashSet::new(), HashSet::new(), 0);
    for claimer in claimers {
        for claimed in claimer.await.unwrap() {
            count += 1;
            keys.insert(claimed.key.key);
            epochs.insert(claimed.epoch);
        }
    }
    assert_eq!((count, keys.len(), epochs.len()), (items, items, items));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn appends_of_many_processes_leave_no_gap_when_connections_are_killed() {
    let (dir, url) = (tempfile::tempdir().unwrap(), postgres().database());
    let settings = settings(&dir, &url);
    let mut writers = Vec::new();
    for process in 0..4 {
        let store = Store::open(&settings).await.unwrap();
        for task in 0..4 {
            let store = store.clone();
            writers.push(tokio::spawn(async move {
                let mut written = 0;
                for number in 0..25 {
                    let stream = format!("change-{process}-{task}-{number}");
                    let asked = append(&stream, Expected::NoStream);
                    // The caller's part: the same ids again.
                    while let Err(error) = store.append(asked.clone()).await {
                        assert!(error.is_retryable(), "{error}");
                    }
                    written += 1;
                }
                written
            }));
        }
    }
    let killed = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'aldis'";
    let mut kills = 0;
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        let (server, database) = (postgres(), name(&url).to_owned());
        let some =
            tokio::task::spawn_blocking(move || server.sql(&database, killed)).await.unwrap();
        kills += some.parse::<u32>().unwrap();
    }
    let mut written = 0;
    for writer in writers {
        written += writer.await.unwrap();
    }
    assert!(kills > 0, "nothing was killed");
    let store = Store::open(&settings).await.unwrap();
    let verified = store.verify(|_| ()).await.unwrap();
    assert_eq!(verified.events, written);
}

#[tokio::test]
async fn an_append_whose_answer_was_lost_is_seen_the_second_time() {
    let (dir, url) = (tempfile::tempdir().unwrap(), postgres().database());
    let store = Store::open(&settings(&dir, &url)).await.unwrap();
    let asked = append("change-a", Expected::NoStream);
    assert!(matches!(store.append(asked.clone()).await.unwrap(), Answer::Appended { .. }));
    assert_eq!(store.append(asked).await.unwrap(), Answer::Seen);
    let conflict = store.append(append("change-a", Expected::NoStream)).await.unwrap();
    assert!(matches!(conflict, Answer::Conflict { actual: Some(1), .. }), "{conflict:?}");
}

#[tokio::test]
async fn a_role_without_the_right_to_change_events_is_enough() {
    let (dir, url) = (tempfile::tempdir().unwrap(), postgres().database());
    Store::open(&settings(&dir, &url)).await.unwrap().close().await;
    let database = name(&url);
    postgres().sql(
        database,
        &format!(
            "CREATE ROLE app_{database} LOGIN PASSWORD 'app'; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app_{database}; \
             REVOKE UPDATE, DELETE ON events FROM app_{database}; \
             GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO app_{database}"
        ),
    );
    let url = postgres().url(&format!("app_{database}"), "app", database);
    let store = Store::open(&settings(&dir, &url)).await.unwrap();
    store.append(append("run-a", Expected::NoStream)).await.unwrap();
    let claimed = store.claim(WorkKind::Run, "me", Duration::from_secs(45), 1).await.unwrap();
    assert_eq!(claimed.len(), 1);
    // A trigger refuses changes as well, so that a refused statement would show nothing.
    let rights = format!(
        "SELECT string_agg(name, ' ' ORDER BY name) FROM pg_roles, \
         unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS name \
         WHERE rolname = 'app_{database}' AND NOT rolsuper \
         AND has_table_privilege(rolname, 'events', name)"
    );
    assert_eq!(postgres().sql(database, &rights), "INSERT SELECT");
}

#[tokio::test]
async fn nobody_changes_what_happened() {
    let (dir, url) = (tempfile::tempdir().unwrap(), postgres().database());
    let store = Store::open(&settings(&dir, &url)).await.unwrap();
    store.append(append("change-a", Expected::NoStream)).await.unwrap();
    for change in ["UPDATE events SET body = '{}'", "DELETE FROM events", "TRUNCATE events"] {
        let refused = std::panic::catch_unwind(|| postgres().sql(name(&url), change));
        assert!(refused.is_err(), "{change}");
    }
}

#[tokio::test]
async fn processes_that_start_together_migrate_once() {
    let (dir, url) = (tempfile::tempdir().unwrap(), postgres().database());
    let settings = settings(&dir, &url);
    for opened in join_all((0..6).map(|_| Store::open(&settings))).await {
        opened.unwrap();
    }
}

#[tokio::test]
async fn a_claim_that_went_with_the_servers_power_does_not_fit_a_later_one() {
    let (dir, url) = (tempfile::tempdir().unwrap(), postgres().database());
    let store = Store::open(&settings(&dir, &url)).await.unwrap();
    let key = WorkKey::new(WorkKind::Note, "a");
    let touches = vec![WorkTouch::now(key.clone(), 1)];
    let touch = Append { touches, ..Append::new(Meta::from_source("test")) };
    store.append(touch).await.unwrap();
    let lease = Duration::from_secs(45);
    let old = store.claim_key(&key, "me", lease).await.unwrap().unwrap();
    for lost in [
        "ALTER SEQUENCE lease_epochs RESTART",
        "UPDATE work SET due_at = 0, lease_epoch = 0, lease_owner = NULL, lease_until = NULL",
    ] {
        postgres().sql(name(&url), lost);
    }
    let late = || Append { fence: Some(old.fence()), ..append("note-a", Expected::NoStream) };
    assert_eq!(store.append(late()).await.unwrap(), Answer::FencedOff);
    let new = store.claim_key(&key, "you", lease).await.unwrap().unwrap();
    assert_ne!(new.epoch, old.epoch);
    assert_eq!(store.append(late()).await.unwrap(), Answer::FencedOff);
}

#[tokio::test]
async fn an_older_database_keeps_all_it_holds() {
    let (dir, url) = (tempfile::tempdir().unwrap(), postgres().database());
    let store = Store::open(&settings(&dir, &url)).await.unwrap();
    let stream = |n: usize| format!("change-{n}");
    let filling = (0..2_000).map(|n| store.append(append(&stream(n), Expected::NoStream)));
    for answer in join_all(filling).await {
        assert!(matches!(answer.unwrap(), Answer::Appended { .. }));
    }
    let body = NewEvent::new(Event::from(RunReleased::default())).with_payload(vec![1, 2]);
    let key = WorkKey::new(WorkKind::Note, "a");
    let last = Append {
        touches: vec![WorkTouch::now(key.clone(), 1)],
        ..Append::new(Meta::from_source("test")).write("last", Expected::NoStream, vec![body])
    };
    store.append(last).await.unwrap();
    let before = store.head().await.unwrap();
    store.close().await;
    for older in ["DELETE FROM _sqlx_migrations WHERE version > 4", "DROP TABLE runners"] {
        postgres().sql(name(&url), older);
    }
    let refused = Store::open_read_only(&settings(&dir, &url)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Older), "{refused}");

    let store = Store::open(&settings(&dir, &url)).await.unwrap();
    assert_eq!(store.head().await.unwrap(), before);
    assert_eq!(store.verify(|_| ()).await.unwrap().events, 2_001);
    assert_eq!(store.payload(2_001).await.unwrap(), Some(vec![1, 2]));
    let lease = Duration::from_secs(45);
    assert!(store.claim_key(&key, "me", lease).await.unwrap().is_some());
    assert!(store.runners().await.unwrap().is_empty());
    let more = append(&stream(0), Expected::Version(1));
    assert!(matches!(store.append(more).await.unwrap(), Answer::Appended { .. }));
}

#[tokio::test]
async fn a_client_that_hangs_in_a_transaction_does_not_stop_the_world() {
    let (dir, url) = (tempfile::tempdir().unwrap(), postgres().database());
    let store = Store::open(&settings(&dir, &url)).await.unwrap();
    let mut options = "BEGIN; SELECT * FROM log_head FOR UPDATE; SELECT pg_sleep(60)".to_owned();
    options.insert_str(0, "SET statement_timeout = '1s'; ");
    let (server, database) = (postgres(), name(&url).to_owned());
    let hanging = tokio::task::spawn_blocking(move || {
        std::panic::catch_unwind(|| server.sql(&database, &options)).is_err()
    });
    let answer = store.append(append("change-a", Expected::NoStream)).await.unwrap();
    assert!(matches!(answer, Answer::Appended { .. }));
    assert!(hanging.await.unwrap(), "its statement was not ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_in_a_black_hole_is_away_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let valve = Valve::before(&postgres().database()).await;
    let store = Store::open(&settings(&dir, valve.url())).await.unwrap();
    store.append(append("run-a", Expected::NoStream)).await.unwrap();
    valve.shut();
    let lease = Duration::from_secs(45);
    let (claimed, appended) = tokio::join!(
        store.claim(WorkKind::Run, "me", lease, 1),
        store.append(append("run-b", Expected::NoStream))
    );
    assert!(claimed.unwrap_err().is_retryable());
    assert!(appended.unwrap_err().is_retryable());
    valve.open();
    let again = async {
        while store.append(append("run-c", Expected::Any)).await.is_err() {}
        while store.head().await.is_err() {}
    };
    timeout(Duration::from_mins(1), again).await.unwrap();
}

#[tokio::test]
async fn an_append_that_nobody_waits_for_when_its_turn_comes_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let valve = Valve::before(&postgres().database()).await;
    let store = Store::open(&settings(&dir, valve.url())).await.unwrap();
    store.append(append("run-a", Expected::NoStream)).await.unwrap();
    valve.shut();
    let mut begun = Box::pin(store.append(append("run-b", Expected::NoStream)));
    assert!(timeout(Duration::ZERO, &mut begun).await.is_err(), "handed over");
    // On this only thread the writer comes to its turn, and waits for the server.
    tokio::task::yield_now().await;
    let left = timeout(Duration::ZERO, store.append(append("run-c", Expected::NoStream))).await;
    assert!(left.is_err(), "handed over, and left");
    valve.open();
    assert!(matches!(begun.await.unwrap(), Answer::Appended { .. }));
    store.append(append("run-d", Expected::NoStream)).await.unwrap();
    let log = store.read(0, 10).await.unwrap();
    assert_eq!(
        log.iter().map(|e| e.stream.as_str()).collect::<Vec<_>>(),
        ["run-a", "run-b", "run-d"]
    );
}

#[tokio::test]
async fn what_cannot_work_is_said_in_words_that_help() {
    let dir = tempfile::tempdir().unwrap();
    let url = postgres().database();
    let said = async |url: String| match Store::open(&settings(&dir, &url)).await {
        Err(error) => (error.is_retryable(), error.to_string()),
        Ok(_) => panic!("opened {url}"),
    };
    let (retry, text) = said(url.replace("throw%3Aaway%2F1", "wrong-secret")).await;
    assert!(!retry && text.contains("password authentication failed"), "{text}");
    assert!(!text.contains("wrong-secret"), "{text}");
    let (retry, text) = said(format!("{url}_none")).await;
    assert!(!retry && text.contains("does not exist"), "{text}");
    let (retry, text) = said("postgres://u:secret@127.0.0.1:1/none".to_owned()).await;
    assert!(retry && !text.contains("secret"), "{text}");
    let (retry, text) = said("mysql://u:secret@127.0.0.1/none".to_owned()).await;
    assert!(!retry && text.contains("postgres://") && !text.contains("secret"), "{text}");
}

#[tokio::test]
async fn a_store_opened_for_reading_writes_nothing() {
    let (dir, url) = (tempfile::tempdir().unwrap(), postgres().database());
    let settings = settings(&dir, &url);
    assert!(matches!(Store::open_read_only(&settings).await, Err(StoreError::Older)));
    let store = Store::open(&settings).await.unwrap();
    store.append(append("change-a", Expected::NoStream)).await.unwrap();
    let reader = Store::open_read_only(&settings).await.unwrap();
    assert_eq!(reader.load("change-a").await.unwrap().len(), 1);
    let refused = reader.append(append("change-a", Expected::Any)).await;
    assert!(matches!(refused, Err(StoreError::Closed)), "{refused:?}");
    let refused = reader.claim(WorkKind::Run, "me", Duration::from_secs(1), 1).await;
    assert!(matches!(refused, Err(StoreError::Closed)), "{refused:?}");
}

#[tokio::test]
async fn over_tls_somebody_must_vouch_for_the_server() {
    let server = tokio::task::spawn_blocking(Postgres::with_tls).await.unwrap();
    let (dir, url) = (tempfile::tempdir().unwrap(), server.database());
    let vouched = format!("{url}?sslmode=verify-full&sslrootcert={}", server.authority().display());
    let plain = "SELECT count(*) FILTER (WHERE NOT ssl), count(*) > 0 FROM pg_stat_ssl \
         JOIN pg_stat_activity USING (pid) WHERE datname LIKE 'test\\_%'";
    for url in [&vouched, &url] {
        let store = Store::open(&settings(&dir, url)).await.unwrap();
        store.append(append("a", Expected::Any)).await.unwrap();
        assert_eq!(server.sql("postgres", plain), "0|t", "also if nobody asked for it");
        store.close().await;
    }

    let unknown = Store::open(&settings(&dir, &format!("{url}?sslmode=verify-full"))).await;
    let why = unknown.map(drop).unwrap_err();
    assert!(why.to_string().contains("certificate"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_touch_that_a_release_waits_for_is_not_lost() {
    let (dir, url) = (tempfile::tempdir().unwrap(), postgres().database());
    let store = Store::open(&settings(&dir, &url)).await.unwrap();
    let touch = WorkTouch::now(WorkKey::new(WorkKind::Note, "a"), 1);
    let asked = Append { touches: vec![touch], ..Append::new(Meta::from_source("test")) };
    store.append(asked).await.unwrap();
    let lease = Duration::from_secs(45);
    let held = store.claim(WorkKind::Note, "me", lease, 1).await.unwrap().remove(0);

    let mut other = sqlx::PgConnection::connect(&url).await.unwrap();
    for touching in ["BEGIN", "UPDATE work SET revision = revision + 1, due_at = 0"] {
        sqlx::query(touching).execute(&mut other).await.unwrap();
    }
    let mut bells = store.bells();
    bells.mark_unchanged();
    let release = tokio::spawn({
        let store = store.clone();
        async move { store.release(&held, Release::Done).await }
    });
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
         AND datname = current_database()";
    while postgres().sql(name(&url), waiting) != "1" {
        tokio::task::yield_now().await;
    }
    sqlx::query("COMMIT").execute(&mut other).await.unwrap();
    release.await.unwrap().unwrap();
    assert!(bells.has_changed().unwrap(), "whoever touched it was told in vain");
    assert_eq!(store.claim(WorkKind::Note, "me", lease, 1).await.unwrap().len(), 1);
}
