//! What only the embedded engine has: files, a lock, a key file, and rows that can be tampered with.

#![expect(clippy::unwrap_used, reason = "a test whose surroundings fail has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use aldis_domain::event::Event;
use aldis_domain::event::delivery::DeliveryQuarantined;
use aldis_domain::event::run::RunReleased;
use aldis_domain::touch::WorkKind;
use aldis_store::{
    Answer, Append, Breach, Checkpoint, Expected, Meta, NewEvent, Settings, Store, StoreError,
    WorkKey, WorkTouch, Writes,
};
use secrecy::{ExposeSecret, SecretString};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tempfile::TempDir;

async fn fill(store: &Store, streams: usize) {
    for n in 0..streams {
        let event = NewEvent::new(Event::from(RunReleased::default()));
        let append = Append::new(Meta::from_source("test"));
        let append = append.write(&format!("change-{n}"), Expected::NoStream, vec![event]);
        store.append(append).await.unwrap();
    }
}

async fn raw(dir: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(dir.join("aldis.db")).connect().await.unwrap()
}

/// A closed store with seven events, changed by `sql`; then what `verify` says.
async fn breach(sql: &str) -> Breach {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&Settings::in_dir(dir.path())).await.unwrap();
    fill(&store, 7).await;
    assert_eq!(store.verify(|_| ()).await.unwrap().events, 7);
    store.close().await;
    let mut db = raw(dir.path()).await;
    let done = sqlx::query(AssertSqlSafe(sql)).execute(&mut db).await.unwrap();
    assert_eq!(done.rows_affected(), 1, "{sql}");
    db.close().await.unwrap();
    let store = Store::open(&Settings::in_dir(dir.path())).await.unwrap();
    match store.verify(|_| ()).await {
        Err(StoreError::Broken(breach)) => breach,
        other => panic!("{sql}: {other:?}"),
    }
}

#[tokio::test]
async fn a_change_of_any_column_is_found_where_it_is() {
    let changes = [
        "event_id = zeroblob(16)",
        "stream = 'change-x'",
        "version = 2",
        "type = 'head_moved'",
        "schema_version = 2",
        "body = '{ }'",
        "meta = '{\"source\":\"tesu\"}'",
        "recorded_at = recorded_at + 1",
        "prev_hash = unhex('01' || substr(hex(prev_hash), 3))",
        "hash = zeroblob(32)",
    ];
    for change in changes {
        for position in [1, 4, 7] {
            let change = format!("UPDATE events SET {change} WHERE position = {position}");
            assert_eq!(breach(&change).await, Breach::Changed { position }, "{change}");
        }
    }
}

#[tokio::test]
async fn events_that_go_or_move_are_found() {
    for position in [1, 4, 7] {
        for gone in ["DELETE FROM events", "UPDATE events SET position = 40"] {
            let gone = format!("{gone} WHERE position = {position}");
            assert_eq!(breach(&gone).await, Breach::Missing { position }, "{gone}");
        }
    }
    let short = breach("UPDATE events SET hash = zeroblob(3) WHERE position = 4").await;
    assert!(matches!(short, Breach::Unreadable { position: 4, .. }), "{short:?}");
}

#[tokio::test]
async fn head_and_versions_must_fit_the_events() {
    let head = breach("UPDATE log_head SET position = 6").await;
    assert_eq!(head, Breach::Head { position: 6 });
    let head = breach("UPDATE log_head SET hash = zeroblob(32)").await;
    assert_eq!(head, Breach::Head { position: 7 });
}

/// The chain is whole again after this forgery: only the versions tell.
#[tokio::test]
async fn a_version_that_is_left_out_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&Settings::in_dir(dir.path())).await.unwrap();
    fill(&store, 7).await;
    let mut last = store.read(6, 1).await.unwrap().remove(0);
    store.close().await;
    last.version = 9;
    let hash = last.computed_hash().to_vec();
    let mut db = raw(dir.path()).await;
    for forged in [
        "UPDATE events SET version = 9, hash = $1 WHERE position = 7",
        "UPDATE log_head SET hash = $1",
    ] {
        sqlx::query(forged).bind(hash.clone()).execute(&mut db).await.unwrap();
    }
    db.close().await.unwrap();
    let store = Store::open(&Settings::in_dir(dir.path())).await.unwrap();
    let found = store.verify(|_| ()).await.unwrap_err();
    let StoreError::Broken(found) = found else { panic!("{found:?}") };
    assert_eq!(found, Breach::Stream { stream: "change-6".to_owned(), version: 9 });
}

