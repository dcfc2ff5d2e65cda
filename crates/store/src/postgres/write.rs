//! What a transaction of appends asks and writes.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Row, query};
use uuid::Uuid;

use super::beside::unsigned;
use super::statement::Statement;
use super::writer::WaitingAppend;
use super::{Result, sql as own};
use crate::append::{Answer, ApiCall, Append, Expected, Person};
use crate::envelope::Head;
use crate::error::StoreError;
use crate::judge::{DueRow, Facts, Judgement};
use crate::number::{millis, signed};
use crate::work::WorkKey;

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

/// Why nothing was written.
#[derive(Debug)]
pub(super) enum Miss {
    /// The log ends here.
    Behind(End),
    /// What was expected is not so, or the log has grown in this very moment.
    Refused,
}

/// Writes all of it, or nothing if `judged_by` is not the head any more, or, as may be where nobody
/// had asked, a lease is not held, a stream has not come so far, or something of it is there
/// already.
pub(super) async fn write(
    db: &mut PgConnection,
    judged_by: Head,
    judgement: &Judgement,
    taken: &[&Append],
) -> Result<std::result::Result<(), Miss>> {
    let mut statement = Statement::default();
    head(statement.part("WITH "), judged_by, judgement, taken);
    events(&mut statement, judgement);
    work(&mut statement, judgement);
    let calls: Vec<&ApiCall> = taken.iter().flat_map(|append| &append.calls).collect();
    if !calls.is_empty() {
        bind_calls(statement.part(own::AUDITED), &calls);
    }
    people(&mut statement, taken);
    statement.part(own::DID_MOVE);
    let row = match statement.query()?.fetch_one(db).await {
        Ok(row) => row,
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
            return Ok(Err(Miss::Refused));
        }
        Err(error) => return Err(error.into()),
    };
    if row.try_get::<Option<i64>, _>(0)?.is_some() {
        return Ok(Ok(()));
    }
    let end = end_of(&row, [1, 2, 3, 4])?;
    // Who had to wait for the head sees it as it was before.
    Ok(Err(if end.head == judged_by { Miss::Refused } else { Miss::Behind(end) }))
}

