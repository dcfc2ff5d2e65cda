//! A client that stands still, or never comes to an end, stops the others only for seconds.

use std::time::{Duration, Instant};

use aldis_domain::touch::WorkKind;
use aldis_store::{
    Answer, Append, Checkpoint, Expected, LogChunk, Meta, Store, WorkKey, WorkTouch, Writes,
};
use aldis_test_servers::{Valve, postgres};
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::{append, name, settings};

const LEASE: Duration = Duration::from_mins(1);

/// Makes the items due and claims them.
async fn claimed(store: &Store, keys: [&str; 2]) -> [aldis_store::Fence; 2] {
    let key = |name: &str| WorkKey::new(WorkKind::Note, name);
    let touches = keys.iter().map(|name| WorkTouch::now(key(name), 1)).collect();
    store.append(Append { touches, ..Append::new(Meta::from_source("test")) }).await.unwrap();
    let [one, two] = keys.map(key);
    let one = store.claim_key(&one, "me", LEASE).await.unwrap().unwrap();
    let two = store.claim_key(&two, "me", LEASE).await.unwrap().unwrap();
    [one.fence(), two.fence()]
}

/// A stranger in a transaction that began with `statement`, without any timeout.
async fn stranger(url: &str, statement: &str) -> PgConnection {
    let mut stranger = PgConnection::connect(url).await.unwrap();
    for sql in ["BEGIN", statement] {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut stranger).await.unwrap();
    }
    stranger
}

async fn end(mut transaction: PgConnection) {
    sqlx::query("COMMIT").execute(&mut transaction).await.unwrap();
}

/// Waits until a connection of the store is in this state.
async fn until(url: &str, state: &str) {
    let there = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
         AND application_name = 'aldis' AND {state}"
    );
    while postgres().sql(name(url), &there) != "1" {
        tokio::task::yield_now().await;
    }
}