#[tokio::test]
async fn a_second_process_is_kept_out_but_may_read() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings::in_dir(dir.path());
    let store = Store::open(&settings).await.unwrap();
    fill(&store, 3).await;
    let refused = Store::open(&settings).await.unwrap_err();
    let told = refused.to_string().replace(&*dir.path().to_string_lossy(), "DIR");
    insta::assert_snapshot!(told, @"another aldis process uses DIR: stop it, or choose another ALDIS_DATA_DIR");

    let reader = Store::open_read_only(&settings).await.unwrap();
    assert_eq!(reader.verify(|_| ()).await.unwrap().events, 3);
    let refused = reader.append(Append::new(Meta::default())).await.unwrap_err();
    assert!(matches!(refused, StoreError::Closed));
    store.close().await;
    let reader = Store::open_read_only(&settings).await.unwrap();
    assert_eq!(reader.read(0, 9).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("aldis.db");
    fs::write(&path, "just some text, long enough to be looked at ".repeat(100)).unwrap();
    let refused = Store::open(&Settings::in_dir(dir.path())).await.unwrap_err();
    assert!(matches!(&refused, StoreError::NotADatabase { .. }), "{refused:?}");
    assert!(!refused.is_retryable());
    assert!(fs::read_to_string(&path).unwrap().starts_with("just some text"));
}

#[tokio::test]
async fn a_newer_database_is_refused_and_an_older_one_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings::in_dir(dir.path());
    Store::open(&settings).await.unwrap().close().await;
    let mut db = raw(dir.path()).await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
                 execution_time) VALUES (9999, 'later', 1, x'00', 0)";
    sqlx::query(newer).execute(&mut db).await.unwrap();
    for refused in [Store::open(&settings).await, Store::open_read_only(&settings).await] {
        assert!(matches!(refused.unwrap_err(), StoreError::Newer(9999)));
    }
    let older = "DELETE FROM _sqlx_migrations WHERE version > 1";
    sqlx::query(older).execute(&mut db).await.unwrap();
    let refused = Store::open_read_only(&settings).await.unwrap_err();
    assert!(matches!(refused, StoreError::Older));
}

/// Bodies were once kept under their digests, and lists among the documents.
#[tokio::test]
async fn an_older_database_keeps_its_bodies_and_forgets_its_documents() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings::in_dir(dir.path());
    let store = Store::open(&settings).await.unwrap();
    fill(&store, 1).await;
    for key in ["a", "b"] {
        let received: DeliveryQuarantined = serde_json::from_value(serde_json::json!({
            "hook": "shared", "event": "Push Hook", "verified": "token", "bytes": 2,
            "payload": "ab".repeat(32), "problem": "none",
        }))
        .unwrap();
        let append = Append::new(Meta::from_source("test"));
        let name = format!("delivery-shared-{key}");
        let event = NewEvent::new(Event::from(received));
        store.append(append.write(&name, Expected::NoStream, vec![event])).await.unwrap();
    }
    let at = Checkpoint { version: 1, position: 3, hash: [0; 32] };
    assert!(store.step("runs", None, at, Writes::default()).await.unwrap());
    store.close().await;
    let mut db = raw(dir.path()).await;
    for older in [
        "DELETE FROM _sqlx_migrations WHERE version > 5",
        "DROP TABLE runners",
        "DROP TABLE entries",
        "DROP TABLE payloads",
        "CREATE TABLE payloads (sha256 BLOB PRIMARY KEY, bytes BLOB, received_at INTEGER) STRICT",
        "INSERT INTO payloads VALUES (unhex(replace(hex(zeroblob(32)), '00', 'ab')), x'0102', 7)",
    ] {
        sqlx::query(older).execute(&mut db).await.unwrap();
    }
    db.close().await.unwrap();

    let store = Store::open(&settings).await.unwrap();
    assert_eq!(store.payload(1).await.unwrap(), None);
    for position in [2, 3] {
        assert_eq!(store.payload(position).await.unwrap(), Some(vec![1, 2]), "{position}");
    }
    assert_eq!(store.checkpoint("runs").await.unwrap(), None);
    assert!(store.entries("runs", "all", None, 9).await.unwrap().is_empty());
    assert_eq!(store.verify(|_| ()).await.unwrap().events, 3);
}

