//! The migrations of both engines: forward only, and each engine counts its own.

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

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[tokio::test]
    async fn each_engine_knows_the_files_of_its_folder() {
        let engines = [("sqlite", crate::sqlite::known()), ("postgres", crate::postgres::known())];
        for (engine, known) in engines {
            let folder =
                Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations").join(engine);
            let there = sqlx::migrate::Migrator::new(folder).await.unwrap();
            let sums = |all: &sqlx::migrate::Migrator| {
                let all = all.iter().map(|it| (it.version, it.checksum.clone()));
                all.collect::<Vec<_>>()
            };
            assert_eq!(sums(&known), sums(&there), "{engine}");
        }
    }
}
