//! What both engines say in the same words. Their rows and pools have different types, and what
//! the driver asks of a generic one would be longer than the code: hence macros, each expanded once
//! in every engine.

/// Reads columns of the engine's rows.
macro_rules! columns {
    ($row:ty) => {
        pub(super) fn unsigned(row: &$row, column: usize) -> Result<u64> {
            let value: i64 = row.try_get(column)?;
            u64::try_from(value).map_err(|_| StoreError::Corrupt(format!("{value} is less than 0")))
        }

        pub(super) fn small(row: &$row, column: usize) -> Result<u32> {
            let value: i64 = row.try_get(column)?;
            u32::try_from(value)
                .map_err(|_| StoreError::Corrupt(format!("{value} is no 32 bit number")))
        }

        pub(super) fn digest(row: &$row, column: usize) -> Result<[u8; 32]> {
            let bytes: &[u8] = row.try_get(column)?;
            bytes.try_into().map_err(|_| StoreError::Corrupt("a hash has not 32 bytes".to_owned()))
        }

        pub(super) fn envelope(row: &$row) -> Result<Envelope> {
            Ok(Envelope {
                position: row.try_get(0)?,
                id: row.try_get(1)?,
                stream: row.try_get(2)?,
                version: unsigned(row, 3)?,
                kind: row.try_get(4)?,
                schema_version: small(row, 5)?,
                body: row.try_get(6)?,
                meta: row.try_get(7)?,
                recorded_at: row.try_get(8)?,
                prev_hash: digest(row, 9)?,
                hash: digest(row, 10)?,
            })
        }

        pub(super) fn head_of(row: &$row) -> Result<Head> {
            Ok(Head { position: row.try_get(0)?, hash: digest(row, 1)? })
        }

        /// What `sql::WRONG_VERSIONS` found.
        pub(super) fn wrong_versions_of(row: &$row) -> Result<Breach> {
            Ok(Breach::Stream { stream: row.try_get(0)?, version: unsigned(row, 1)? })
        }

        fn document(row: &$row) -> Result<Document> {
            Ok(Document { key: row.try_get(0)?, body: row.try_get(1)?, position: row.try_get(2)? })
        }

        fn entry(row: &$row) -> Result<Entry> {
            Ok(Entry {
                scope: row.try_get(0)?,
                sort_key: row.try_get(1)?,
                key: row.try_get(2)?,
                body: row.try_get(3)?,
            })
        }

        fn call(row: &$row) -> Result<ApiCall> {
            let status: Option<i64> = row.try_get(5)?;
            Ok(ApiCall {
                at: row.try_get(0)?,
                instance: small(row, 1)?,
                token: row.try_get(2)?,
                method: row.try_get(3)?,
                path: row.try_get(4)?,
                status: status.and_then(|status| u16::try_from(status).ok()),
                took: Duration::from_millis(unsigned(row, 6)?),
                request_id: row.try_get(7)?,
                cause: row.try_get(8)?,
            })
        }

        fn runner(row: &$row) -> Result<Runner> {
            let pools: &str = row.try_get(1)?;
            let unreadable = |error| StoreError::Corrupt(format!("pools of a runner: {error}"));
            Ok(Runner {
                name: row.try_get(0)?,
                pools: serde_json::from_str(pools).map_err(unreadable)?,
                added_at: row.try_get(2)?,
                seen_at: row.try_get(3)?,
            })
        }

        /// A lease whose owner asks for it again.
        fn held(kind: WorkKind, row: &$row) -> Result<Claimed> {
            Ok(Claimed {
                key: WorkKey::new(kind, row.try_get::<String, _>(0)?),
                class: u8::try_from(small(row, 1)?).unwrap_or(u8::MAX),
                epoch: unsigned(row, 3)?,
                revision: unsigned(row, 2)?,
                attempts: small(row, 4)?,
                more: false,
                took_over: None,
            })
        }

        /// How much of a kind waits at a time of the lease clock.
        pub(super) fn backlog_of(row: &$row, now: i64) -> Result<Backlog> {
            let oldest: Option<i64> = row.try_get(3)?;
            let waits = u64::try_from(now - oldest.unwrap_or(now)).unwrap_or(0);
            Ok(Backlog {
                due: unsigned(row, 0)?,
                leased: unsigned(row, 1)?,
                later: unsigned(row, 2)?,
                oldest: Duration::from_millis(waits),
            })
        }
    };
}
pub(crate) use columns;

