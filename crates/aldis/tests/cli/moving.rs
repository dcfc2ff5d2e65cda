//! `aldis export` and `aldis import`

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use aldis_domain::event::change::ProjectObserved;
use aldis_domain::id::ProjectKey;
use aldis_store::{Append, Expected, Meta, NewEvent, Settings, Store};
use aldis_test_servers::postgres;
use insta::assert_snapshot;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{Said, aldis};

/// A bot in `dir/old` that holds five events and a secret.
async fn bot(dir: &Path) -> Store {
    let store = Store::open(&Settings::in_dir(dir.join("old"))).await.unwrap();
    for id in 1..=5 {
        let event = NewEvent::new(ProjectObserved {
            project: ProjectKey { instance: 1, id },
            path: format!("group/project-{id}"),
            default_branch: None,
            configured: true,
            aggregate: None,
        });
        let append = Append::new(Meta::from_source("test"));
        let event = event.with_payload(vec![7; 100]);
        let append = append.write(&format!("project-1.{id}"), Expected::NoStream, vec![event]);
        store.append(append).await.unwrap();
    }
    store.ensure_secret("page", &SecretString::from("s3cret")).await.unwrap();
    store
}

async fn stopped_bot() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    bot(dir.path()).await.close().await;
    dir
}

/// Runs a command on the database in `dir/place`, with the old bot's key.
fn on(dir: &Path, place: &str, args: &[&str]) -> Said {
    let (place, key) = (dir.join(place), key(dir));
    let variables = [
        ("ALDIS_DATA_DIR", place.to_str().unwrap()),
        ("ALDIS_SECRET_KEY_FILE", key.to_str().unwrap()),
    ];
    aldis(dir, args, &variables)
}

fn key(dir: &Path) -> PathBuf {
    dir.join("old/secret.key")
}

