//! The engine for many processes: a Postgres database that all of them share.
//!
//! Appends of this process go through one connection, group by group. Claims have a pool, and so has
//! what may be lost with the database's power, and what must be on disk. See
//! `docs/adr/0011-one-head-locked-first.md` and `docs/adr/0001-claims-without-fsync.md`.

mod beside;
mod guess;
mod moving;
mod read;
mod search;
mod sql;
mod statement;
mod views;
mod work;
mod write;
mod writer;

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::envelope::Position;
use crate::error::StoreError;
use crate::migrations::{self, migrator};
use crate::secret::Sealer;
use crate::settings::Settings;
use crate::work::Bells;
use guess::News;
pub(crate) use moving::{Snapshot, Target};
use search::Searches;
use writer::{Told, Writer};

/// Of connections of processes that write: their statements find rows by keys, whatever the tables
/// hold. To plan those anew each time takes longer than to execute them, and a plan that was made while a
/// table was empty must be good when it is full.
const BY_KEY: [(&str, &str); 6] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
];

type Result<T> = std::result::Result<T, StoreError>;

/// How long a call may take before the database counts as gone. A connection into a black hole says
/// nothing by itself.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
/// What connections are called that only read; all others are called `aldis`.
const READER: &str = "aldis reader";
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
const LAZY: u32 = 5;
const LEASES: u32 = 3;
const DURABLE: u32 = 1;

/// The engine.
#[derive(Debug)]
pub(crate) struct Postgres {
    /// For reading, and for writing what may be lost with the power.
    lazy: PgPool,
    /// For work items, which are found by their keys and their order.
    leases: PgPool,
    /// For what must be on disk when it is answered.
    durable: PgPool,
    searches: Searches,
    news: News,
    /// `None` when opened for reading.
    writer: Option<Writer>,
    positions: watch::Sender<Position>,
    bells: watch::Sender<Bells>,
    clock: Clock,
    sealer: Option<Sealer>,
}

impl Postgres {
    pub(crate) async fn open(settings: &Settings, url: &SecretString) -> Result<Self> {
        let options = options(url)?;
        let mut connection = connect(&options).await?;
        migrate(&mut connection).await?;
        let no_secrets = beside::no_secrets(&mut connection).await?;
        let sealer = Sealer::open(settings, no_secrets)?;
        let options = options.options(BY_KEY);
        let mut this = Self::without_writer(settings, options.clone(), connection).await?;
        let told = Told {
            positions: this.positions.clone(),
            bells: this.bells.clone(),
            failpoint: settings.failpoint.clone(),
        };
        let (clock, news) = (settings.clock.clone(), this.news.clone());
        this.writer = Some(Writer::start(options, clock, told, news));
        this.sealer = Some(sealer);
        Ok(this)
    }

    pub(crate) async fn open_read_only(settings: &Settings, url: &SecretString) -> Result<Self> {
        // Who only reads may look at the whole log.
        let options = options(url)?
            .application_name(READER)
            .options([("default_transaction_read_only", "on"), ("statement_timeout", "0")]);
        let mut connection = connect(&options).await?;
        check_migrations(&mut connection).await?;
        Self::without_writer(settings, options, connection).await
    }

    async fn without_writer(
        settings: &Settings,
        options: PgConnectOptions,
        mut connection: PgConnection,
    ) -> Result<Self> {
        let head = read::head(&mut connection).await?;
        connection.close().await?;
        let (positions, _) = watch::channel(head.position);
        let lazy = options.clone().options([("synchronous_commit", "off")]);
        Ok(Self {
            leases: pool(lazy.clone(), LEASES),
            lazy: pool(lazy, LAZY),
            durable: pool(options, DURABLE),
            searches: Searches::default(),
            news: News::default(),
            writer: None,
            positions,
            bells: watch::Sender::default(),
            clock: settings.clock.clone(),
            sealer: None,
        })
    }

