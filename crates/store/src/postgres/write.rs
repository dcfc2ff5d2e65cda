//! What a transaction of appends asks and writes.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Row, query};
use uuid::Uuid;

use super::beside::unsigned;
use super::writer::WaitingAppend;
use super::{Result, sql as own};
use crate::append::{Answer, ApiCall, Append, Expected, Person};
use crate::envelope::Head;
use crate::error::StoreError;
use crate::judge::{DueRow, Facts, Judgement};
use crate::number::{millis, signed};
use crate::work::WorkKey;

type Asked<'q> = Query<'q, Postgres, PgArguments>;

/// The end of the log, and the times of both.
#[derive(Debug)]
pub(super) struct End {
    pub(super) head: Head,
    /// When its last event was recorded, in microseconds since 1970.
    pub(super) recorded_at: i64,
    /// What the database's clock says.
    pub(super) now: i64,
}

/// In a transaction, `locked` keeps leases from changing hands before it ends.
pub(super) async fn facts(
    db: &mut PgConnection,
    group: &[WaitingAppend],
    locked: bool,
) -> Result<(End, Facts)> {
    let writes = || group.iter().flat_map(|waiting| &waiting.ready.append.writes);
    let streams: BTreeSet<&str> = writes().map(|write| write.stream.as_str()).collect();
    let streams: Vec<&str> = streams.into_iter().collect();
    let fences = group.iter().filter_map(|waiting| waiting.ready.append.fence.as_ref());
    let fences: BTreeSet<&WorkKey> = fences.map(|fence| &fence.key).collect();
    let fences: Vec<&WorkKey> = fences.into_iter().collect();
    // An expected version finds repeats by itself; `Any` does not.
    let unguarded = writes().filter(|write| write.expected == Expected::Any);
    let ids: Vec<Uuid> =
        unguarded.flat_map(|write| write.events.iter().map(|event| event.id)).collect();
    let asked = query(if locked { own::LOCKED_FACTS } else { own::FACTS })
        .bind(&streams)
        .bind(fences.iter().map(|key| key.kind.as_str()).collect::<Vec<_>>())
        .bind(fences.iter().map(|key| key.key.as_str()).collect::<Vec<_>>())
        .bind(&ids);
    let (mut end, mut facts) = (None, Facts::default());
    for row in asked.fetch_all(db).await? {
        let place: i64 = row.try_get(1)?;
        let place = usize::try_from(place - 1).unwrap_or(usize::MAX);
        let unasked = || StoreError::Corrupt("a fact nobody asked for".to_owned());
        match row.try_get::<i64, _>(0)? {
            0 => {
                let stream = *streams.get(place).ok_or_else(unasked)?;
                facts.versions.insert(stream.to_owned(), unsigned(&row, 2)?);
            }
            1 => {
                let key = *fences.get(place).ok_or_else(unasked)?;
                facts.leases.insert(key.clone(), unsigned(&row, 2)?);
            }
            2 => {
                facts.known.insert(row.try_get(3)?);
            }
            _ => end = Some(end_of(&row, [2, 4, 1, 5])?),
        }
    }
    let end = end.ok_or_else(|| StoreError::Corrupt("the log has no head".to_owned()))?;
    Ok((end, facts))
}

/// From the columns of the head's position, its hash, its time, and the database's.
pub(super) fn end_of(row: &PgRow, [position, hash, recorded_at, now]: [usize; 4]) -> Result<End> {
    let odd = |_| StoreError::Corrupt("the head's hash has not 32 bytes".to_owned());
    let hash = row.try_get::<&[u8], _>(hash)?.try_into().map_err(odd)?;
    let head = Head { position: row.try_get(position)?, hash };
    Ok(End { head, recorded_at: row.try_get(recorded_at)?, now: row.try_get(now)? })
}

