//! `aldis log verify` and `aldis projections rebuild`

use std::fs;
use std::path::Path;

use aldis_domain::event::change::ProjectObserved;
use aldis_domain::id::ProjectKey;
use aldis_store::{Answer, Append, Expected, Meta, NewEvent, Settings, Store};
use aldis_test_servers::postgres;
use insta::assert_snapshot;
use serde_json::json;

use crate::support::{Said, aldis};

/// A store whose log tells the names of this many projects.
async fn filled(dir: &Path, projects: u64) -> Store {
    filled_at(&Settings::in_dir(dir), projects).await
}

async fn filled_at(settings: &Settings, projects: u64) -> Store {
    let store = Store::open(settings).await.unwrap();
    for id in 1..=projects {
        let event = ProjectObserved {
            project: ProjectKey { instance: 1, id },
            path: format!("group/project-{id}"),
            default_branch: None,
            configured: true,
            aggregate: None,
        };
        let append = Append::new(Meta::from_source("test")).write(
            &format!("project-1.{id}"),
            Expected::NoStream,
            vec![NewEvent::new(event)],
        );
        let answer = store.append(append).await.unwrap();
        assert!(matches!(answer, Answer::Appended { .. }), "{answer:?}");
    }
    store
}

fn verify(dir: &Path, args: &[&str]) -> Said {
    let place = dir.to_str().unwrap();
    aldis(dir, &[&["log", "verify"], args].concat(), &[("ALDIS_DATA_DIR", place)])
}

fn rebuild(dir: &Path, args: &[&str]) -> Said {
    let place = dir.to_str().unwrap();
    aldis(dir, &[&["projections", "rebuild"], args].concat(), &[("ALDIS_DATA_DIR", place)])
}

/// Changes one byte of the closed database where `from` stands, in every copy of it.
fn corrupt(dir: &Path, from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let path = dir.join("aldis.db");
    let mut bytes = fs::read(&path).unwrap();
    let mut changed = 0;
    for start in 0..bytes.len() - from.len() {
        if bytes[start..].starts_with(from.as_bytes()) {
            bytes[start..start + to.len()].copy_from_slice(to.as_bytes());
            changed += 1;
        }
    }
    assert!(changed > 0, "`{from}` is not in the database");
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_whole_log_is_told_beside_its_writer() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), 5).await;
    let head = store.head().await.unwrap();
    let hash: String = head.hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let said = verify(dir.path(), &[]);
    assert_eq!(said.all(), format!("ok: 5 events, head at position 5, hash {hash}\nexit 0"));
    let expected = json!({ "whole": true, "events": 5, "position": 5, "hash": hash });
    assert_eq!(verify(dir.path(), &["--json"]).json(), expected);
    store.close().await;
}

#[tokio::test]
async fn a_changed_byte_is_found_at_its_event() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 5).await.close().await;
    corrupt(dir.path(), "group/project-4", "group/projekt-4");
    assert_snapshot!(verify(dir.path(), &[]).all(), @"
    BROKEN: the event at position 4 was changed: its hash does not fit its columns
    Restore a backup, and find out who wrote to the database.
    exit 1
    ");
    let said = verify(dir.path(), &["--json"]);
    assert_eq!(
        (said.code, &said.json()["whole"], &said.json()["position"]),
        (1, &json!(false), &json!(4))
    );
}

#[tokio::test]
async fn a_changed_byte_is_found_wherever_it_is() {
    let url = postgres().database();
    let settings =
        |dir: &Path| Settings { postgres: Some(url.as_str().into()), ..Settings::in_dir(dir) };
    let dir = tempfile::tempdir().unwrap();
    filled_at(&settings(dir.path()), 5).await.close().await;
    let database = url.rsplit('/').next().unwrap();
    postgres().sql(database, "ALTER TABLE events DISABLE TRIGGER events_are_final");
    let place = dir.path().to_str().unwrap();
    let verify_postgres = || {
        let variables = [("ALDIS_DATA_DIR", place), ("ALDIS_DATABASE_URL", url.as_str())];
        aldis(dir.path(), &["log", "verify", "--json"], &variables)
    };
    for position in [1, 3, 5] {
        let (right, wrong) =
            (format!("group/project-{position}"), format!("group/projekt-{position}"));
        let sqlite = tempfile::tempdir().unwrap();
        filled(sqlite.path(), 5).await.close().await;
        corrupt(sqlite.path(), &right, &wrong);
        let change = |from: &str, to: &str| {
            let changed = format!("UPDATE events SET body = replace(body, '{from}', '{to}')");
            postgres().sql(database, &changed);
        };
        change(&right, &wrong);
        for said in [verify(sqlite.path(), &["--json"]), verify_postgres()] {
            let found = said.json();
            let found = (said.code, &found["whole"], &found["position"]);
            assert_eq!(found, (1, &json!(false), &json!(position)), "{said:?}");
        }
        change(&wrong, &right);
        let said = verify_postgres();
        assert_eq!((said.code, &said.json()["events"]), (0, &json!(5)), "{said:?}");
    }
}

#[tokio::test]
async fn an_empty_log_is_whole_and_a_missing_one_is_not_made() {
    let dir = tempfile::tempdir().unwrap();
    for said in [verify(dir.path(), &[]), rebuild(dir.path(), &[])] {
        assert_eq!((said.code, said.out.as_str()), (1, ""));
        assert!(said.err.contains("aldis.db: No such file"), "{said:?}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    filled(dir.path(), 0).await.close().await;
    assert_eq!(verify(dir.path(), &[]).all(), "ok: the log is empty\nexit 0");
    assert_eq!(rebuild(dir.path(), &["runs"]).code, 0);
}

#[tokio::test]
async fn a_rebuild_makes_the_documents_anew() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 3).await.close().await;
    let said = rebuild(dir.path(), &[]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    let lines: Vec<&str> = said.out.lines().filter_map(|line| line.split(" in ").next()).collect();
    assert_snapshot!(lines.join("\n"), @"
    projects: 3 events
    deliveries: 3 events
    runs: 3 events
    changes: 3 events
    ");
    assert!(said.out.lines().all(|line| line.ends_with(" events/s")), "{said:?}");
    let store = Store::open(&Settings::in_dir(dir.path())).await.unwrap();
    for name in ["projects", "deliveries", "runs", "changes"] {
        let checkpoint = store.checkpoint(name).await.unwrap();
        assert_eq!(checkpoint.map(|at| at.position), Some(3), "{name}");
    }
    store.close().await;
}

#[tokio::test]
async fn a_rebuild_says_why_it_cannot() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), 1).await;
    let place = dir.path().display().to_string();
    let said = rebuild(dir.path(), &["runs"]).all().replace(&place, "DIR");
    assert_snapshot!(said, @"
    aldis: `aldis serve` uses DIR; stop it first: on SQLite a rebuild needs the database for itself
    exit 1
    ");
    store.close().await;
    assert_snapshot!(rebuild(dir.path(), &["walks"]).all(), @"
    aldis: there is no projection `walks`; there are projects, deliveries, runs, changes
    exit 1
    ");
}
