//! What one transaction says to SQLite's thread. A hand-over costs two switches between threads,
//! so statements that answer nothing go along with the next one that does.

use futures_util::TryStreamExt;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Either, query_with};

use crate::error::StoreError;
use crate::sql::{Insert, MOST_ROWS};
use crate::sqlite::Result;
use crate::value::Value;

/// A connection and what is to be said to it next.
pub(in crate::sqlite) struct Session<'a> {
    db: &'a mut SqliteConnection,
    text: String,
    values: Vec<Value>,
}

impl<'a> Session<'a> {
    pub(in crate::sqlite) fn new(db: &'a mut SqliteConnection) -> Self {
        Self { db, text: String::new(), values: Vec::new() }
    }

    /// Adds a statement, which is run with the next one that answers.
    pub(in crate::sqlite) fn add(&mut self, text: &str, values: &[Value]) {
        // Marks must not be numbered where statements are run together: numbers would count
        // through all of them.
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            self.text.push_str(before);
            self.text.push('?');
            let digits = after.bytes().take_while(u8::is_ascii_digit).count();
            let number: usize = after[..digits].parse().unwrap_or_default();
            let value = number.checked_sub(1).and_then(|index| values.get(index));
            self.values.push(value.cloned().unwrap_or(Value::Null));
            rest = &after[digits..];
        }
        self.text.push_str(rest);
        self.text.push_str("; ");
    }

    /// Adds the insertion of all `rows`.
    pub(in crate::sqlite) async fn insert<T, const COLUMNS: usize>(
        &mut self,
        insert: &Insert<COLUMNS>,
        rows: &[T],
        values: impl Fn(&T) -> [Value; COLUMNS],
    ) -> Result<()> {
        for chunk in rows.chunks(MOST_ROWS) {
            if chunk.len() < rows.len() {
                // Long lists go by themselves: there would be too many different texts else.
                self.flush().await?;
            }
            let (text, places) = insert.text(chunk.len());
            self.text.push_str(text);
            self.text.push_str("; ");
            self.values.extend(chunk.iter().flat_map(&values));
            let unused = (places - chunk.len()) * COLUMNS;
            self.values.extend(std::iter::repeat_n(Value::Null, unused));
        }
        Ok(())
    }

    /// Runs what was added and then this; returns how many rows this one changed.
    pub(in crate::sqlite) async fn run(&mut self, text: &str, values: &[Value]) -> Result<u64> {
        self.add(text, values);
        self.finish().await
    }

    /// Runs what was added and then this, the only one that answers with rows.
    pub(in crate::sqlite) async fn rows(
        &mut self,
        text: &str,
        values: &[Value],
    ) -> Result<Vec<SqliteRow>> {
        self.add(text, values);
        let (text, arguments) = self.take()?;
        Ok(query_with(AssertSqlSafe(text), arguments).fetch_all(&mut *self.db).await?)
    }

    /// Runs what was added.
    pub(in crate::sqlite) async fn flush(&mut self) -> Result<()> {
        if !self.text.is_empty() {
            self.finish().await?;
        }
        Ok(())
    }

    /// Returns how many rows the last statement changed.
    async fn finish(&mut self) -> Result<u64> {
        let (text, arguments) = self.take()?;
        #[expect(deprecated, reason = "the only call that tells the statements of a text apart")]
        let mut results = query_with(AssertSqlSafe(text), arguments).fetch_many(&mut *self.db);
        let mut changed = 0;
        while let Some(result) = results.try_next().await? {
            if let Either::Left(done) = result {
                changed = done.rows_affected();
            }
        }
        Ok(changed)
    }

    fn take(&mut self) -> Result<(String, SqliteArguments)> {
        Ok((std::mem::take(&mut self.text), arguments(self.values.drain(..))?))
    }
}

/// The values of a statement.
pub(in crate::sqlite) fn arguments(
    values: impl IntoIterator<Item = Value>,
) -> Result<SqliteArguments> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        let added = match value {
            Value::Null => arguments.add(None::<i64>),
            Value::Number(number) => arguments.add(number),
            Value::Text(text) => arguments.add(text),
            Value::Bytes(bytes) => arguments.add(bytes),
        };
        added.map_err(|error| StoreError::Unexpected(error.to_string()))?;
    }
    Ok(arguments)
}