/// Moves it, if all that the group relies on is so.
fn head(statement: &mut Statement, judged_by: Head, judgement: &Judgement, taken: &[&Append]) {
    let fences: BTreeSet<(&WorkKey, u64)> =
        taken.iter().filter_map(|a| a.fence.as_ref()).map(|f| (&f.key, f.epoch)).collect();
    let (from, to) = (judged_by, judgement.head);
    if !fences.is_empty() {
        statement
            .part(own::HELD)
            .bind(from.position)
            .bind(from.hash.as_slice())
            .bind(fences.iter().map(|(key, _)| key.kind.as_str()).collect::<Vec<_>>())
            .bind(fences.iter().map(|(key, _)| key.key.as_str()).collect::<Vec<_>>())
            .bind(fences.iter().map(|(_, epoch)| signed(*epoch)).collect::<Vec<_>>());
    }
    statement
        .part(own::MOVED)
        .bind(to.position)
        .bind(to.hash.as_slice())
        .bind(judgement.recorded_at)
        .bind(from.position)
        .bind(from.hash.as_slice());
    if !fences.is_empty() {
        statement.part(own::IF_HELD).bind(signed(fences.len() as u64));
    }
    let versions = &judgement.facts.versions;
    if !versions.is_empty() {
        statement
            .part(own::IF_REACHED)
            .bind(versions.keys().map(String::as_str).collect::<Vec<_>>())
            .bind(versions.values().map(|version| signed(*version)).collect::<Vec<_>>());
    }
    let guards = guards(taken);
    if !guards.is_empty() {
        statement
            .part(own::IF_NOT_REACHED)
            .bind(guards.keys().copied().collect::<Vec<_>>())
            .bind(guards.values().map(|version| signed(*version + 1)).collect::<Vec<_>>());
    }
    statement.part(own::END_OF_MOVED);
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

fn events(statement: &mut Statement, judgement: &Judgement) {
    let all = || judgement.events.iter();
    if !judgement.events.is_empty() {
        statement
            .part(own::WRITTEN)
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
            .bind(all().map(|event| event.hash.as_slice()).collect::<Vec<_>>());
    }
    let payloads = || judgement.payloads.iter();
    if !judgement.payloads.is_empty() {
        statement
            .part(own::KEPT)
            .bind(judgement.recorded_at)
            .bind(payloads().map(|(position, _)| *position).collect::<Vec<_>>())
            .bind(payloads().map(|(_, bytes)| bytes.as_ref()).collect::<Vec<_>>());
    }
}

fn work(statement: &mut Statement, judgement: &Judgement) {
    let changes = || judgement.work.iter();
    let over: Vec<_> =
        changes().filter(|(_, c)| c.delete && c.due.is_none()).map(|(key, _)| key).collect();
    if !over.is_empty() {
        statement
            .part(own::OVER)
            .bind(over.iter().map(|key| key.kind.as_str()).collect::<Vec<_>>())
            .bind(over.iter().map(|key| key.key.as_str()).collect::<Vec<_>>());
    }
    let due = |anew: bool, reset: bool| -> Vec<(&WorkKey, DueRow)> {
        changes()
            .filter(|(_, change)| change.delete == anew)
            .filter_map(|(key, change)| Some((key, change.due?)))
            .filter(|(_, due)| anew || due.reset == reset)
            .collect()
    };
    let parts = [
        (own::TOUCHED, due(false, false)),
        (own::RESET, due(false, true)),
        (own::ANEW, due(true, false)),
    ];
    for (part, rows) in parts.into_iter().filter(|(_, rows)| !rows.is_empty()) {
        statement
            .part(part)
            .bind(rows.iter().map(|(key, _)| key.kind.as_str()).collect::<Vec<_>>())
            .bind(rows.iter().map(|(key, _)| key.key.as_str()).collect::<Vec<_>>())
            .bind(rows.iter().map(|(_, due)| i64::from(due.class)).collect::<Vec<_>>())
            .bind(rows.iter().map(|(_, due)| due.due_at).collect::<Vec<_>>());
        if part == own::TOUCHED {
            statement.bind(judgement.recorded_at / 1000);
        }
    }
}

/// Binds nine lists.
pub(super) fn bind_calls(statement: &mut Statement, calls: &[&ApiCall]) {
    let all = || calls.iter();
    statement
        .bind(all().map(|call| call.at).collect::<Vec<_>>())
        .bind(all().map(|call| i64::from(call.instance)).collect::<Vec<_>>())
        .bind(all().map(|call| call.token.as_str()).collect::<Vec<_>>())
        .bind(all().map(|call| call.method.as_str()).collect::<Vec<_>>())
        .bind(all().map(|call| call.path.as_str()).collect::<Vec<_>>())
        .bind(all().map(|call| call.status.map(i64::from)).collect::<Vec<_>>())
        .bind(all().map(|call| millis(call.took)).collect::<Vec<_>>())
        .bind(all().map(|call| call.request_id.as_deref()).collect::<Vec<_>>())
        .bind(all().map(|call| call.cause).collect::<Vec<_>>());
}

fn people(statement: &mut Statement, taken: &[&Append]) {
    // One statement must not change a row twice; the last one counts.
    let people: BTreeMap<(u32, u64), &Person> =
        taken.iter().flat_map(|append| &append.people).map(|p| ((p.instance, p.id), p)).collect();
    let all = || people.values();
    if !people.is_empty() {
        statement
            .part(own::NAMED)
            .bind(all().map(|person| i64::from(person.instance)).collect::<Vec<_>>())
            .bind(all().map(|person| signed(person.id)).collect::<Vec<_>>())
            .bind(all().map(|person| without_nul(&person.name)).collect::<Vec<_>>())
            .bind(
                all().map(|person| person.avatar.as_deref().map(without_nul)).collect::<Vec<_>>(),
            );
    }
}

/// Postgres has no texts with a NUL, and a name may hold one.
pub(super) fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
