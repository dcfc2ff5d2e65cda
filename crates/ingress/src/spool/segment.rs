//! A file of the spool: records, one after the other.
//!
//! A record is [`MARK`], the length of its content, that length with all bits turned over, the
//! SHA-256 of the content, and the content: the length of the head, the head ([`Head`] as JSON) and
//! the body (lz4). Lengths have four bytes, most significant first. So the end that a kill left is
//! told from damage, and behind damage the next record is found again.

use std::io;
use std::path::PathBuf;

use aldis_domain::event::Event;
use aldis_domain::id::ProjectKey;
use aldis_store::{NewEvent, sha256};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::delivery::Delivery;

/// Its first byte is in no text, and GitLab's bodies are text.
const MARK: [u8; 8] = *b"\xffALDIS1\n";
/// Mark, two lengths and digest.
const BEFORE_CONTENT: usize = 8 + 4 + 4 + 32;

/// A file, and how many bytes of it count.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
}

/// All of a delivery but its body.
#[derive(Serialize, Deserialize)]
struct Head {
    id: Uuid,
    kind: String,
    schema_version: u32,
    event: String,
    project: Option<ProjectKey>,
}

/// What is found at a place of a file.
enum Found<'a> {
    Content(&'a [u8]),
    /// The file ends within a record. The process died while it wrote it, and had told nobody that
    /// it is kept.
    CutShort,
    Damage,
}

impl Segment {
    /// The deliveries in the order in which they came, and whether they are all that was kept.
    pub(crate) async fn read(&self) -> (Vec<Delivery>, bool) {
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || std::fs::read(path)).await;
        match read.map_err(io::Error::other).flatten() {
            Ok(bytes) => decode(&bytes),
            Err(error) => {
                tracing::error!(%error, file = %self.path.display(), "the spool cannot be read");
                (Vec::new(), false)
            }
        }
    }
}

/// The record of a delivery.
pub(super) fn encode(delivery: &Delivery) -> Vec<u8> {
    let NewEvent { id, event, payload } = &delivery.new;
    let head = Head {
        id: *id,
        kind: event.kind().to_owned(),
        schema_version: Event::SCHEMA_VERSION,
        event: event.body(),
        project: delivery.project,
    };
    let head = serde_json::to_vec(&head).expect("a head holds only strings and numbers");
    let body = payload.as_deref().unwrap_or_default();
    let content = [&length(head.len()), head.as_slice(), body].concat();
    let length = length(content.len());
    [&MARK, length.as_slice(), &length.map(|byte| !byte), &sha256(&content), &content].concat()
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("bodies end at 25 MiB").to_be_bytes()
}

/// See [`Segment::read`].
fn decode(bytes: &[u8]) -> (Vec<Delivery>, bool) {
    let (mut deliveries, mut is_whole) = (Vec::new(), true);
    let mut rest = bytes;
    while !rest.is_empty() {
        match find(rest) {
            Found::Content(content) => {
                match delivery(content) {
                    Some(delivery) => deliveries.push(delivery),
                    None => is_whole = false,
                }
                rest = &rest[BEFORE_CONTENT + content.len()..];
            }
            Found::CutShort => break,
            Found::Damage => {
                is_whole = false;
                let is_record = |at: &usize| matches!(find(&rest[*at..]), Found::Content(_));
                rest = (1..rest.len()).find(is_record).map_or(&[], |at| &rest[at..]);
            }
        }
    }
    // Those that waited for the store together came here in any order, and their ids grow.
    deliveries.sort_by_key(|delivery| delivery.new.id);
    (deliveries, is_whole)
}

fn find(bytes: &[u8]) -> Found<'_> {
    if !bytes.iter().zip(&MARK).all(|(byte, mark)| byte == mark) {
        return Found::Damage;
    }
    let Some((before, rest)) = bytes.split_at_checked(BEFORE_CONTENT) else {
        return Found::CutShort;
    };
    let ([length, turned], digest) = ([&before[8..12], &before[12..16]], &before[16..]);
    if length.iter().zip(turned).any(|(byte, turned)| *byte != !turned) {
        return Found::Damage;
    }
    let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    match rest.get(..length) {
        Some(content) if sha256(content) == digest => Found::Content(content),
        Some(_) => Found::Damage,
        None => Found::CutShort,
    }
}

/// `None`: a newer Aldis wrote it.
fn delivery(content: &[u8]) -> Option<Delivery> {
    let (length, rest) = content.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (head, body) = rest.split_at_checked(length)?;
    let head: Head = serde_json::from_slice(head).ok()?;
    let event = Event::decode(&head.kind, head.schema_version, &head.event).ok()?;
    let new = NewEvent { id: head.id, event, payload: Some(body.into()) };
    Some(Delivery { new, project: head.project })
}

#[cfg(test)]
mod tests;