/// Turns refusals of what is stored already into [`Answer::Seen`].
pub(super) async fn find_repeats(db: &mut PgConnection, group: &mut [WaitingAppend]) -> Result<()> {
    let refused = group.iter().filter(|waiting| waiting.is_refused());
    let ids: Vec<Uuid> = refused.flat_map(|w| w.ready.append.event_ids()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let none: &[&str] = &[];
    let rows = query(own::FACTS).bind(none).bind(none).bind(none).bind(&ids).fetch_all(db).await?;
    let known: HashSet<Uuid> = rows.iter().filter_map(|row| row.try_get(3).ok()).collect();
    for waiting in group.iter_mut().filter(|waiting| waiting.is_refused()) {
        if waiting.ready.append.event_ids().any(|id| known.contains(&id)) {
            waiting.answer = Some(Answer::Seen);
        }
    }
    Ok(())
}

/// Writes all of it, or nothing if `judged_by` is not the head any more, or, as may be where nobody
/// had asked, a lease is not held, a stream has not come so far, or something of it is there
/// already; whether it wrote.
pub(super) async fn write(
    db: &mut PgConnection,
    judged_by: Head,
    judgement: &Judgement,
    taken: &[&Append],
) -> Result<bool> {
    let fences: BTreeSet<(&WorkKey, u64)> =
        taken.iter().filter_map(|a| a.fence.as_ref()).map(|f| (&f.key, f.epoch)).collect();
    let versions = &judgement.facts.versions;
    let guards = guards(taken);
    let is_checked = !fences.is_empty() || !versions.is_empty() || !guards.is_empty();
    let statement = if is_checked { own::WRITE_CHECKED } else { own::WRITE };
    let asked = events(query(statement), judgement);
    let asked = work(asked, judgement);
    let calls: Vec<&ApiCall> = taken.iter().flat_map(|append| &append.calls).collect();
    let asked = people(bind_calls(asked, &calls), taken);
    let mut asked = asked
        .bind(judgement.head.position)
        .bind(judgement.head.hash.as_slice())
        .bind(judgement.recorded_at)
        .bind(judged_by.position)
        .bind(judged_by.hash.as_slice());
    if is_checked {
        asked = asked
            .bind(fences.iter().map(|(key, _)| key.kind.as_str()).collect::<Vec<_>>())
            .bind(fences.iter().map(|(key, _)| key.key.as_str()).collect::<Vec<_>>())
            .bind(fences.iter().map(|(_, epoch)| signed(*epoch)).collect::<Vec<_>>())
            .bind(versions.keys().map(String::as_str).collect::<Vec<_>>())
            .bind(versions.values().map(|version| signed(*version)).collect::<Vec<_>>())
            .bind(guards.keys().copied().collect::<Vec<_>>())
            .bind(guards.values().map(|version| signed(*version + 1)).collect::<Vec<_>>());
    }
    match asked.fetch_optional(db).await {
        Ok(moved) => Ok(moved.is_some()),
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Streams that must have this version and no later one, though nothing is added to them, with which a
/// later one would collide.
fn guards<'a>(taken: &[&'a Append]) -> BTreeMap<&'a str, u64> {
    let writes = || taken.iter().flat_map(|append| &append.writes);
    let mut guards = BTreeMap::new();
    for write in writes().filter(|write| write.events.is_empty()) {
        let version = match write.expected {
            Expected::Any => continue,
            Expected::NoStream => 0,
            Expected::Version(version) => version,
        };
        guards.insert(write.stream.as_str(), version);
    }
    for write in writes().filter(|write| !write.events.is_empty()) {
        guards.remove(write.stream.as_str());
    }
    guards
}