    pub(crate) async fn close(&self) {
        if let Some(writer) = &self.writer {
            writer.close().await;
        }
        self.durable.close().await;
        self.leases.close().await;
        self.lazy.close().await;
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

    /// For whoever writes beside the log.
    fn durable(&self) -> Result<&PgPool> {
        self.writer().map(|_| &self.durable)
    }

    fn leases(&self) -> Result<&PgPool> {
        self.writer().map(|_| &self.leases)
    }

    fn lazy(&self) -> Result<&PgPool> {
        self.writer().map(|_| &self.lazy)
    }
}

/// Gives up after [`PATIENCE`].
pub(crate) async fn within<T>(call: impl Future<Output = Result<T>>) -> Result<T> {
    let silent = || StoreError::Unavailable("the database does not answer".to_owned());
    tokio::time::timeout(PATIENCE, call).await.unwrap_or_else(|_| Err(silent()))
}

/// A client that hangs in a transaction must not stop the world, for appends wait for each other.
fn options(url: &SecretString) -> Result<PgConnectOptions> {
    let url = url.expose_secret();
    let is_ours = url.starts_with("postgres://") || url.starts_with("postgresql://");
    // The driver's own words may hold a part of the password.
    let options = url.parse::<PgConnectOptions>().ok().filter(|_| is_ours);
    let options = options.ok_or_else(|| {
        let right = "it should look like postgres://user:password@host:5432/database";
        StoreError::Refused(format!("its URL cannot be read: {right}"))
    })?;
    Ok(options
        .application_name("aldis")
        .options([
            ("statement_timeout", "10s"),
            ("lock_timeout", "5s"),
            ("idle_in_transaction_session_timeout", "5s"),
        ])
        .statement_cache_capacity(200)
        .disable_statement_logging())
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection> {
    let connected = tokio::time::timeout(CONNECT_PATIENCE, options.connect()).await;
    match connected.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
        Ok(connection) => Ok(connection),
        Err(error) => Err(StoreError::from(error)),
    }
}

fn pool(options: PgConnectOptions, most: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(most)
        .acquire_timeout(CONNECT_PATIENCE)
        .connect_lazy_with(options)
}

pub(crate) fn known() -> Migrator {
    migrator!(
        "postgres",
        1 "log",
        2 "work",
        3 "views",
        4 "beside_the_log",
        5 "runners",
        6 "work_by_key_alone",
        7 "work_by_urgency_alone",
    )
}

/// Processes that start together migrate one after the other. One whose role may not change tables
/// can start when there is nothing to change.
async fn migrate(connection: &mut PgConnection) -> Result<()> {
    match check_migrations(connection).await {
        Err(StoreError::Older) => {
            // Waiting for the others may take longer than a statement may otherwise.
            sqlx::query("SET statement_timeout = 0").execute(&mut *connection).await?;
            sqlx::query("SET lock_timeout = 0").execute(&mut *connection).await?;
            known().run(connection).await.map_err(from_migration)
        }
        checked => checked,
    }
}

/// Without writing.
async fn check_migrations(connection: &mut PgConnection) -> Result<()> {
    let known = known();
    let there = sqlx::query("SELECT to_regclass('_sqlx_migrations') IS NOT NULL");
    if !sqlx::Row::try_get::<bool, _>(&there.fetch_one(&mut *connection).await?, 0)? {
        return Err(StoreError::Older);
    }
    let applied = connection.list_applied_migrations(&known.table_name).await;
    let applied = applied.map_err(from_migration)?;
    migrations::check(&known, &applied)
}

fn from_migration(error: MigrateError) -> StoreError {
    match error {
        MigrateError::VersionMissing(version) => StoreError::Newer(version),
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        other => StoreError::Refused(format!("the database cannot be migrated: {other}")),
    }
}

/// What a caller does about an error of the database, by its SQLSTATE.
pub(crate) fn from_state(state: &str, text: String) -> StoreError {
    match state.get(..2) {
        // Connection, resources, operator; rolled back by a conflict; lock and statement timeouts.
        Some("08" | "53" | "57" | "58" | "40") => StoreError::Unavailable(text),
        // A standby that has not taken over yet; timeouts in a transaction.
        Some("25") if matches!(state, "25006" | "25P03" | "25P04") => StoreError::Unavailable(text),
        Some("55") if state == "55P03" => StoreError::Unavailable(text),
        Some("XX") if matches!(state, "XX001" | "XX002") => StoreError::Corrupt(text),
        // Password, database, privileges.
        Some("28" | "3D") => StoreError::Refused(text),
        _ if state == "42501" => StoreError::Refused(text),
        _ => StoreError::Unexpected(text),
    }
}
