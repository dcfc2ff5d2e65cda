//! What every engine must do, done by Postgres.

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

#[expect(clippy::unnecessary_wraps, reason = "another engine needs none")]
/// A fresh database, if the engine needs one beside its directory.
fn database() -> Option<SecretString> {
    Some(aldis_test_servers::postgres().database().into())
}
