//! What happens when writing fails.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;

use aldis_domain::event::run::RunReleased;
use sqlx::{ConnectOptions, Row};

use super::disk::Flush;
use super::{Now, Session, Told, Write, Writer};
use crate::append::{Answer, Append, Expected};
use crate::clock::Clock;
use crate::envelope::{Meta, NewEvent};
use crate::settings::Settings;
use crate::sqlite::{Result, Sqlite, options};
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

/// A writer over the database in `dir`, whose disk is `flush`.
async fn with_disk(dir: &tempfile::TempDir, flush: Flush) -> Writer {
    open(dir).await.close().await;
    let options = options(&dir.path().join("aldis.db"));
    let (positions, bells) = Default::default();
    let told = Told { positions, bells, failpoint: None };
    let lock = tempfile::tempfile().unwrap();
    let db = options.connect().await.unwrap();
    Writer::start(db, options, Clock::system(), told, flush, lock).await.unwrap()
}

#[tokio::test]
async fn facts_wait_for_the_disk_and_nothing_else_waits_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let (flushes, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let (disk, done) = std::sync::mpsc::channel();
    let writer = with_disk(
        &dir,
        Box::new(move || {
            flushes.send(()).unwrap();
            done.recv().map_err(io::Error::other)
        }),
    )
    .await;
    let mut first = pin!(writer.append(payload(10)));
    tokio::select! {
        answer = &mut first => panic!("answered before it is on the disk: {answer:?}"),
        flush = asked.recv() => flush.unwrap(),
    }
    assert_eq!(raw(&writer, "SELECT count(*) FROM events").await.unwrap(), 1);
    let (mut second, mut third) =
        (pin!(writer.append(payload(10))), pin!(writer.append(payload(10))));
    let mut written = 1;
    while written < 3 {
        tokio::select! {
            biased;
            answer = &mut second => panic!("answered before it is on the disk: {answer:?}"),
            answer = &mut third => panic!("answered before it is on the disk: {answer:?}"),
            count = raw(&writer, "SELECT count(*) FROM events") => written = count.unwrap(),
        }
    }
    disk.send(()).unwrap();
    assert!(matches!(first.await.unwrap(), Answer::Appended { .. }));
    disk.send(()).unwrap();
    let (second, third) = tokio::join!(second, third);
    assert!(matches!(second.unwrap(), Answer::Appended { .. }));
    assert!(matches!(third.unwrap(), Answer::Appended { .. }));
    asked.recv().await.unwrap();
    assert!(asked.try_recv().is_err(), "both groups were settled by one flush");
}

/// The process ends, so another one does it: this test, told by a variable.
#[tokio::test]
async fn a_disk_that_did_not_take_the_bytes_ends_the_process() {
    const CHILD: &str = "ALDIS_TEST_REFUSING_DISK";
    if std::env::var_os(CHILD).is_some() {
        let dir = tempfile::tempdir().unwrap();
        let writer = with_disk(&dir, Box::new(|| Err(io::Error::other("no space")))).await;
        let answer = writer.append(payload(10)).await;
        panic!("answered: {answer:?}");
    }
    let test = std::thread::current().name().unwrap().to_owned();
    let ended = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &test])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert_eq!(ended.status.signal(), Some(6), "SIGABRT was expected: {ended:?}");
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
