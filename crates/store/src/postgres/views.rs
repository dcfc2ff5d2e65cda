//! Steps of projections.

use std::collections::BTreeMap;

use sqlx::query;

use super::statement::Statement;
use super::{Postgres, Result, sql as own};
use crate::document::{Checkpoint, Document, Entry, Writes};
use crate::sql;

impl Postgres {
    pub(crate) async fn step(
        &self,
        projection: &str,
        expected: Option<Checkpoint>,
        next: Checkpoint,
        writes: Writes,
    ) -> Result<bool> {
        let mut statement = Statement::default();
        let text = if expected.is_some() { sql::CHECKPOINT_MOVE } else { sql::CHECKPOINT_BEGIN };
        statement
            .part("WITH moved AS (")
            .part(text)
            .bind(projection)
            .bind(i64::from(next.version))
            .bind(next.position)
            .bind(next.hash.as_slice());
        if let Some(old) = &expected {
            statement.bind(i64::from(old.version)).bind(old.position).bind(old.hash.as_slice());
        }
        statement.part(" RETURNING name)");
        rows(&mut statement, projection, &writes);
        statement.part(" SELECT FROM moved");
        Ok(statement.query()?.fetch_optional(self.lazy()?).await?.is_some())
    }

    /// The checkpoint goes first: whoever steps waits for it before touching a document.
    pub(crate) async fn drop_projection(&self, projection: &str) -> Result<()> {
        let mut tx = self.lazy()?.begin().await?;
        query("SET LOCAL statement_timeout = 0").execute(&mut *tx).await?;
        for text in [sql::CHECKPOINT_DROP, sql::DOCUMENTS_DROP, sql::ENTRIES_DROP] {
            query(text).bind(projection).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// Adds what is written if the checkpoint is moved.
fn rows(statement: &mut Statement, projection: &str, writes: &Writes) {
    // One statement must not change a row twice; the last one counts.
    let documents: BTreeMap<&str, &Document> =
        writes.documents.iter().map(|document| (document.key.as_str(), document)).collect();
    if !documents.is_empty() {
        let all = || documents.values();
        statement
            .part(own::DOCUMENT_ROWS)
            .bind(projection)
            .bind(all().map(|document| document.key.as_str()).collect::<Vec<_>>())
            .bind(all().map(|document| document.body.as_str()).collect::<Vec<_>>())
            .bind(all().map(|document| document.position).collect::<Vec<_>>());
    }
    let entries: BTreeMap<_, &Entry> = writes
        .entries
        .iter()
        .map(|entry| ((entry.scope.as_str(), entry.sort_key, entry.key.as_str()), entry))
        .collect();
    if !entries.is_empty() {
        let all = || entries.values();
        statement
            .part(own::ENTRY_ROWS)
            .bind(projection)
            .bind(all().map(|entry| entry.scope.as_str()).collect::<Vec<_>>())
            .bind(all().map(|entry| entry.sort_key).collect::<Vec<_>>())
            .bind(all().map(|entry| entry.key.as_str()).collect::<Vec<_>>())
            .bind(all().map(|entry| entry.body.as_str()).collect::<Vec<_>>());
    }
}