/// Reads of the engine that are the same statement everywhere. `$pool` is the engine's field.
macro_rules! reads {
    ($engine:ty, $pool:ident) => {
        impl $engine {
            pub(crate) async fn load(&self, stream: &str, after: u64) -> Result<Vec<Envelope>> {
                let rows = query(sql::LOAD).bind(stream).bind(signed(after));
                let mut rows = rows.fetch(&self.$pool);
                let mut events = Vec::new();
                while let Some(row) = rows.try_next().await? {
                    events.push(envelope(&row)?);
                }
                Ok(events)
            }

            pub(crate) async fn head(&self) -> Result<Head> {
                head_of(&query(sql::HEAD).fetch_one(&self.$pool).await?)
            }

            pub(crate) async fn wrong_versions(&self) -> Result<Option<Breach>> {
                let row = query(sql::WRONG_VERSIONS).fetch_optional(&self.$pool).await?;
                row.as_ref().map(wrong_versions_of).transpose()
            }

            pub(crate) async fn checkpoints(
                &self,
            ) -> Result<std::collections::HashMap<String, Checkpoint>> {
                let rows = query(sql::CHECKPOINTS).fetch_all(&self.$pool).await?;
                let checkpoint = |row| {
                    let (version, position) = (small(row, 1)?, row.try_get(2)?);
                    let checkpoint = Checkpoint { version, position, hash: digest(row, 3)? };
                    Ok((row.try_get(0)?, checkpoint))
                };
                rows.iter().map(checkpoint).collect()
            }

            pub(crate) async fn document(
                &self,
                projection: &str,
                key: &str,
            ) -> Result<Option<Document>> {
                let row = query(sql::DOCUMENT).bind(projection).bind(key);
                row.fetch_optional(&self.$pool).await?.as_ref().map(document).transpose()
            }

            pub(crate) async fn documents(
                &self,
                projection: &str,
                after: &str,
                limit: usize,
            ) -> Result<Vec<Document>> {
                let limit = signed(limit as u64);
                let rows = query(sql::DOCUMENTS).bind(projection).bind(after).bind(limit);
                rows.fetch_all(&self.$pool).await?.iter().map(document).collect()
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
                rows.fetch_all(&self.$pool).await?.iter().map(entry).collect()
            }

            pub(crate) async fn payload(&self, position: Position) -> Result<Option<Vec<u8>>> {
                let row = query(sql::PAYLOAD).bind(position).fetch_optional(&self.$pool).await?;
                Ok(row.map(|row| row.try_get(0)).transpose()?)
            }

            pub(crate) async fn log_after(
                &self,
                run: &str,
                epoch: u64,
                after: Option<u64>,
                limit: usize,
            ) -> Result<Vec<LogChunk>> {
                let rows = query(sql::LOG_AFTER)
                    .bind(run)
                    .bind(signed(epoch))
                    .bind(after.map_or(-1, signed))
                    .bind(signed(limit as u64));
                let mut chunks = Vec::new();
                for row in rows.fetch_all(&self.$pool).await? {
                    let (seq, step) = (unsigned(&row, 0)?, small(&row, 1)?);
                    chunks.push(LogChunk { seq, step, bytes: row.try_get(2)? });
                }
                Ok(chunks)
            }

            pub(crate) async fn calls(&self, before: i64, limit: usize) -> Result<Vec<ApiCall>> {
                let rows = query(sql::CALLS).bind(before).bind(signed(limit as u64));
                rows.fetch_all(&self.$pool).await?.iter().map(call).collect()
            }

            pub(crate) async fn held(
                &self,
                kind: WorkKind,
                owner: &str,
            ) -> Result<Option<Claimed>> {
                let row = query(sql::HELD).bind(kind.as_str()).bind(owner);
                let row = row.fetch_optional(&self.$pool).await?;
                row.map(|row| held(kind, &row)).transpose()
            }

            pub(crate) async fn runner(&self, digest: &[u8; 32]) -> Result<Option<Runner>> {
                let row = query(sql::RUNNER).bind(digest.as_slice()).fetch_optional(&self.$pool);
                row.await?.as_ref().map(runner).transpose()
            }

            pub(crate) async fn runners(&self) -> Result<Vec<Runner>> {
                query(sql::RUNNERS).fetch_all(&self.$pool).await?.iter().map(runner).collect()
            }

            pub(crate) async fn person(&self, instance: u32, id: u64) -> Result<Option<Person>> {
                let row = query(sql::PERSON).bind(i64::from(instance)).bind(signed(id));
                let Some(row) = row.fetch_optional(&self.$pool).await? else { return Ok(None) };
                Ok(Some(Person { instance, id, name: row.try_get(0)?, avatar: row.try_get(1)? }))
            }

            pub(crate) async fn instances(&self) -> Result<Vec<(u32, String)>> {
                let rows = query(sql::INSTANCES).fetch_all(&self.$pool).await?;
                rows.iter().map(|row| Ok((small(row, 0)?, row.try_get(1)?))).collect()
            }

            pub(crate) async fn secret(&self, name: &str) -> Result<Option<SecretString>> {
                let sealer = self.sealer.as_ref().ok_or(StoreError::Closed)?;
                let row = query(sql::SECRET).bind(name).fetch_optional(&self.$pool).await?;
                let Some(row) = row else { return Ok(None) };
                let (key_id, data_key) = (row.try_get(0)?, row.try_get(1)?);
                let sealed = Sealed { key_id, data_key, value: row.try_get(2)? };
                sealer.open_sealed(name, sealed).map(Some)
            }

            pub(crate) async fn secret_names(&self) -> Result<Vec<String>> {
                let rows = query(sql::SECRET_NAMES).fetch_all(&self.$pool).await?;
                rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
            }
        }
    };
}
pub(crate) use reads;

