//! Both ends of a move, in the words that are the same in every engine. A macro for the reason that
//! [`crate::rows`] tells; each engine expands it once.

/// What moves to another database is read by a connection of its own: a `Snapshot` of all that is
/// there, and the `Target` that must be empty.
macro_rules! moves {
    ($connection:ty, $row:ty, $engine:ident) => {
        async fn count(db: &mut $connection, table: &Table) -> Result<u64> {
            unsigned(&query(AssertSqlSafe(table.count())).fetch_one(db).await?, 0)
        }

        fn values(row: &$row, table: &Table) -> Result<Vec<Value>> {
            let kinds = table.columns.iter().map(|(_, kind)| kind).enumerate();
            kinds
                .map(|(column, kind)| match kind {
                    Kind::Number | Kind::Due => Ok(row.try_get::<Option<i64>, _>(column)?.into()),
                    Kind::Text | Kind::Prose => {
                        Ok(row.try_get::<Option<String>, _>(column)?.into())
                    }
                    Kind::Bytes => Ok(row.try_get::<Option<Vec<u8>>, _>(column)?.into()),
                    Kind::Id => Ok(row.try_get::<Option<Uuid>, _>(column)?.into()),
                })
                .collect()
        }

        impl Snapshot {
            /// The end of the log, and the last number of a lease.
            pub(crate) async fn ends(&mut self) -> Result<(Head, u64)> {
                let head = head(&mut self.db).await?;
                let epoch = query(own::LAST_EPOCH).fetch_one(&mut self.db).await?;
                Ok((head, unsigned(&epoch, 0)?))
            }

            pub(crate) async fn count(&mut self, table: &Table) -> Result<u64> {
                count(&mut self.db, table).await
            }

            pub(crate) async fn rows<E: From<StoreError>>(
                &mut self,
                table: &'static Table,
                take: &mut impl FnMut(Record) -> std::result::Result<(), E>,
            ) -> std::result::Result<(), E> {
                let text = table.select(table.order.$engine, self.now);
                let mut rows = query(AssertSqlSafe(text)).fetch(&mut self.db);
                while let Some(row) = rows.try_next().await.map_err(StoreError::from)? {
                    take(Record { table, values: values(&row, table)? })?;
                }
                Ok(())
            }
        }

        impl Target {
            pub(crate) async fn count(&mut self, table: &Table) -> Result<u64> {
                count(&mut self.db, table).await
            }

            pub(crate) async fn wrong_versions(&mut self) -> Result<Option<Breach>> {
                let row = query(sql::WRONG_VERSIONS).fetch_optional(&mut self.db).await?;
                row.as_ref().map(wrong_versions_of).transpose()
            }
        }
    };
}
pub(crate) use moves;
