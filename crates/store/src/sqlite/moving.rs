//! A bot that moves from or to SQLite.

use std::fs::{File, TryLockError};

use futures_util::TryStreamExt;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row, query, query_with};
use uuid::Uuid;

use super::beside::{unsigned, wrong_versions_of};
use super::read::head;
use super::writer::arguments;
use super::{LOCK, Result, Sqlite, lock, migrated, options};
use crate::envelope::{Breach, Head};
use crate::error::StoreError;
use crate::moving::Record;
use crate::moving::ends::moves;
use crate::moving::table::{Kind, Table};
use crate::number::signed;
use crate::settings::Settings;
use crate::sql::{self, MOST_ROWS, sqlite as own};
use crate::value::Value;

/// Rows that SQLite's thread may read ahead: a webhook's body can be large.
const ROWS_AHEAD: usize = 64;

/// All that is there at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    db: SqliteConnection,
    now: i64,
}

/// A database that is being filled, in one transaction.
#[derive(Debug)]
pub(crate) struct Target {
    db: SqliteConnection,
    now: i64,
    /// Keeps others out.
    lock: File,
}

moves!(SqliteConnection, SqliteRow, sqlite);

impl Sqlite {
    pub(crate) async fn snapshot(&self) -> Result<Snapshot> {
        let options = (*self.readers.connect_options()).clone().row_buffer_size(ROWS_AHEAD);
        let mut db = options.connect().await?;
        query(own::SNAPSHOT).execute(&mut db).await?;
        Ok(Snapshot { db, now: self.clock.lease_millis() })
    }

    pub(crate) fn is_served(&self) -> bool {
        let path = self.readers.connect_options().get_filename().with_file_name(LOCK);
        let is_locked =
            |file: File| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
        File::open(path).is_ok_and(is_locked)
    }
}

impl Target {
    pub(crate) async fn open(settings: &Settings) -> Result<Self> {
        let lock = lock(&settings.dir)?;
        let path = settings.dir.join("aldis.db");
        let options = options(&path).create_if_missing(true);
        let mut db = migrated(&path, &options).await?;
        query(own::WAIT_FOR_DISK).execute(&mut db).await?;
        query(own::BEGIN).execute(&mut db).await?;
        Ok(Self { db, now: settings.clock.lease_millis(), lock })
    }

    /// Rows of one table.
    pub(crate) async fn insert(&mut self, rows: &[Record]) -> Result<()> {
        for rows in rows.chunks(MOST_ROWS) {
            let table = rows[0].table;
            let marks = format!("({})", vec!["?"; table.columns.len()].join(", "));
            let text = format!(
                "{} VALUES {}",
                table.insertion(),
                vec![marks.as_str(); rows.len()].join(", ")
            );
            let columns = rows.iter().flat_map(|row| table.columns.iter().zip(&row.values));
            let values = columns.map(|((_, kind), value)| match (kind, value) {
                (Kind::Due, Value::Number(due_in)) => self.now.saturating_add(*due_in).into(),
                (_, value) => value.clone(),
            });
            let inserted = query_with(AssertSqlSafe(text), arguments(values)?);
            inserted.execute(&mut self.db).await?;
        }
        Ok(())
    }

    pub(crate) async fn commit(mut self, head: Head, epoch: u64) -> Result<()> {
        let moved = query(sql::MOVE_HEAD).bind(head.position).bind(head.hash.as_slice());
        moved.execute(&mut self.db).await?;
        query(own::MOVE_EPOCH).bind(signed(epoch)).execute(&mut self.db).await?;
        query(own::COMMIT).execute(&mut self.db).await?;
        self.db.close().await?;
        drop(self.lock);
        Ok(())
    }
}