/// Single statements of the engine that write. Its `change` runs one and tells how many rows it
/// changed; its module `own` has what differs.
macro_rules! changes {
    ($engine:ty, $pool:ident) => {
        impl $engine {
            pub(crate) async fn prune_payloads(&self, age: Duration) -> Result<u64> {
                self.prune(own::PRUNE_PAYLOADS, age).await
            }

            pub(crate) async fn prune_logs(&self, age: Duration) -> Result<u64> {
                self.prune(own::PRUNE_LOGS, age).await
            }

            pub(crate) async fn prune_calls(&self, age: Duration) -> Result<u64> {
                self.prune(own::PRUNE_CALLS, age).await
            }

            /// Deletes in small bites, so that no writer waits for long.
            async fn prune(&self, statement: &'static str, age: Duration) -> Result<u64> {
                let before = self.clock.wall_micros().saturating_sub(micros(age));
                let mut pruned = 0;
                loop {
                    let some = self.change(statement, vec![Value::Number(before)]).await?;
                    pruned += some;
                    if some < sql::PRUNED_AT_ONCE {
                        return Ok(pruned);
                    }
                }
            }

            pub(crate) async fn erase_person(&self, instance: u32, id: u64) -> Result<bool> {
                let values = vec![Value::Number(i64::from(instance)), Value::Number(signed(id))];
                Ok(self.change(sql::ERASE_PERSON, values).await? > 0)
            }

            pub(crate) async fn ensure_instance(&self, base_url: &str) -> Result<u32> {
                let asked = || query(sql::INSTANCE).bind(base_url).fetch_optional(&self.$pool);
                if let Some(row) = asked().await? {
                    return small(&row, 0);
                }
                self.change(sql::NEW_INSTANCE, vec![Value::Text(base_url.to_owned())]).await?;
                let row = asked().await?;
                let gone = || StoreError::Corrupt("a new instance is not there".to_owned());
                small(&row.ok_or_else(gone)?, 0)
            }

            pub(crate) async fn ensure_secret(
                &self,
                name: &str,
                value: &SecretString,
            ) -> Result<SecretString> {
                let sealer = self.sealer.as_ref().ok_or(StoreError::Closed)?;
                let sealed = sealer.seal(name, value.expose_secret().as_bytes())?;
                let values = vec![
                    Value::Text(name.to_owned()),
                    Value::Text(sealed.key_id),
                    Value::Bytes(sealed.data_key),
                    Value::Bytes(sealed.value),
                ];
                self.change(sql::NEW_SECRET, values).await?;
                let gone = || StoreError::Corrupt(format!("the new secret `{name}` is not there"));
                self.secret(name).await?.ok_or_else(gone)
            }

            pub(crate) async fn add_runner(
                &self,
                name: &str,
                digest: &[u8; 32],
                pools: &[String],
            ) -> Result<bool> {
                let values = vec![
                    Value::Text(name.to_owned()),
                    Value::Bytes(digest.to_vec()),
                    Value::Text(serde_json::Value::from(pools).to_string()),
                    Value::Number(self.clock.wall_micros()),
                ];
                Ok(self.change(sql::ADD_RUNNER, values).await? > 0)
            }

            pub(crate) async fn remove_runner(&self, name: &str) -> Result<bool> {
                let values = vec![Value::Text(name.to_owned())];
                Ok(self.change(sql::REMOVE_RUNNER, values).await? > 0)
            }

            pub(crate) async fn runner_seen(&self, name: &str) -> Result<()> {
                let now = Value::Number(self.clock.wall_micros());
                self.change(sql::RUNNER_SEEN, vec![now, Value::Text(name.to_owned())]).await?;
                Ok(())
            }

            pub(crate) async fn delete_secret(&self, name: &str) -> Result<bool> {
                let values = vec![Value::Text(name.to_owned())];
                Ok(self.change(sql::DELETE_SECRET, values).await? > 0)
            }
        }
    };
}
pub(crate) use changes;
