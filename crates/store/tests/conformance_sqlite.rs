//! What every engine must do, done by SQLite.

#![expect(clippy::unwrap_used, reason = "a test whose surroundings fail has failed")]

use secrecy::SecretString;

mod conformance {
    pub(crate) mod bench;
    mod beside;
    mod log;
    mod units;
    mod views;
    mod work;
}

/// A fresh database, if the engine needs one beside its directory.
fn database() -> Option<SecretString> {
    None
}
