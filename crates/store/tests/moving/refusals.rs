//! What is refused, and that nothing of it stays.

use aldis_store::{Breach, Expected, Import, Settings, Store, StoreError};
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

use super::place::Engine::{Postgres, Sqlite};
use super::place::{Bench, Place, append, appended, event, fill, key_file};

/// The place is as good as new.
async fn nothing_is_left(place: &Place) {
    let store = place.open().await;
    assert_eq!(store.head().await.unwrap().position, 0);
    assert!(store.read(0, 9).await.unwrap().is_empty());
    assert!(store.secret_names().await.unwrap().is_empty());
    assert!(store.instances().await.unwrap().is_empty());
    store.close().await;
}

#[tokio::test]
async fn a_log_that_is_not_whole_does_not_arrive() {
    let bench = Bench::new();
    let old = bench.place(Sqlite);
    let store = old.open().await;
    fill(&store, &bench.clock).await;
    store.close().await;
    let (outline, rows) = old.export().await;
    let first = rows.iter().position(|row| row.starts_with(r#"["events""#)).unwrap();
    let last = rows.iter().rposition(|row| row.starts_with(r#"["events""#)).unwrap();
    for engine in [Sqlite, Postgres] {
        let new = bench.place(engine);
        let refused = async |rows: &[String]| match new.import(&outline, rows).await {
            Err(StoreError::Broken(breach)) => breach,
            other => panic!("{other:?}"),
        };
        let mut odd = rows.clone();
        odd.remove(first + 40);
        assert_eq!(refused(&odd).await, Breach::Missing { position: 41 });
        let mut odd = rows.clone();
        odd[first + 40] = odd[first + 40].replace("group/", "Group/");
        assert_eq!(refused(&odd).await, Breach::Changed { position: 41 });
        let mut odd = rows.clone();
        odd.remove(last);
        let position = outline.head.position;
        assert_eq!(refused(&odd).await, Breach::Head { position });
        nothing_is_left(&new).await;
        new.import(&outline, &rows).await.unwrap();
    }
}

#[tokio::test]
async fn an_import_that_was_interrupted_leaves_nothing_and_can_begin_again() {
    let bench = Bench::new();
    let old = bench.place(Sqlite);
    let store = old.open().await;
    fill(&store, &bench.clock).await;
    store.close().await;
    let (outline, rows) = old.export().await;
    for engine in [Sqlite, Postgres] {
        let new = bench.place(engine);
        let mut import = Import::begin(&new.settings, outline.clone()).await.unwrap();
        let some: Vec<_> = rows.iter().map(|row| serde_json::from_str(row).unwrap()).collect();
        import.add(&some).await.unwrap();
        drop(import);
        nothing_is_left(&new).await;
        new.import(&outline, &rows).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_not_empty_is_left_as_it_is() {
    let bench = Bench::new();
    let old = bench.place(Sqlite);
    old.open().await.close().await;
    let (outline, rows) = old.export().await;
    for engine in [Sqlite, Postgres] {
        let (named, logged) = (bench.place(engine), bench.place(engine));
        let store = named.open().await;
        store.ensure_instance("https://gitlab.example").await.unwrap();
        store.close().await;
        let store = logged.open().await;
        appended(&store, append("change-a", Expected::NoStream, vec![event(1)])).await;
        store.close().await;
        for (place, table) in [(named, "instances"), (logged, "events")] {
            let refused = place.import(&outline, &rows).await.unwrap_err();
            assert!(matches!(refused, StoreError::NotEmpty(it) if it == table), "{refused:?}");
        }
    }
}

#[tokio::test]
async fn secrets_arrive_only_where_their_key_is() {
    let bench = Bench::new();
    let old = bench.place(Sqlite);
    let store = old.open().await;
    fill(&store, &bench.clock).await;
    store.close().await;
    let (outline, rows) = old.export().await;
    let keys = tempfile::tempdir().unwrap();
    for engine in [Sqlite, Postgres] {
        let mut new = bench.place(engine);
        let right = new.settings.key_file.clone();
        for (key_file, why) in [(Some(key_file(&keys, 'B')), "master key"), (None, "not there")] {
            new.settings = Settings { key_file, ..new.settings };
            let refused = new.import(&outline, &rows).await.unwrap_err().to_string();
            let helps = refused.contains(why) && refused.contains("ALDIS_SECRET_KEY_FILE");
            assert!(helps, "{refused}");
        }
        assert!(!new.settings.dir.join("secret.key").exists(), "a new key opens nothing");
        new.settings = Settings { key_file: right, ..new.settings };
        nothing_is_left(&new).await;
        new.import(&outline, &rows).await.unwrap();
    }
}

#[tokio::test]
async fn a_log_that_is_not_whole_is_not_exported() {
    let bench = Bench::new();
    let place = bench.place(Sqlite);
    let store = place.open().await;
    fill(&store, &bench.clock).await;
    store.close().await;
    let path = place.settings.dir.join("aldis.db");
    let mut db = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    let change = sqlx::query("UPDATE events SET meta = '{}' WHERE position = 41");
    change.execute(&mut db).await.unwrap();
    db.close().await.unwrap();
    let store = Store::open_read_only(&place.settings).await.unwrap();
    let export = store.export().await.unwrap();
    let refused = export.rows(|_| Ok::<_, StoreError>(())).await.unwrap_err();
    let found = matches!(refused, StoreError::Broken(Breach::Changed { position: 41 }));
    assert!(found, "{refused:?}");
    store.close().await;
}
