//! One row as it moves, and its text: a JSON list of the table's name and the columns. Bytes are in
//! base 64.

use std::{fmt, ptr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use super::table::{EVENTS, Kind, SECRETS, TABLES, Table};
use crate::envelope::Envelope;
use crate::secret::Sealed;
use crate::value::Value;

/// A row of one of the tables that move. Each value is null or what its column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub(crate) table: &'static Table,
    pub(crate) values: Vec<Value>,
}

impl Record {
    /// The event that it is, if it is one.
    pub(super) fn event(&self) -> Option<Result<Envelope, &'static str>> {
        let is_event = ptr::eq(self.table, &raw const EVENTS);
        is_event.then(|| envelope(&self.values).ok_or("a column is missing or odd"))
    }

    /// Name and content, if it is a secret.
    pub(super) fn secret(&self) -> Option<(&str, Sealed)> {
        match self.values.as_slice() {
            [
                Value::Text(name),
                Value::Text(key_id),
                Value::Bytes(data_key),
                Value::Bytes(value),
            ] if ptr::eq(self.table, &raw const SECRETS) => {
                let (key_id, data_key) = (key_id.clone(), data_key.clone());
                Some((name, Sealed { key_id, data_key, value: value.clone() }))
            }
            _ => None,
        }
    }
}

fn envelope(values: &[Value]) -> Option<Envelope> {
    use Value::{Bytes, Number, Text};
    let [
        Number(position),
        Bytes(id),
        Text(stream),
        Number(version),
        Text(kind),
        Number(schema_version),
        Text(body),
        Text(meta),
        Number(recorded_at),
        Bytes(prev_hash),
        Bytes(hash),
    ] = values
    else {
        return None;
    };
    Some(Envelope {
        position: *position,
        id: Uuid::from_slice(id).ok()?,
        stream: stream.clone(),
        version: u64::try_from(*version).ok()?,
        kind: kind.clone(),
        schema_version: u32::try_from(*schema_version).ok()?,
        body: body.clone(),
        meta: meta.clone(),
        recorded_at: *recorded_at,
        prev_hash: prev_hash.as_slice().try_into().ok()?,
        hash: hash.as_slice().try_into().ok()?,
    })
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(1 + self.values.len()))?;
        list.serialize_element(self.table.name)?;
        for ((_, kind), value) in self.table.columns.iter().zip(&self.values) {
            match (kind, value) {
                (_, Value::Null) => list.serialize_element(&()),
                (_, Value::Number(number)) => list.serialize_element(number),
                (_, Value::Text(text)) => list.serialize_element(text),
                (Kind::Id, Value::Bytes(id)) => list.serialize_element(&Uuid::from_slice(id).ok()),
                (_, Value::Bytes(bytes)) => list.serialize_element(&STANDARD.encode(bytes)),
            }?;
        }
        list.end()
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Columns)
    }
}

struct Columns;

impl<'de> Visitor<'de> for Columns {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of a table's name and its columns")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Record, A::Error> {
        let name: String = next(&mut list)?;
        let table = TABLES.into_iter().find(|table| table.name == name);
        let table = table.ok_or_else(|| A::Error::custom(format!("no table `{name}` moves")))?;
        let mut values = Vec::with_capacity(table.columns.len());
        for (_, kind) in table.columns {
            values.push(match kind {
                Kind::Number | Kind::Due => next::<Option<i64>, _>(&mut list)?.into(),
                Kind::Text | Kind::Prose => next::<Option<String>, _>(&mut list)?.into(),
                Kind::Bytes => match next::<Option<String>, _>(&mut list)? {
                    Some(text) => STANDARD.decode(text).map_err(A::Error::custom)?.into(),
                    None => Value::Null,
                },
                Kind::Id => next::<Option<Uuid>, _>(&mut list)?.into(),
            });
        }
        Ok(Record { table, values })
    }
}

fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(list: &mut A) -> Result<T, A::Error> {
    list.next_element()?.ok_or_else(|| A::Error::custom("a column is missing"))
}
