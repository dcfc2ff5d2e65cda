//! Appends of one group: gather facts, judge, write.

use std::collections::{BTreeSet, HashMap, HashSet};

use sqlx::Row;
use uuid::Uuid;

use super::session::Session;
use super::{Now, WaitingAppend};
use crate::append::{Answer, ApiCall, Append, Expected};
use crate::envelope::Head;
use crate::error::StoreError;
use crate::judge::{DueRow, Facts, Judgement};
use crate::number::{millis, signed};
use crate::sql;
use crate::sqlite::Result;
use crate::sqlite::beside::unsigned;
use crate::sqlite::read::json_list;
use crate::value::Value;
use crate::work::WorkKey;

/// Judges and writes; leaves the answers with the appends. Returns what is written.
pub(super) async fn run(
    db: &mut Session<'_>,
    appends: &mut [WaitingAppend],
    head: Head,
    now: Now,
) -> Result<Judgement> {
    let facts = facts(db, appends).await?;
    let mut judgement = Judgement::new(facts, head, now.lease, now.wall);
    for waiting in appends.iter_mut() {
        waiting.answer = Some(judgement.judge(&waiting.ready));
    }
    find_repeats(db, appends).await?;
    let taken: Vec<&Append> = appends
        .iter()
        .filter(|waiting| matches!(waiting.answer, Some(Answer::Appended { .. })))
        .map(|waiting| &waiting.ready.append)
        .collect();
    write_events(db, &judgement).await?;
    write_work(db, &judgement).await?;
    db.insert(&sql::PAYLOADS, &judgement.payloads, |(position, bytes)| {
        [(*position).into(), bytes.as_ref().into(), now.wall.into()]
    })
    .await?;
    write_beside(db, &taken).await?;
    if judgement.head != head {
        let Head { position, hash } = judgement.head;
        db.add(sql::MOVE_HEAD, &[position.into(), hash.as_slice().into()]);
    }
    Ok(judgement)
}

async fn facts(db: &mut Session<'_>, appends: &[WaitingAppend]) -> Result<Facts> {
    let writes = || appends.iter().flat_map(|waiting| &waiting.ready.append.writes);
    let streams: BTreeSet<&str> = writes().map(|write| write.stream.as_str()).collect();
    let fences = appends.iter().filter_map(|w| w.ready.append.fence.as_ref());
    let fences: BTreeSet<&WorkKey> = fences.map(|fence| &fence.key).collect();
    let fences: Vec<&WorkKey> = fences.into_iter().collect();
    // An expected version finds repeats by itself; `Any` does not.
    let unguarded = writes().filter(|write| write.expected == Expected::Any);
    let ids = unguarded.flat_map(|write| write.events.iter().map(|event| event.id));
    let asked = [json_list(streams), work_keys(fences.iter().copied()), id_list(ids)];
    let mut facts = Facts::default();
    for row in db.rows(sql::sqlite::FACTS, &asked.map(Value::Text)).await? {
        match row.try_get::<i64, _>(0)? {
            0 => {
                facts.versions.insert(row.try_get(1)?, unsigned(&row, 2)?);
            }
            1 => {
                let index: i64 = row.try_get(1)?;
                let key = usize::try_from(index).ok().and_then(|index| fences.get(index));
                let key =
                    key.ok_or_else(|| StoreError::Corrupt("a lease nobody asked for".into()))?;
                facts.leases.insert((*key).clone(), unsigned(&row, 2)?);
            }
            2 => facts.known.extend(Uuid::parse_str(row.try_get(1)?)),
            _ => {}
        }
    }
    Ok(facts)
}