/// Asks until it is appended, as whoever appends does; how long it took.
async fn until_appended(store: &Store, asked: Append) -> Duration {
    let begun = Instant::now();
    let enough = Duration::from_secs(40);
    while let Err(error) = store.append(asked.clone()).await {
        assert!(error.is_retryable() && begun.elapsed() < enough, "{error}");
    }
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_process_that_stands_still_inside_an_append_does_not_stop_the_others() {
    let (dir, url) = (tempfile::tempdir().unwrap(), postgres().database());
    let valve = Valve::before(&url).await;
    let other = Store::open(&settings(&dir, &url)).await.unwrap();
    let frozen = Store::open(&settings(&dir, valve.url())).await.unwrap();
    let [one, two] = claimed(&other, ["a", "b"]).await;
    let at = |key: &str| format!("SELECT 1 FROM work WHERE key = '{key}' FOR UPDATE");
    let (first, second) = (stranger(&url, &at("a")).await, stranger(&url, &at("b")).await);
    let under = |fence, stream| Append { fence: Some(fence), ..append(stream, Expected::NoStream) };
    // Whoever finds that another one was faster appends in a transaction of several round trips.
    let faster = tokio::spawn({
        let (other, asked) = (other.clone(), under(two, "faster"));
        async move { other.append(asked).await }
    });
    until(&url, "wait_event_type = 'Lock' AND query LIKE 'WITH head %'").await;
    let append_of_frozen = tokio::spawn({
        let asked = under(one, "frozen");
        async move { frozen.append(asked).await }
    });
    let behind = "pg_blocking_pids(pid) && (SELECT array_agg(pid) FROM pg_stat_activity \
         WHERE application_name = 'aldis')";
    until(&url, behind).await;
    end(second).await;
    assert!(matches!(faster.await.unwrap().unwrap(), Answer::Appended { .. }));
    until(&url, "wait_event_type = 'Lock' AND query LIKE 'WITH fenced %'").await;

    valve.shut();
    end(first).await;
    until(&url, "state = 'idle in transaction'").await;
    let waited = until_appended(&other, append("other", Expected::NoStream)).await;
    assert!(waited < Duration::from_secs(8), "{waited:?}");
    valve.open();
    let late = append_of_frozen.await.unwrap().unwrap();
    assert!(matches!(late, Answer::Appended { last: 3, .. }), "{late:?}");
    assert_eq!(other.verify(|_| ()).await.unwrap().events, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_does_not_wait_for_ever_for_the_head() {
    let (dir, url) = (tempfile::tempdir().unwrap(), postgres().database());
    let store = Store::open(&settings(&dir, &url)).await.unwrap();
    let holder = stranger(&url, "SELECT 1 FROM log_head FOR UPDATE").await;
    let begun = Instant::now();
    let refused = store.append(append("a", Expected::NoStream)).await.unwrap_err();
    assert!(refused.is_retryable() && refused.to_string().contains("lock timeout"), "{refused}");
    let waited = begun.elapsed();
    assert!(waited < Duration::from_secs(14), "it is tried twice: {waited:?}");
    end(holder).await;
    let answer = store.append(append("a", Expected::NoStream)).await.unwrap();
    assert!(matches!(answer, Answer::Appended { last: 1, .. }), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_append_that_the_server_does_not_end_does_not_stop_the_others() {
    let (dir, url) = (tempfile::tempdir().unwrap(), postgres().database());
    let store = Store::open(&settings(&dir, &url)).await.unwrap();
    let other = Store::open(&settings(&dir, &url)).await.unwrap();
    postgres().sql(
        name(&url),
        "CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS \
           $$ BEGIN PERFORM pg_sleep(120); RETURN NEW; END $$; \
         CREATE TRIGGER sleep BEFORE INSERT ON events FOR EACH ROW \
           WHEN (NEW.stream = 'endless') EXECUTE FUNCTION sleep()",
    );
    let endless =
        tokio::spawn(async move { store.append(append("endless", Expected::NoStream)).await });
    until(&url, "wait_event = 'PgSleep'").await;
    let waited = until_appended(&other, append("other", Expected::NoStream)).await;
    assert!(waited < Duration::from_secs(14), "{waited:?}");
    let refused = endless.await.unwrap().unwrap_err();
    assert!(refused.is_retryable() && refused.to_string().contains("statement timeout"));
    assert_eq!(other.verify(|_| ()).await.unwrap().events, 1);
}

/// Of every write in the database: by which connection, and how long it may take and wait.
const NOTES: &str = "CREATE TABLE notes (pid int, statement text, lock text, idle text); \
     CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
       INSERT INTO notes VALUES (pg_backend_pid(), current_setting('statement_timeout'), \
         current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout')); \
       RETURN NULL; END $$; \
     DO $$ DECLARE of text; BEGIN \
       FOR of IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' \
           AND tablename <> 'notes' LOOP \
         EXECUTE format('CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON %I \
           FOR EACH STATEMENT EXECUTE FUNCTION note()', of); \
       END LOOP; END $$";

#[tokio::test]
async fn every_connection_that_writes_is_limited() {
    let (dir, url) = (tempfile::tempdir().unwrap(), postgres().database());
    let store = Store::open(&settings(&dir, &url)).await.unwrap();
    postgres().sql(name(&url), NOTES);
    store.append(append("change-a", Expected::NoStream)).await.unwrap();
    claimed(&store, ["a", "b"]).await;
    store.ensure_secret("a", &SecretString::from("b")).await.unwrap();
    let at = Checkpoint { version: 1, position: 1, hash: [0; 32] };
    assert!(store.step("runs", None, at, Writes::default()).await.unwrap());
    let chunk = LogChunk { seq: 1, step: 0, bytes: vec![1] };
    store.add_log("run", 1, vec![chunk]).await.unwrap();
    let limits = "SELECT DISTINCT statement, lock, idle FROM notes";
    assert_eq!(postgres().sql(name(&url), limits), "10s|5s|5s");
    let connections = "SELECT count(DISTINCT pid) FROM notes";
    let connections: u32 = postgres().sql(name(&url), connections).parse().unwrap();
    assert!(connections >= 4, "the writer's, and of each pool one: {connections}");
}