fn files_hold(dir: &TempDir, text: &str) -> bool {
    let paths = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let all: Vec<u8> = paths.flat_map(|path| fs::read(path).unwrap()).collect();
    all.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn no_file_holds_a_secret_in_the_clear() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&Settings::in_dir(dir.path())).await.unwrap();
    let secret = SecretString::from("glpat-0123456789abcdef");
    store.ensure_secret("a-recognisable-name", &secret).await.unwrap();
    assert!(files_hold(&dir, "a-recognisable-name"));
    assert!(!files_hold(&dir, secret.expose_secret()));
    store.close().await;
    assert!(!files_hold(&dir, secret.expose_secret()));
    let mode = fs::metadata(dir.path().join("secret.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_sealed_value_opens_only_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&Settings::in_dir(dir.path())).await.unwrap();
    for name in ["a", "b"] {
        store.ensure_secret(name, &SecretString::from(name)).await.unwrap();
    }
    let mut db = raw(dir.path()).await;
    let swap = "UPDATE secrets SET (data_key, value) = \
                (SELECT data_key, value FROM secrets WHERE name = 'b') WHERE name = 'a'";
    sqlx::query(swap).execute(&mut db).await.unwrap();
    let refused = store.secret("a").await.unwrap_err();
    insta::assert_snapshot!(refused, @"secret `a` cannot be opened: the database row was changed");
    assert_eq!(store.secret("b").await.unwrap().unwrap().expose_secret(), "b");
}

#[tokio::test]
async fn a_restart_makes_leases_void_and_blames_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings::in_dir(dir.path());
    let lease = Duration::from_secs(45);
    let key = WorkKey::new(WorkKind::Note, "a");
    let store = Store::open(&settings).await.unwrap();
    let touches = vec![WorkTouch::now(key.clone(), 1)];
    let touch = Append { touches, ..Append::new(Meta::from_source("test")) };
    store.append(touch).await.unwrap();
    let old = store.claim_key(&key, "me", lease).await.unwrap().unwrap();
    store.close().await;
    let store = Store::open(&settings).await.unwrap();
    let fenced = Append { fence: Some(old.fence()), ..Append::new(Meta::from_source("test")) };
    assert_eq!(store.append(fenced).await.unwrap(), Answer::FencedOff);
    assert!(!store.extend(&old.fence(), lease).await.unwrap());
    let new = store.claim_key(&key, "me", lease).await.unwrap().unwrap();
    assert_eq!((new.took_over, new.attempts), (None, 0));
    assert!(new.epoch > old.epoch);
}

async fn refusal(settings: &Settings) -> String {
    let refused = Store::open(settings).await.unwrap_err();
    refused.to_string().replace(&*settings.dir.to_string_lossy(), "DIR")
}

#[tokio::test]
async fn a_key_file_must_be_there_private_and_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("master");
    let settings = Settings { key_file: Some(path.clone()), ..Settings::in_dir(dir.path()) };
    insta::assert_snapshot!(refusal(&settings).await, @"cannot use DIR/master: No such file or directory (os error 2)");
    fs::write(&path, "c2hvcnQ=").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    insta::assert_snapshot!(refusal(&settings).await, @"cannot use DIR/master: others may read this key file (mode 640): chmod 600");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    insta::assert_snapshot!(refusal(&settings).await, @"cannot use DIR/master: this is no key file: it must hold 32 bytes in base 64");
}

#[tokio::test]
async fn a_lost_master_key_is_not_replaced_while_secrets_need_it() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings::in_dir(dir.path());
    let store = Store::open(&settings).await.unwrap();
    store.ensure_secret("a", &SecretString::from("x")).await.unwrap();
    store.close().await;
    fs::remove_file(dir.path().join("secret.key")).unwrap();
    insta::assert_snapshot!(refusal(&settings).await, @"cannot use DIR/secret.key: the master key is not there, and what is sealed needs it: put it back, or name its file by ALDIS_SECRET_KEY_FILE");

    fs::write(dir.path().join("secret.key"), format!("{}=", "A".repeat(43))).unwrap();
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(dir.path().join("secret.key"), private).unwrap();
    let store = Store::open(&settings).await.unwrap();
    let refused = store.secret("a").await.unwrap_err();
    assert!(matches!(refused, StoreError::Sealed { .. }), "{refused:?}");
}

#[tokio::test]
async fn the_database_is_its_owners_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&Settings::in_dir(dir.path())).await.unwrap();
    fill(&store, 1).await;
    for file in fs::read_dir(dir.path()).unwrap().map(Result::unwrap) {
        let name = file.file_name().into_string().unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert!(!name.starts_with("aldis.db") || mode == 0o600, "{name} has mode {mode:o}");
    }
    store.close().await;
}
