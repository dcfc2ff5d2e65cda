//! Many events in one value. The driver hands rows over one by one, each column a copy of its own;
//! reading a long log that way costs five times what it costs SQLite to find it.
//!
//! A packed event is eight numbers and texts, then the id and both hashes, a line feed behind each.
//! None of the texts holds a line feed: they are names, and JSON on one line.

use uuid::Uuid;

use crate::envelope::Envelope;

const ID: usize = 16;
const HASH: usize = 32;

/// All events of one packed value, in its order. Nothing if they cannot be told apart: somebody
/// changed a row, and its columns say more.
pub(super) fn unpack(packed: &[u8]) -> Option<Vec<Envelope>> {
    let mut rest = packed;
    let mut events = Vec::new();
    while !rest.is_empty() {
        events.push(event(&mut rest)?);
    }
    Some(events)
}

fn event(rest: &mut &[u8]) -> Option<Envelope> {
    Some(Envelope {
        position: number(rest)?,
        version: number(rest)?,
        schema_version: number(rest)?,
        recorded_at: number(rest)?,
        stream: text(rest)?.to_owned(),
        kind: text(rest)?.to_owned(),
        body: text(rest)?.to_owned(),
        meta: text(rest)?.to_owned(),
        id: Uuid::from_bytes(bytes::<ID>(rest)?),
        prev_hash: bytes::<HASH>(rest)?,
        hash: bytes::<HASH>(rest)?,
    })
}

fn number<T: std::str::FromStr>(rest: &mut &[u8]) -> Option<T> {
    text(rest)?.parse().ok()
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let end = memchr::memchr(b'\n', rest)?;
    let text = std::str::from_utf8(&rest[..end]).ok()?;
    *rest = &rest[end + 1..];
    Some(text)
}

fn bytes<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, behind) = rest.split_first_chunk()?;
    *rest = behind.strip_prefix(b"\n")?;
    Some(*bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(texts: &str, hash: &[u8]) -> Vec<u8> {
        [texts.as_bytes(), b"\n", &[10; ID], b"\n", &[10; HASH], b"\n", hash, b"\n"].concat()
    }

    #[test]
    fn events_come_out_as_they_went_in() {
        let one = packed("7\n2\n1\n-4\ns\nrun_queued\n{}\n[]", &[9; HASH]);
        let two = [one, packed("8\n1\n1\n5\n\n\n\n", &[0; HASH])].concat();
        let events = unpack(&two).unwrap();
        let event = &events[0];
        assert_eq!((event.position, event.version, event.schema_version), (7, 2, 1));
        assert_eq!((event.stream.as_str(), event.kind.as_str()), ("s", "run_queued"));
        assert_eq!((event.body.as_str(), event.meta.as_str()), ("{}", "[]"));
        assert_eq!((event.recorded_at, event.prev_hash, event.hash), (-4, [10; 32], [9; 32]));
        assert_eq!(event.id, Uuid::from_bytes([10; ID]));
        assert_eq!((events.len(), events[1].meta.as_str()), (2, ""));
        assert!(unpack(b"").unwrap().is_empty());
    }

    #[test]
    fn what_cannot_be_told_apart_is_left_to_its_columns() {
        let texts = "7\n2\n1\n4\ns\nk\n{}\n[]";
        let whole = packed(texts, &[9; HASH]);
        assert!(unpack(&whole).is_some());
        for length in 1..whole.len() {
            assert_eq!(unpack(&whole[..length]), None, "{length}");
        }
        for odd in ["7\n2\n1\n4\ns\nk\n{\n}\n[]", "7\n-2\n1\n4\ns\nk\n{}\n[]", "x", ""] {
            assert_eq!(unpack(&packed(odd, &[9; HASH])), None, "{odd:?}");
        }
        for hash in [HASH - 1, HASH + 1] {
            assert_eq!(unpack(&packed(texts, &vec![9; hash])), None, "{hash}");
        }
    }
}
