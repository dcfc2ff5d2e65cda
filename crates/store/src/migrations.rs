//! The migrations of both engines: forward only, and each engine counts its own. Those of a folder are
//! listed where they are used; `tests/moving/older.rs` fails if one is not.

/// `migrator!("sqlite", 1 "log", …)`: the files `migrations/<engine>/000<number>_<name>.sql`.
macro_rules! migrator {
    ($engine:literal, $($number:literal $name:literal),+ $(,)?) => {
        sqlx::migrate::Migrator::with_migrations(vec![$(sqlx::migrate::Migration::new(
            $number,
            $name.into(),
            sqlx::migrate::MigrationType::Simple,
            sqlx::SqlSafeStr::into_sql_str(include_str!(concat!(
                "../../../migrations/", $engine, "/000", $number, "_", $name, ".sql"
            ))),
            false,
        )),+])
    };
}
pub(crate) use migrator;

use crate::error::StoreError;

/// Whether the database of `applied` is this Aldis's.
pub(crate) fn check(
    known: &sqlx::migrate::Migrator,
    applied: &[sqlx::migrate::AppliedMigration],
) -> Result<(), StoreError> {
    if let Some(newer) = applied.iter().find(|applied| !known.version_exists(applied.version)) {
        return Err(StoreError::Newer(newer.version));
    }
    if applied.len() < known.iter().count() { Err(StoreError::Older) } else { Ok(()) }
}
