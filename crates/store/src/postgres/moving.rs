//! A bot that moves from or to Postgres.

use futures_util::TryStreamExt;
use secrecy::SecretString;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Connection, Row, query, raw_sql};
use uuid::Uuid;

use super::beside::{unsigned, wrong_versions_of};
use super::read::head;
use super::write::without_nul;
use super::{Postgres, Result, connect, migrate, options, sql as own};
use crate::envelope::{Breach, Head};
use crate::error::StoreError;
use crate::moving::Record;
use crate::moving::ends::moves;
use crate::moving::table::{Kind, Table};
use crate::settings::Settings;
use crate::sql;
use crate::value::Value;

/// All that is there at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    db: PgConnection,
    now: i64,
}

/// A database that is being filled, in one transaction.
#[derive(Debug)]
pub(crate) struct Target {
    db: PgConnection,
    now: i64,
}

moves!(PgConnection, PgRow, postgres);

impl Postgres {
    pub(crate) async fn snapshot(&self) -> Result<Snapshot> {
        let mut db = connect(&self.lazy.connect_options()).await?;
        raw_sql(own::SNAPSHOT).execute(&mut db).await?;
        let now = now(&mut db, self.clock.told_millis()).await?;
        Ok(Snapshot { db, now })
    }

    /// Who only reads says so in its connections' name.
    pub(crate) async fn is_served(&self) -> Result<bool> {
        Ok(query(own::WRITERS).fetch_optional(&self.lazy).await?.is_some())
    }
}

async fn now(db: &mut PgConnection, told: Option<i64>) -> Result<i64> {
    Ok(query(own::NOW).bind(told).fetch_one(db).await?.try_get(0)?)
}

impl Target {
    pub(crate) async fn open(settings: &Settings, url: &SecretString) -> Result<Self> {
        let mut db = connect(&options(url)?).await?;
        migrate(&mut db).await?;
        raw_sql(own::BEGIN_IMPORT).execute(&mut db).await?;
        let now = now(&mut db, settings.clock.told_millis()).await?;
        Ok(Self { db, now })
    }

    /// Rows of one table.
    pub(crate) async fn insert(&mut self, rows: &[Record]) -> Result<()> {
        let Some(Record { table, .. }) = rows.first() else { return Ok(()) };
        let lists = table.columns.iter().zip(1..).map(|((_, kind), number)| match kind {
            Kind::Number | Kind::Due => format!("${number}::bigint[]"),
            Kind::Text | Kind::Prose => format!("${number}::text[]"),
            Kind::Bytes => format!("${number}::bytea[]"),
            Kind::Id => format!("${number}::uuid[]"),
        });
        let lists = lists.collect::<Vec<_>>().join(", ");
        let text = format!("{} SELECT * FROM unnest({lists})", table.insertion());
        let mut inserted = query(AssertSqlSafe(text));
        for (column, (_, kind)) in table.columns.iter().enumerate() {
            let values = rows.iter().map(|row| &row.values[column]);
            inserted = bind(inserted, *kind, values, self.now);
        }
        inserted.execute(&mut self.db).await?;
        Ok(())
    }

    /// New epochs go by the clock, so there is no last one to be kept.
    pub(crate) async fn commit(mut self, head: Head, _epoch: u64) -> Result<()> {
        let moved = query(own::MOVE_HEAD).bind(head.position).bind(head.hash.as_slice());
        moved.execute(&mut self.db).await?;
        query(own::MOVE_INSTANCES).execute(&mut self.db).await?;
        query(own::COMMIT).execute(&mut self.db).await?;
        self.db.close().await?;
        Ok(())
    }
}

/// Binds one column of all rows.
fn bind<'q>(
    asked: Query<'q, sqlx::Postgres, PgArguments>,
    kind: Kind,
    values: impl Iterator<Item = &'q Value>,
    now: i64,
) -> Query<'q, sqlx::Postgres, PgArguments> {
    let number = |value: &Value| match value {
        Value::Number(number) => Some(*number),
        _ => None,
    };
    let text = |value: &'q Value| match value {
        Value::Text(text) => Some(text.as_str()),
        _ => None,
    };
    let bytes = |value: &'q Value| match value {
        Value::Bytes(bytes) => Some(bytes.as_slice()),
        _ => None,
    };
    match kind {
        Kind::Number => asked.bind(values.map(number).collect::<Vec<_>>()),
        Kind::Due => {
            let due = |value| number(value).map(|due_in| now.saturating_add(due_in));
            asked.bind(values.map(due).collect::<Vec<_>>())
        }
        Kind::Text => asked.bind(values.map(text).collect::<Vec<_>>()),
        Kind::Prose => {
            asked.bind(values.map(|value| text(value).map(without_nul)).collect::<Vec<_>>())
        }
        Kind::Bytes => asked.bind(values.map(bytes).collect::<Vec<_>>()),
        Kind::Id => {
            let id = |value| bytes(value).and_then(|bytes| Uuid::from_slice(bytes).ok());
            asked.bind(values.map(id).collect::<Vec<_>>())
        }
    }
}
