//! Many events in one value. The driver hands rows over one by one, each column a copy of its own;
//! reading a long log that way costs five times what it costs SQLite to find it.
//!
//! A packed event is one line of numbers, then the columns end to end. Called by reads of the log;
//! whatever does not fit its lengths is [`StoreError::Corrupt`], never a panic.

use uuid::Uuid;

use super::Result;
use crate::envelope::Envelope;
use crate::error::StoreError;

/// What a line of numbers tells: four of the event, then the lengths of seven columns in bytes.
const NUMBERS: usize = 11;

/// All events of one packed value, in its order.
pub(super) fn unpack(packed: &[u8]) -> Result<Vec<Envelope>> {
    let mut rest = packed;
    let mut events = Vec::new();
    while !rest.is_empty() {
        events.push(event(&mut rest)?);
    }
    Ok(events)
}

fn event(rest: &mut &[u8]) -> Result<Envelope> {
    let end = rest.iter().position(|byte| *byte == b'\n').ok_or_else(|| corrupt("has no end"))?;
    let numbers = numbers(&rest[..end])?;
    *rest = &rest[end + 1..];
    let [position, version, schema_version, recorded_at, id, prev_hash, hash, texts @ ..] = numbers;
    let (id, prev_hash, hash) = (take(rest, id)?, take(rest, prev_hash)?, take(rest, hash)?);
    let mut text = |length| {
        let bytes = take(rest, length)?.to_vec();
        String::from_utf8(bytes).map_err(|_| corrupt("has a text that is not UTF-8"))
    };
    let [stream, kind, body, meta] = texts;
    Ok(Envelope {
        position,
        id: Uuid::from_slice(id).map_err(|e| StoreError::Corrupt(format!("event id: {e}")))?,
        stream: text(stream)?,
        version: u64::try_from(version).map_err(|_| corrupt("has a version less than 0"))?,
        kind: text(kind)?,
        schema_version: u32::try_from(schema_version)
            .map_err(|_| corrupt("has an odd schema version"))?,
        body: text(body)?,
        meta: text(meta)?,
        recorded_at,
        prev_hash: digest(prev_hash)?,
        hash: digest(hash)?,
    })
}

fn numbers(line: &[u8]) -> Result<[i64; NUMBERS]> {
    let line = std::str::from_utf8(line).unwrap_or_default();
    let mut words = line.split(' ');
    let mut numbers = [0; NUMBERS];
    for number in &mut numbers {
        let word = words.next().and_then(|word| word.parse().ok());
        *number = word.ok_or_else(|| corrupt("has a line of odd numbers"))?;
    }
    Ok(numbers)
}

fn take<'a>(rest: &mut &'a [u8], length: i64) -> Result<&'a [u8]> {
    let split = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
    let (column, behind) = split.ok_or_else(|| corrupt("is shorter than it says"))?;
    *rest = behind;
    Ok(column)
}

fn digest(bytes: &[u8]) -> Result<[u8; 32]> {
    bytes.try_into().map_err(|_| corrupt("has a hash that has not 32 bytes"))
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("an event {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(hash: usize, kind: &str) -> Vec<u8> {
        let head = format!("1 2 3 4 16 32 {hash} 1 {} 2 2\n", kind.len());
        let bytes = [7; 48];
        [head.as_bytes(), &bytes, &[9; 32][..hash.min(32)], b"s", kind.as_bytes(), b"{}[]"].concat()
    }

    #[test]
    fn events_come_out_as_they_went_in() {
        let two = [packed(32, "run\nq"), packed(32, "")].concat();
        let events = unpack(&two).unwrap();
        let event = &events[0];
        assert_eq!((event.position, event.version, event.schema_version), (1, 2, 3));
        assert_eq!((event.stream.as_str(), event.kind.as_str()), ("s", "run\nq"));
        assert_eq!((event.body.as_str(), event.meta.as_str()), ("{}", "[]"));
        assert_eq!((event.recorded_at, event.hash), (4, [9; 32]));
        assert_eq!((events.len(), events[1].kind.as_str()), (2, ""));
        assert!(unpack(b"").unwrap().is_empty());
    }

    #[test]
    fn whatever_is_cut_or_odd_is_corrupt() {
        let whole = packed(32, "k");
        for length in 1..whole.len() {
            assert!(matches!(unpack(&whole[..length]), Err(StoreError::Corrupt(_))), "{length}");
        }
        for odd in [packed(3, "k"), packed(33, "k"), b"1 2 3 4\n".to_vec(), b"x\n".to_vec()] {
            assert!(matches!(unpack(&odd), Err(StoreError::Corrupt(_))), "{odd:?}");
        }
        let mut negative = whole;
        negative.splice(2..3, *b"-2");
        assert!(unpack(&negative).is_err());
    }
}
