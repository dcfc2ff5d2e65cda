//! A queue in Postgres with the fewest columns: who takes a row waits for the disk, who gives it
//! back does not.

use std::time::Duration;

use anyhow::Result;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, query, query_scalar};

/// As many connections as a process of the bot has.
const TAKING: u32 = 3;
const GIVING: u32 = 5;

/// Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    durable: PgPool,
    lazy: PgPool,
}

impl Queue {
    /// Makes it, with so many rows.
    pub(crate) async fn open(url: &str, rows: usize) -> Result<Self> {
        let options = url.parse::<PgConnectOptions>()?.disable_statement_logging();
        let pool =
            |options, most| PgPoolOptions::new().max_connections(most).connect_lazy_with(options);
        let lazy = pool(options.clone().options([("synchronous_commit", "off")]), GIVING);
        let durable = pool(options, TAKING);
        let tables = "CREATE TABLE queue (id BIGINT PRIMARY KEY, due_at TIMESTAMPTZ NOT NULL); \
             CREATE INDEX queue_by_time ON queue (due_at)";
        sqlx::raw_sql(tables).execute(&durable).await?;
        let filled =
            "INSERT INTO queue SELECT id, clock_timestamp() FROM generate_series(1, $1) AS id";
        query(filled).bind(i64::try_from(rows)?).execute(&durable).await?;
        Ok(Self { durable, lazy })
    }

    /// Takes the row that is due longest for `lease`, and gives it back.
    pub(crate) async fn take_and_give(&self, lease: Duration) -> Result<()> {
        let taken = "UPDATE queue SET due_at = clock_timestamp() + $1 WHERE id = (SELECT id FROM queue \
             WHERE due_at <= clock_timestamp() ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED) \
             RETURNING id";
        let id: i64 = query_scalar(taken).bind(lease).fetch_one(&self.durable).await?;
        let given = "UPDATE queue SET due_at = clock_timestamp() WHERE id = $1";
        query(given).bind(id).execute(&self.lazy).await?;
        Ok(())
    }
}
