//! What happens when writing fails.

use aldis_domain::event::run::RunReleased;
use sqlx::Row;

use super::{Now, Session, Write, Writer};
use crate::append::{Answer, Append, Expected};
use crate::envelope::{Meta, NewEvent};
use crate::settings::Settings;
use crate::sqlite::{Result, Sqlite};
use crate::{Store, StoreError};

/// Any statement; its first column, if it has one.
struct Raw(String);

impl Write for Raw {
    type Out = i64;
    const DURABLE: bool = false;

    async fn run(&mut self, db: &mut Session<'_>, _: Now) -> Result<i64> {
        let rows = db.rows(&self.0, &[]).await?;
        Ok(rows.first().map_or(0, |row| row.get(0)))
    }
}

/// Tells whether the connection waits for the disk when it commits: 1 no, 2 yes.
struct Synchronous<const DURABLE: bool>;

impl<const DURABLE: bool> Write for Synchronous<DURABLE> {
    type Out = i64;
    const DURABLE: bool = DURABLE;

    async fn run(&mut self, db: &mut Session<'_>, _: Now) -> Result<i64> {
        Ok(db.rows("PRAGMA synchronous", &[]).await?[0].get(0))
    }
}

async fn raw(writer: &Writer, sql: &str) -> Result<i64> {
    writer.run(Raw(sql.to_owned())).await
}

fn payload(size: usize) -> Append {
    let event = NewEvent::new(RunReleased::default()).with_payload(vec![7; size]);
    Append::new(Meta::default()).write("delivery-x", Expected::Any, vec![event])
}

async fn open(dir: &tempfile::TempDir) -> Sqlite {
    Sqlite::open(&Settings::in_dir(dir.path())).await.unwrap()
}

#[tokio::test]
async fn facts_wait_for_the_disk_and_nothing_else_does_however_they_alternate() {
    let dir = tempfile::tempdir().unwrap();
    let sqlite = open(&dir).await;
    let writer = sqlite.writer().unwrap();
    for _ in 0..3 {
        assert_eq!(writer.run(Synchronous::<false>).await.unwrap(), 1);
        assert_eq!(writer.run(Synchronous::<true>).await.unwrap(), 2);
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_survived() {
    let dir = tempfile::tempdir().unwrap();
    let sqlite = open(&dir).await;
    let writer = sqlite.writer().unwrap();
    let pages = raw(writer, "PRAGMA page_count").await.unwrap();
    raw(writer, &format!("PRAGMA max_page_count = {}", pages + 4)).await.unwrap();
    let full = sqlite.append(payload(100_000)).await.unwrap_err();
    assert!(matches!(full, StoreError::Unavailable(_)), "{full:?}");
    assert!(full.is_retryable());

    // The limit went with the connection: there is room again.
    assert!(matches!(sqlite.append(payload(100_000)).await.unwrap(), Answer::Appended { .. }));
    sqlite.close().await;
}

#[tokio::test]
async fn a_bad_command_spoils_nobody_elses() {
    let dir = tempfile::tempdir().unwrap();
    let sqlite = open(&dir).await;
    let writer = sqlite.writer().unwrap();
    let (good, bad, also_good) = tokio::join!(
        sqlite.append(payload(10)),
        raw(writer, "INSERT INTO log_head VALUES (1, 0, x'')"),
        raw(writer, "SELECT 7"),
    );
    assert!(matches!(good.unwrap(), Answer::Appended { .. }));
    assert!(matches!(bad.unwrap_err(), StoreError::Unexpected(_)));
    assert_eq!(also_good.unwrap(), 7);
    assert!(sqlite.payload(1).await.unwrap().is_some());
    sqlite.close().await;
}

#[tokio::test]
async fn a_store_that_is_dropped_lets_its_files_go() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings::in_dir(dir.path());
    let store = Store::open(&settings).await.unwrap();
    let mut positions = store.subscribe();
    drop(store);
    // The writer's end of the channel goes last of all.
    while positions.changed().await.is_ok() {}
    Store::open(&settings).await.unwrap();
}
