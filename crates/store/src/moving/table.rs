//! What of the database moves to another one: tables and columns that say the same in every engine.
//!
//! Not here: read models and checkpoints, which are made again from the log; the head of the log
//! and the last lease number, which [`super::Outline`] tells; who holds a lease.

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    /// When work is due, by the lease clock. What moves is how long it is until then, in
    /// milliseconds: the clocks of two databases have nothing to do with each other.
    Due,
    Text,
    /// Text that people wrote: it may hold a NUL, which Postgres does not take.
    Prose,
    Bytes,
    /// A UUID.
    Id,
}

/// A table that moves.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [(&'static str, Kind)],
    /// The order in which rows came, or one that does not depend on it.
    pub(crate) order: Order,
}

/// Columns to sort by.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

impl Order {
    const fn by(columns: &'static str) -> Self {
        Self { sqlite: columns, postgres: columns }
    }
}

use Kind::{Bytes, Due, Id, Number, Prose, Text};

pub(crate) static SECRETS: Table = Table {
    name: "secrets",
    columns: &[("name", Text), ("key_id", Text), ("data_key", Bytes), ("value", Bytes)],
    order: Order::by("name"),
};

pub(crate) static EVENTS: Table = Table {
    name: "events",
    columns: &[
        ("position", Number),
        ("event_id", Id),
        ("stream", Text),
        ("version", Number),
        ("type", Text),
        ("schema_version", Number),
        ("body", Text),
        ("meta", Text),
        ("recorded_at", Number),
        ("prev_hash", Bytes),
        ("hash", Bytes),
    ],
    order: Order::by("position"),
};

static INSTANCES: Table = Table {
    name: "instances",
    columns: &[("id", Number), ("base_url", Text)],
    order: Order::by("id"),
};

static RUNNERS: Table = Table {
    name: "runners",
    columns: &[
        ("name", Text),
        ("digest", Bytes),
        ("pools", Text),
        ("added_at", Number),
        ("seen_at", Number),
    ],
    order: Order::by("name"),
};

static PEOPLE: Table = Table {
    name: "people",
    columns: &[("instance", Number), ("id", Number), ("name", Prose), ("avatar", Prose)],
    order: Order::by("instance, id"),
};

static PAYLOADS: Table = Table {
    name: "payloads",
    columns: &[("position", Number), ("bytes", Bytes), ("received_at", Number)],
    order: Order::by("position"),
};

static WORK: Table = Table {
    name: "work",
    columns: &[
        ("kind", Text),
        ("key", Text),
        ("class", Number),
        ("revision", Number),
        ("due_at", Due),
        ("lease_epoch", Number),
        ("attempts", Number),
    ],
    order: Order { sqlite: "rowid", postgres: "made" },
};

static LOG_CHUNKS: Table = Table {
    name: "log_chunks",
    columns: &[
        ("run", Text),
        ("epoch", Number),
        ("seq", Number),
        ("step", Number),
        ("bytes", Bytes),
        ("at", Number),
    ],
    order: Order { sqlite: "rowid", postgres: "at, ctid" },
};

static API_CALLS: Table = Table {
    name: "api_calls",
    columns: &[
        ("at", Number),
        ("instance", Number),
        ("token", Text),
        ("method", Text),
        ("path", Text),
        ("status", Number),
        ("millis", Number),
        ("request_id", Text),
        ("cause", Id),
    ],
    order: Order::by("id"),
};

/// All of them, in the order in which they move. Secrets come first: whether their key is there
/// should be known before a long log is read.
pub(crate) static TABLES: [&Table; 9] =
    [&SECRETS, &INSTANCES, &RUNNERS, &PEOPLE, &EVENTS, &PAYLOADS, &WORK, &LOG_CHUNKS, &API_CALLS];

impl Table {
    /// All rows; `now` is the lease clock's time. What is leased is due: its lease stays behind.
    pub(crate) fn select(&self, order: &str, now: i64) -> String {
        let column = |(name, kind): &(&str, Kind)| match kind {
            Due => format!("CASE WHEN lease_until IS NULL THEN {name} - {now} ELSE 0 END"),
            _ => (*name).to_owned(),
        };
        let columns: Vec<String> = self.columns.iter().map(column).collect();
        format!("SELECT {} FROM {} ORDER BY {order}", columns.join(", "), self.name)
    }

    pub(crate) fn count(&self) -> String {
        format!("SELECT COUNT(*) FROM {}", self.name)
    }

    /// The beginning of an insert: table and columns.
    pub(crate) fn insertion(&self) -> String {
        let columns: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        format!("INSERT INTO {} ({})", self.name, columns.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use aldis_test_servers::postgres;
    use insta::assert_snapshot;
    use sqlx::postgres::PgConnection;
    use sqlx::sqlite::SqliteConnection;
    use sqlx::{Connection, query_scalar};

    use super::*;
    use crate::settings::Settings;
    use crate::store::Store;

    /// Columns that do not move.
    fn stay(columns: Vec<String>) -> String {
        let moves = |column: &String| {
            TABLES.iter().any(|table| {
                let mut names = table.columns.iter().map(|(name, _)| name);
                names.any(|name| *column == format!("{}.{name}", table.name))
            })
        };
        columns.into_iter().filter(|column| !moves(column)).collect::<Vec<_>>().join("\n")
    }

    /// A column that is new has to be thought of.
    #[tokio::test]
    async fn all_moves_but_what_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let url = postgres().database();
        for postgres in [None, Some(url.as_str().into())] {
            let settings = Settings { postgres, ..Settings::in_dir(dir.path()) };
            Store::open(&settings).await.unwrap().close().await;
        }
        let path = dir.path().join("aldis.db");
        let mut db = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
        let columns = "SELECT tables.name || '.' || columns.name FROM sqlite_schema AS tables \
             JOIN pragma_table_info(tables.name) AS columns WHERE tables.type = 'table' \
             AND tables.name NOT IN ('_sqlx_migrations', 'documents', 'entries', 'checkpoints') \
             ORDER BY 1";
        assert_snapshot!(stay(query_scalar(columns).fetch_all(&mut db).await.unwrap()), @"
        api_calls.id
        lease_head.epoch
        lease_head.only
        log_head.hash
        log_head.only
        log_head.position
        work.lease_owner
        work.lease_until
        ");
        let mut db = PgConnection::connect(&url).await.unwrap();
        let columns = "SELECT table_name || '.' || column_name FROM information_schema.columns \
             WHERE table_schema = 'public' \
             AND table_name NOT IN ('_sqlx_migrations', 'documents', 'entries', 'checkpoints') \
             ORDER BY 1";
        assert_snapshot!(stay(query_scalar(columns).fetch_all(&mut db).await.unwrap()), @"
        api_calls.id
        log_head.alone
        log_head.hash
        log_head.position
        log_head.recorded_at
        work.lease_owner
        work.lease_until
        work.made
        ");
    }
}
