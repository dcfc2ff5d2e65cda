//! The embedded engine: one file, one writer task, a few readers.

mod beside;
mod moving;
mod packed;
mod read;
mod views;
mod work;
mod writer;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::envelope::Position;
use crate::error::StoreError;
use crate::migrations::{self, migrator};
use crate::secret::Sealer;
use crate::settings::Settings;
use crate::work::Bells;
pub(crate) use moving::{Snapshot, Target};
use writer::{Told, Writer, write_ahead_log};

type Result<T> = std::result::Result<T, StoreError>;

/// Locked by whoever writes, and never removed.
const LOCK: &str = "aldis.lock";
const READERS: u32 = 4;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Rows that SQLite's thread may read ahead of the task that takes them.
const ROWS_AHEAD: usize = 1024;

/// The engine.
#[derive(Debug)]
pub(crate) struct Sqlite {
    readers: SqlitePool,
    /// `None` when opened for reading.
    writer: Option<Writer>,
    positions: watch::Sender<Position>,
    bells: watch::Sender<Bells>,
    clock: Clock,
    sealer: Option<Sealer>,
}

impl Sqlite {
    pub(crate) async fn open(settings: &Settings) -> Result<Self> {
        let lock = lock(&settings.dir)?;
        let path = settings.dir.join("aldis.db");
        let options = options(&path).create_if_missing(true);
        let mut connection = migrated(&path, &options).await?;
        work::void_leases(&mut connection, settings.clock.lease_millis()).await?;
        let no_secrets = beside::no_secrets(&mut connection).await?;
        let sealer = Sealer::open(settings, no_secrets)?;
        let head = read::head(&mut connection).await?;
        let (positions, _) = watch::channel(head.position);
        let clock = settings.clock.clone();
        let bells = watch::Sender::default();
        let told = Told {
            positions: positions.clone(),
            bells: bells.clone(),
            failpoint: settings.failpoint.clone(),
        };
        let flush = write_ahead_log(&path).map_err(|e| files(&path, &e))?;
        let writer =
            Writer::start(connection, options.clone(), clock.clone(), told, flush, lock).await?;
        Ok(Self {
            readers: pool(options),
            writer: Some(writer),
            positions,
            bells,
            clock,
            sealer: Some(sealer),
        })
    }

    pub(crate) async fn open_read_only(settings: &Settings) -> Result<Self> {
        let path = settings.dir.join("aldis.db");
        fs::metadata(&path).map_err(|e| files(&path, &e))?;
        let options = options(&path).read_only(true);
        let mut connection =
            options.clone().connect().await.map_err(|e| not_a_database(&path, e))?;
        check_migrations(&path, &mut connection).await?;
        let head = read::head(&mut connection).await?;
        let (positions, _) = watch::channel(head.position);
        Ok(Self {
            readers: pool(options),
            writer: None,
            positions,
            bells: watch::Sender::default(),
            clock: settings.clock.clone(),
            sealer: None,
        })
    }

    pub(crate) async fn close(&self) {
        self.readers.close().await;
        if let Some(writer) = &self.writer {
            writer.close().await;
        }
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Position> {
        self.positions.subscribe()
    }

    pub(crate) fn bells(&self) -> watch::Receiver<Bells> {
        self.bells.subscribe()
    }

    fn writer(&self) -> Result<&Writer> {
        self.writer.as_ref().ok_or(StoreError::Closed)
    }
}

/// Makes the database if there is none.
async fn migrated(path: &Path, options: &SqliteConnectOptions) -> Result<SqliteConnection> {
    make_private(path).map_err(|e| files(path, &e))?;
    let connecting = options.clone().journal_mode(SqliteJournalMode::Wal);
    let mut connection = connecting.connect().await.map_err(|e| not_a_database(path, e))?;
    known().run(&mut connection).await.map_err(|e| from_migration(path, e))?;
    Ok(connection)
}

/// Job output and webhook bodies are in it: a new database is its owner's only. SQLite gives the
/// files beside it the same mode.
fn make_private(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY_TIMEOUT)
        .row_buffer_size(ROWS_AHEAD)
        .statement_cache_capacity(200)
        .pragma("cache_size", "-16384")
        .pragma("wal_autocheckpoint", "16000")
        // Pages that a statement may have to put back: they would go to a file otherwise.
        .pragma("temp_store", "memory")
        .disable_statement_logging()
}

fn pool(options: SqliteConnectOptions) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .test_before_acquire(false)
        .connect_lazy_with(options.pragma("query_only", "on"))
}

/// Keeps other processes out of the directory, which is made if there is none. The lock goes with
/// the process, however it ends.
fn lock(dir: &Path) -> Result<File> {
    fs::create_dir_all(dir).map_err(|e| files(dir, &e))?;
    let path = dir.join(LOCK);
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = opened.map_err(|e| files(&path, &e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(dir.to_owned())),
        Err(TryLockError::Error(e)) => Err(files(&path, &e)),
    }
}

pub(crate) fn known() -> Migrator {
    migrator!(
        "sqlite",
        1 "log",
        2 "work",
        3 "views",
        4 "beside_the_log",
        5 "versions_from_events",
        6 "payloads_by_position",
        7 "lists_beside_documents",
        8 "runners",
    )
}

/// What [`Migrator::run`] checks, without writing.
async fn check_migrations(path: &Path, connection: &mut SqliteConnection) -> Result<()> {
    let known = known();
    let applied = connection
        .list_applied_migrations(&known.table_name)
        .await
        .map_err(|e| from_migration(path, e))?;
    migrations::check(&known, &applied)
}

fn from_migration(path: &Path, error: MigrateError) -> StoreError {
    match error {
        MigrateError::VersionMissing(version) => StoreError::Newer(version),
        MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _) => not_a_database(path, e),
        other => StoreError::NotADatabase { path: path.to_owned(), why: other.to_string() },
    }
}

fn not_a_database(path: &Path, error: sqlx::Error) -> StoreError {
    match StoreError::from(error) {
        StoreError::Corrupt(why) | StoreError::Unexpected(why) => {
            StoreError::NotADatabase { path: path.to_owned(), why }
        }
        other => other,
    }
}

fn files(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Files { path: path.to_owned(), why: error.to_string() }
}

/// What a caller does about an error of the database, by SQLite's result code.
pub(crate) fn from_code(code: &str, text: String) -> StoreError {
    // Without the extension.
    match code.parse::<u32>().unwrap_or(0) & 0xff {
        // BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN
        5..=10 | 13 | 14 => StoreError::Unavailable(text),
        // CORRUPT, NOTADB
        11 | 26 => StoreError::Corrupt(text),
        _ => StoreError::Unexpected(text),
    }
}
