//! What happens when writing fails.

use aldis_domain::event::run::RunReleased;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Row, query};

use super::{Now, Write, Writer};
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

    async fn run(&mut self, db: &mut SqliteConnection, _: Now) -> Result<i64> {
        let row = query(AssertSqlSafe(self.0.clone())).fetch_optional(db).await?;
        Ok(row.map_or(0, |row| row.get(0)))
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
