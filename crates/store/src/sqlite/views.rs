//! Documents, lists and checkpoints.

use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row, query};

use super::read::{digest, signed, small};
use super::writer::{Now, Write, insert};
use super::{Result, Sqlite};
use crate::document::{Checkpoint, Document, Entry, Writes};
use crate::sql;

impl Sqlite {
    pub(crate) async fn checkpoint(&self, projection: &str) -> Result<Option<Checkpoint>> {
        let row = query(sql::CHECKPOINT).bind(projection).fetch_optional(&self.readers).await?;
        row.map(|row| {
            Ok(Checkpoint {
                version: small(&row, 0)?,
                position: row.try_get(1)?,
                hash: digest(&row, 2)?,
            })
        })
        .transpose()
    }

    pub(crate) async fn step(
        &self,
        projection: &str,
        expected: Option<Checkpoint>,
        next: Checkpoint,
        writes: Writes,
    ) -> Result<bool> {
        let name = projection.to_owned();
        self.writer()?.run(Step { name, expected, next, writes }).await
    }

    pub(crate) async fn drop_projection(&self, projection: &str) -> Result<()> {
        self.writer()?.run(Drop(projection.to_owned())).await
    }

    pub(crate) async fn document(&self, projection: &str, key: &str) -> Result<Option<Document>> {
        let row = query(sql::DOCUMENT).bind(projection).bind(key).fetch_optional(&self.readers);
        row.await?.as_ref().map(document).transpose()
    }

    pub(crate) async fn documents(
        &self,
        projection: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Document>> {
        let limit = signed(limit as u64);
        let rows = query(sql::DOCUMENTS).bind(projection).bind(after).bind(limit);
        rows.fetch_all(&self.readers).await?.iter().map(document).collect()
    }

    pub(crate) async fn entries(
        &self,
        projection: &str,
        scope: &str,
        after: Option<(i64, &str)>,
        limit: usize,
    ) -> Result<Vec<Entry>> {
        let text = if after.is_some() { sql::ENTRIES_AFTER } else { sql::ENTRIES };
        let mut rows = query(text).bind(projection).bind(scope).bind(signed(limit as u64));
        if let Some((sort_key, key)) = after {
            rows = rows.bind(sort_key).bind(key);
        }
        rows.fetch_all(&self.readers).await?.iter().map(entry).collect()
    }
}

fn document(row: &SqliteRow) -> Result<Document> {
    Ok(Document { key: row.try_get(0)?, body: row.try_get(1)?, position: row.try_get(2)? })
}

fn entry(row: &SqliteRow) -> Result<Entry> {
    Ok(Entry {
        scope: row.try_get(0)?,
        sort_key: row.try_get(1)?,
        key: row.try_get(2)?,
        body: row.try_get(3)?,
    })
}

struct Step {
    name: String,
    expected: Option<Checkpoint>,
    next: Checkpoint,
    writes: Writes,
}

/// A step that is lost with the power is made again from the log: documents and checkpoint are in
/// one transaction, and that comes after the events it was made of.
impl Write for Step {
    type Out = bool;
    const DURABLE: bool = false;

    async fn run(&mut self, db: &mut SqliteConnection, _: Now) -> Result<bool> {
        let Self { name, expected, next, writes } = &*self;
        let text = if expected.is_some() { sql::CHECKPOINT_MOVE } else { sql::CHECKPOINT_BEGIN };
        let mut moved = query(text)
            .bind(name)
            .bind(i64::from(next.version))
            .bind(next.position)
            .bind(next.hash.to_vec());
        if let Some(old) = expected {
            moved = moved.bind(i64::from(old.version)).bind(old.position).bind(old.hash.to_vec());
        }
        if moved.execute(&mut *db).await?.rows_affected() == 0 {
            return Ok(false);
        }
        insert(db, &sql::DOCUMENT_ROWS, &writes.documents, |query, document| {
            let query = query.bind(name.clone()).bind(document.key.clone());
            query.bind(document.body.clone()).bind(document.position)
        })
        .await?;
        insert(db, &sql::ENTRY_ROWS, &writes.entries, |query, entry| {
            let query = query.bind(name.clone()).bind(entry.scope.clone()).bind(entry.sort_key);
            query.bind(entry.key.clone()).bind(entry.body.clone())
        })
        .await?;
        Ok(true)
    }
}

struct Drop(String);

impl Write for Drop {
    type Out = ();
    const DURABLE: bool = false;

    async fn run(&mut self, db: &mut SqliteConnection, _: Now) -> Result<()> {
        query(sql::DOCUMENTS_DROP).bind(&self.0).execute(&mut *db).await?;
        query(sql::ENTRIES_DROP).bind(&self.0).execute(&mut *db).await?;
        query(sql::CHECKPOINT_DROP).bind(&self.0).execute(db).await?;
        Ok(())
    }
}