fn events<'q>(asked: Asked<'q>, judgement: &'q Judgement) -> Asked<'q> {
    let all = || judgement.events.iter();
    let payloads = || judgement.payloads.iter();
    asked
        .bind(all().map(|event| event.position).collect::<Vec<_>>())
        .bind(all().map(|event| event.id).collect::<Vec<_>>())
        .bind(all().map(|event| event.stream.as_str()).collect::<Vec<_>>())
        .bind(all().map(|event| signed(event.version)).collect::<Vec<_>>())
        .bind(all().map(|event| event.kind.as_str()).collect::<Vec<_>>())
        .bind(all().map(|event| i64::from(event.schema_version)).collect::<Vec<_>>())
        .bind(all().map(|event| event.body.as_str()).collect::<Vec<_>>())
        .bind(all().map(|event| event.meta.as_str()).collect::<Vec<_>>())
        .bind(all().map(|event| event.recorded_at).collect::<Vec<_>>())
        .bind(all().map(|event| event.prev_hash.as_slice()).collect::<Vec<_>>())
        .bind(all().map(|event| event.hash.as_slice()).collect::<Vec<_>>())
        .bind(payloads().map(|(position, _)| *position).collect::<Vec<_>>())
        .bind(payloads().map(|(_, bytes)| bytes.as_ref()).collect::<Vec<_>>())
        .bind(judgement.recorded_at)
}

fn work<'q>(asked: Asked<'q>, judgement: &'q Judgement) -> Asked<'q> {
    let changes = || judgement.work.iter();
    let over: Vec<_> =
        changes().filter(|(_, c)| c.delete && c.due.is_none()).map(|(key, _)| key).collect();
    let asked = asked
        .bind(over.iter().map(|key| key.kind.as_str()).collect::<Vec<_>>())
        .bind(over.iter().map(|key| key.key.as_str()).collect::<Vec<_>>());
    let due = |anew: bool, reset: bool| -> Vec<(&WorkKey, DueRow)> {
        changes()
            .filter(|(_, change)| change.delete == anew)
            .filter_map(|(key, change)| Some((key, change.due?)))
            .filter(|(_, due)| anew || due.reset == reset)
            .collect()
    };
    [due(false, false), due(false, true), due(true, false)].into_iter().fold(
        asked,
        |asked, rows| {
            asked
                .bind(rows.iter().map(|(key, _)| key.kind.as_str()).collect::<Vec<_>>())
                .bind(rows.iter().map(|(key, _)| key.key.as_str()).collect::<Vec<_>>())
                .bind(rows.iter().map(|(_, due)| i64::from(due.class)).collect::<Vec<_>>())
                .bind(rows.iter().map(|(_, due)| due.due_at).collect::<Vec<_>>())
        },
    )
}

/// Binds nine lists.
pub(super) fn bind_calls<'q>(asked: Asked<'q>, calls: &[&'q ApiCall]) -> Asked<'q> {
    let all = || calls.iter();
    asked
        .bind(all().map(|call| call.at).collect::<Vec<_>>())
        .bind(all().map(|call| i64::from(call.instance)).collect::<Vec<_>>())
        .bind(all().map(|call| call.token.as_str()).collect::<Vec<_>>())
        .bind(all().map(|call| call.method.as_str()).collect::<Vec<_>>())
        .bind(all().map(|call| call.path.as_str()).collect::<Vec<_>>())
        .bind(all().map(|call| call.status.map(i64::from)).collect::<Vec<_>>())
        .bind(all().map(|call| millis(call.took)).collect::<Vec<_>>())
        .bind(all().map(|call| call.request_id.as_deref()).collect::<Vec<_>>())
        .bind(all().map(|call| call.cause).collect::<Vec<_>>())
}

fn people<'q>(asked: Asked<'q>, taken: &[&'q Append]) -> Asked<'q> {
    // One statement must not change a row twice; the last one counts.
    let people: BTreeMap<(u32, u64), &Person> =
        taken.iter().flat_map(|append| &append.people).map(|p| ((p.instance, p.id), p)).collect();
    let all = || people.values();
    asked
        .bind(all().map(|person| i64::from(person.instance)).collect::<Vec<_>>())
        .bind(all().map(|person| signed(person.id)).collect::<Vec<_>>())
        .bind(all().map(|person| without_nul(&person.name)).collect::<Vec<_>>())
        .bind(all().map(|person| person.avatar.as_deref().map(without_nul)).collect::<Vec<_>>())
}

/// Postgres has no texts with a NUL, and a name may hold one.
pub(super) fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
