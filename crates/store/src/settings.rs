//! Where the store is.

use std::path::PathBuf;

use secrecy::SecretString;

use crate::clock::Clock;
use crate::failpoint::Failpoint;

/// What [`crate::Store::open`] needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The data directory. It is made if there is none. SQLite's database in it is `aldis.db`.
    pub dir: PathBuf,
    /// The URL of a Postgres database, `postgres://user:password@host:5432/name`. `None`: SQLite, in
    /// `dir`.
    pub postgres: Option<SecretString>,
    /// The master key that seals secrets: a file with 32 bytes in base 64, readable by its owner
    /// only. `None`: `secret.key` in the data directory, made at need.
    pub key_file: Option<PathBuf>,
    pub clock: Clock,
    /// For tests of what survives a kill. `None` in earnest.
    pub failpoint: Option<Failpoint>,
}

impl Settings {
    /// The store in `dir` with everything as usual.
    pub fn in_dir(dir: impl Into<PathBuf>) -> Self {
        let (clock, failpoint) = (Clock::system(), None);
        Self { dir: dir.into(), postgres: None, key_file: None, clock, failpoint }
    }
}