/// Turns refusals of what is stored already into [`Answer::Seen`].
async fn find_repeats(db: &mut Session<'_>, appends: &mut [WaitingAppend]) -> Result<()> {
    let refused = |waiting: &&mut WaitingAppend| {
        matches!(waiting.answer, Some(Answer::Conflict { .. } | Answer::FencedOff))
    };
    let ids = appends.iter_mut().filter(refused).flat_map(|w| w.ready.append.event_ids());
    let ids: Vec<Uuid> = ids.collect();
    if ids.is_empty() {
        return Ok(());
    }
    let none = || Value::from("[]");
    let rows = db.rows(sql::sqlite::FACTS, &[none(), none(), id_list(ids).into()]).await?;
    let known: HashSet<Uuid> =
        rows.iter().filter_map(|row| Uuid::parse_str(row.try_get(1).ok()?).ok()).collect();
    for waiting in appends.iter_mut().filter(refused) {
        if waiting.ready.append.event_ids().any(|id| known.contains(&id)) {
            waiting.answer = Some(Answer::Seen);
        }
    }
    Ok(())
}

fn id_list(ids: impl IntoIterator<Item = Uuid>) -> String {
    json_list(ids.into_iter().map(|id| id.simple().to_string()))
}

async fn write_events(db: &mut Session<'_>, judgement: &Judgement) -> Result<()> {
    db.insert(&sql::EVENTS, &judgement.events, |event| {
        [
            event.position.into(),
            event.id.as_bytes().as_slice().into(),
            event.stream.as_str().into(),
            signed(event.version).into(),
            event.kind.as_str().into(),
            i64::from(event.schema_version).into(),
            event.body.as_str().into(),
            event.meta.as_str().into(),
            event.recorded_at.into(),
            event.prev_hash.as_slice().into(),
            event.hash.as_slice().into(),
        ]
    })
    .await
}

async fn write_work(db: &mut Session<'_>, judgement: &Judgement) -> Result<()> {
    let changes = || judgement.work.iter();
    let deleted: Vec<_> = changes().filter(|(_, c)| c.delete).map(|(key, _)| key).collect();
    if !deleted.is_empty() {
        db.add(sql::sqlite::DELETE_WORK, &[work_keys(deleted.into_iter()).into()]);
    }
    let due = changes().filter_map(|(key, change)| Some((key, change.due?)));
    let (resets, touches): (Vec<_>, Vec<_>) = due.partition(|(_, due)| due.reset);
    db.insert(&sql::RESETS, &resets, due_row).await?;
    db.insert(&sql::TOUCHES, &touches, due_row).await
}

fn due_row((key, due): &(&WorkKey, DueRow)) -> [Value; 7] {
    let (class, none) = (i64::from(due.class), || Value::Number(0));
    let (kind, key) = (key.kind.as_str().into(), key.key.as_str().into());
    [kind, key, class.into(), due.due_at.into(), Value::Number(1), none(), none()]
}

async fn write_beside(db: &mut Session<'_>, taken: &[&Append]) -> Result<()> {
    let calls: Vec<_> = taken.iter().flat_map(|append| &append.calls).collect();
    insert_calls(db, &calls).await?;
    // One statement must not change a row twice; the last one counts.
    let people: HashMap<_, _> =
        taken.iter().flat_map(|append| &append.people).map(|p| ((p.instance, p.id), p)).collect();
    let people: Vec<_> = people.into_values().collect();
    db.insert(&sql::PEOPLE, &people, |person| {
        [
            i64::from(person.instance).into(),
            signed(person.id).into(),
            person.name.as_str().into(),
            person.avatar.as_deref().into(),
        ]
    })
    .await
}

pub(in crate::sqlite) async fn insert_calls(
    db: &mut Session<'_>,
    calls: &[&ApiCall],
) -> Result<()> {
    db.insert(&sql::CALL_ROWS, calls, |call| {
        [
            call.at.into(),
            i64::from(call.instance).into(),
            call.token.as_str().into(),
            call.method.as_str().into(),
            call.path.as_str().into(),
            call.status.map(i64::from).into(),
            millis(call.took).into(),
            call.request_id.as_deref().into(),
            call.cause.as_ref().map(|cause| cause.as_bytes().as_slice()).into(),
        ]
    })
    .await
}

fn work_keys<'a>(keys: impl Iterator<Item = &'a WorkKey>) -> String {
    json_list(keys.map(|key| (key.kind.as_str(), key.key.as_str())))
}
