//! Where bot and floor keep what they are told: fresh for each of them, and of the same kind for
//! both.

use std::path::Path;

use aldis_store::{Settings, Store};
use aldis_test_servers::{Postgres, RabbitMq};
use anyhow::Result;
use tempfile::TempDir;

/// What is measured on what.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// One process, with its database inside.
    Sqlite,
    /// One process.
    Postgres(&'a Postgres),
    /// A bot of several processes that tell each other to look.
    Divided(&'a Postgres, &'a RabbitMq),
}

/// The place of one bot or of one floor.
#[derive(Debug)]
pub(crate) struct Home {
    dir: TempDir,
    /// URL of a database; `None`: SQLite, in the directory.
    pub(crate) postgres: Option<String>,
    /// URL of a broker; `None`: one process.
    pub(crate) broker: Option<String>,
}

impl Place<'_> {
    pub(crate) fn home(self) -> Result<Home> {
        let (postgres, broker) = match self {
            Self::Sqlite => (None, None),
            Self::Postgres(server) => (Some(server.database()), None),
            Self::Divided(server, broker) => (Some(server.database()), Some(broker.url())),
        };
        Ok(Home { dir: TempDir::new()?, postgres, broker })
    }
}

impl Home {
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) async fn store(&self) -> Result<Store> {
        Ok(Store::open(&self.settings()).await?)
    }

    /// For a look at what a running bot has done.
    pub(crate) async fn look(&self) -> Result<Store> {
        Ok(Store::open_read_only(&self.settings()).await?)
    }

    fn settings(&self) -> Settings {
        let postgres = self.postgres.clone().map(Into::into);
        Settings { postgres, ..Settings::in_dir(self.dir()) }
    }
}

/// A server that waits for the disk.
pub(crate) async fn postgres() -> Result<Postgres> {
    Ok(tokio::task::spawn_blocking(|| Postgres::start(true)).await?)
}

pub(crate) async fn rabbitmq() -> Result<RabbitMq> {
    Ok(tokio::task::spawn_blocking(RabbitMq::start).await?)
}