/// The rows of an export: all but what it says of itself.
fn rows(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    text.lines().filter(|line| line.starts_with('[')).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_bot_moves_to_postgres_and_back() {
    let dir = stopped_bot().await;
    let (dir, url) = (dir.path(), postgres().database());
    let store = Store::open_read_only(&Settings::in_dir(dir.join("old"))).await.unwrap();
    let hash: String =
        store.head().await.unwrap().hash.iter().map(|byte| format!("{byte:02x}")).collect();
    store.close().await;
    let ends = format!("5 events, head at position 5, hash {hash}");
    let said = on(dir, "old", &["export", "bot"]);
    assert_eq!(said.all(), format!("exported: {ends}\nexit 0"));
    let mode = fs::metadata(dir.join("bot")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let key = key(dir);
    let variables = [
        ("ALDIS_DATABASE_URL", url.as_str()),
        ("ALDIS_DATA_DIR", "elsewhere"),
        ("ALDIS_SECRET_KEY_FILE", key.to_str().unwrap()),
    ];
    let said = aldis(dir, &["import", "bot"], &variables);
    assert_eq!(said.all(), format!("imported and checked: {ends}\nexit 0"));
    let said = aldis(dir, &["export", "--json", "again"], &variables);
    let counts = json!({
        "secrets": 1, "instances": 0, "runners": 0, "people": 0, "events": 5, "payloads": 5, "work": 0,
        "log_chunks": 0, "api_calls": 0,
    });
    let told = json!({ "position": 5, "hash": hash, "rows": counts });
    assert_eq!((said.json(), said.err.as_str()), (told.clone(), ""));
    assert_eq!(rows(&dir.join("again")), rows(&dir.join("bot")));
    assert_eq!(on(dir, "new", &["import", "--json", "again"]).json(), told);
    let settings = Settings { key_file: Some(key), ..Settings::in_dir(dir.join("new")) };
    let store = Store::open(&settings).await.unwrap();
    assert_eq!(store.secret("page").await.unwrap().unwrap().expose_secret(), "s3cret");
    store.close().await;
}

#[tokio::test]
async fn a_bot_moves_through_a_pipe() {
    let dir = stopped_bot().await;
    let script = "ALDIS_DATA_DIR=old \"$ALDIS\" export - | \
                  ALDIS_DATA_DIR=new ALDIS_SECRET_KEY_FILE=old/secret.key \"$ALDIS\" import -";
    let mut piped = Command::new("sh");
    piped.args(["-c", script]).env("ALDIS", env!("CARGO_BIN_EXE_aldis")).env("ALDIS_LOG", "warn");
    let output = piped.current_dir(dir.path()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("imported and checked: 5 events"), "{said}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("exported: 5 events"), "{said}");
    assert_eq!(on(dir.path(), "new", &["export", "again"]).code, 0);
    assert_eq!(on(dir.path(), "old", &["export", "bot"]).code, 0);
    assert_eq!(rows(&dir.path().join("again")), rows(&dir.path().join("bot")));
}

#[tokio::test]
async fn a_file_that_is_not_whole_leaves_the_database_empty() {
    let dir = stopped_bot().await;
    let dir = dir.path();
    assert_eq!(on(dir, "old", &["export", "bot"]).code, 0);
    let whole = fs::read_to_string(dir.join("bot")).unwrap();
    let refused = |text: &str| {
        fs::write(dir.join("odd"), text).unwrap();
        let said = on(dir, "new", &["import", "odd"]);
        assert_eq!(said.code, 1, "{said:?}");
        let empty = on(dir, "new", &["log", "verify"]);
        assert_eq!(empty.all(), "ok: the log is empty\nexit 0");
        said.err
    };
    let end = whole.trim_end().rfind('\n').unwrap() + 1;
    assert_snapshot!(refused(&whole[..end]), @"aldis: cannot import odd: it is torn: it ends in the middle");
    assert_snapshot!(refused(&whole.replace("project-4", "project-9")), @"aldis: cannot import odd: it was changed since it was written: its SHA-256 is another one");
    let said = on(dir, "new", &["import", "bot"]);
    assert_eq!(said.code, 0, "{said:?}");
}

#[tokio::test]
async fn what_stands_in_the_way_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let store = bot(dir.path()).await;
    let dir = dir.path();
    let said = on(dir, "old", &["export", "bot"]);
    assert_eq!(said.code, 0);
    assert_snapshot!(said.err, @"aldis: a server is at work on this database, and what it does from now on will not be in the export; to move the bot, stop it first");
    let said = on(dir, "old", &["import", "bot"]).all();
    assert_snapshot!(said.replace(dir.to_str().unwrap(), "DIR"), @"
    aldis: cannot import bot: another aldis process uses DIR/old: stop it, or choose another ALDIS_DATA_DIR
    exit 1
    ");
    store.close().await;
    let before = fs::read(dir.join("bot")).unwrap();
    assert_snapshot!(on(dir, "old", &["export", "bot"]).all(), @"
    aldis: cannot write bot: it is there already; choose another name
    exit 1
    ");
    assert_eq!(fs::read(dir.join("bot")).unwrap(), before);
    assert_snapshot!(on(dir, "old", &["import", "bot"]).all(), @"
    aldis: cannot import bot: the database is not empty, it has rows in `secrets`: import into a new one
    exit 1
    ");
    for (command, why) in [
        (["export", "none/bot"], "aldis: cannot write none/bot: No such file or directory"),
        (["import", "none"], "aldis: cannot import none: No such file or directory"),
    ] {
        let said = on(dir, "old", &command);
        assert!(said.code == 1 && said.err.starts_with(why), "{said:?}");
    }
    let without_key = aldis(dir, &["import", "bot"], &[("ALDIS_DATA_DIR", "new")]);
    assert_snapshot!(without_key.all(), @"
    aldis: cannot import bot: cannot use new/secret.key: the master key is not there, and what is sealed needs it: put it back, or name its file by ALDIS_SECRET_KEY_FILE
    exit 1
    ");
    let left: Vec<_> = fs::read_dir(dir).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| ["old", "new", "bot"].iter().any(|it| name == it)), "{left:?}");
    assert!(!dir.join("new/secret.key").exists());
}
