//! Steps of projections.

use super::writer::{Now, Session, Write};
use super::{Result, Sqlite};
use crate::document::{Checkpoint, Writes};
use crate::sql;

impl Sqlite {
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

    async fn run(&mut self, db: &mut Session<'_>, _: Now) -> Result<bool> {
        let Self { name, expected, next, writes } = &*self;
        let text = if expected.is_some() { sql::CHECKPOINT_MOVE } else { sql::CHECKPOINT_BEGIN };
        let mut values = vec![
            name.as_str().into(),
            i64::from(next.version).into(),
            next.position.into(),
            next.hash.as_slice().into(),
        ];
        if let Some(old) = expected {
            let version = i64::from(old.version).into();
            values.extend([version, old.position.into(), old.hash.as_slice().into()]);
        }
        if db.run(text, &values).await? == 0 {
            return Ok(false);
        }
        db.insert(&sql::DOCUMENT_ROWS, &writes.documents, |document| {
            [
                name.as_str().into(),
                document.key.as_str().into(),
                document.body.as_str().into(),
                document.position.into(),
            ]
        })
        .await?;
        db.insert(&sql::ENTRY_ROWS, &writes.entries, |entry| {
            [
                name.as_str().into(),
                entry.scope.as_str().into(),
                entry.sort_key.into(),
                entry.key.as_str().into(),
                entry.body.as_str().into(),
            ]
        })
        .await?;
        Ok(true)
    }
}

struct Drop(String);

impl Write for Drop {
    type Out = ();
    const DURABLE: bool = false;

    async fn run(&mut self, db: &mut Session<'_>, _: Now) -> Result<()> {
        let name = [self.0.as_str().into()];
        for text in [sql::DOCUMENTS_DROP, sql::ENTRIES_DROP, sql::CHECKPOINT_DROP] {
            db.add(text, &name);
        }
        Ok(())
    }
}
