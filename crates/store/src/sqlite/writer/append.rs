//! Appends of one group: gather facts, judge, write.

use std::collections::{BTreeSet, HashMap, HashSet};

use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection};
use sqlx::{Row, query};
use uuid::Uuid;

use super::{Now, WaitingAppend};
use crate::append::{Answer, Append, Expected};
use crate::envelope::Head;
use crate::error::StoreError;
use crate::judge::{DueRow, Facts, Judgement};
use crate::sql::{self, Insert};
use crate::sqlite::Result;
use crate::sqlite::read::{json_list, signed, unsigned};
use crate::work::WorkKey;

type Bound = Query<'static, Sqlite, SqliteArguments>;

/// Judges and writes; leaves the answers with the appends. Returns what is written.
pub(super) async fn run(
    db: &mut SqliteConnection,
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
    insert(db, &sql::PAYLOADS, &judgement.payloads, |query, (position, bytes)| {
        query.bind(*position).bind(bytes.clone()).bind(now.wall)
    })
    .await?;
    write_beside(db, &taken).await?;
    if judgement.head != head {
        query(sql::MOVE_HEAD)
            .bind(judgement.head.position)
            .bind(judgement.head.hash.to_vec())
            .execute(db)
            .await?;
    }
    Ok(judgement)
}

async fn facts(db: &mut SqliteConnection, appends: &[WaitingAppend]) -> Result<Facts> {
    let mut facts = Facts::default();
    let writes = || appends.iter().flat_map(|waiting| &waiting.ready.append.writes);
    let streams: BTreeSet<&str> = writes().map(|write| write.stream.as_str()).collect();
    if !streams.is_empty() {
        let rows = query(sql::sqlite::VERSIONS).bind(json_list(streams)).fetch_all(&mut *db);
        for row in rows.await? {
            let version: Option<i64> = row.try_get(1)?;
            if version.is_some() {
                facts.versions.insert(row.try_get(0)?, unsigned(&row, 1)?);
            }
        }
    }
    let fences: BTreeSet<&WorkKey> = appends
        .iter()
        .filter_map(|w| w.ready.append.fence.as_ref())
        .map(|fence| &fence.key)
        .collect();
    if !fences.is_empty() {
        let fences: Vec<&WorkKey> = fences.into_iter().collect();
        let rows = query(sql::sqlite::LEASES).bind(work_keys(fences.iter().copied()));
        for row in rows.fetch_all(&mut *db).await? {
            let index: i64 = row.try_get(0)?;
            let key = usize::try_from(index).ok().and_then(|index| fences.get(index));
            let key = key.ok_or_else(|| StoreError::Corrupt("a lease nobody asked for".into()))?;
            facts.leases.insert((*key).clone(), unsigned(&row, 1)?);
        }
    }
    // An expected version finds repeats by itself; `Any` does not.
    let unguarded = writes().filter(|write| write.expected == Expected::Any);
    let ids = unguarded.flat_map(|write| write.events.iter().map(|event| event.id)).collect();
    facts.known = known(db, ids).await?;
    Ok(facts)
}

/// Turns refusals of what is stored already into [`Answer::Seen`].
async fn find_repeats(db: &mut SqliteConnection, appends: &mut [WaitingAppend]) -> Result<()> {
    let refused = |waiting: &&mut WaitingAppend| {
        matches!(waiting.answer, Some(Answer::Conflict { .. } | Answer::FencedOff))
    };
    let ids = appends.iter_mut().filter(refused).flat_map(|w| w.ready.append.event_ids()).collect();
    let known = known(db, ids).await?;
    for waiting in appends.iter_mut().filter(refused) {
        if waiting.ready.append.event_ids().any(|id| known.contains(&id)) {
            waiting.answer = Some(Answer::Seen);
        }
    }
    Ok(())
}

async fn known(db: &mut SqliteConnection, ids: Vec<Uuid>) -> Result<HashSet<Uuid>> {
    let mut known = HashSet::new();
    if ids.is_empty() {
        return Ok(known);
    }
    let ids = json_list(ids.iter().map(|id| id.simple().to_string()));
    for row in query(sql::sqlite::KNOWN).bind(ids).fetch_all(db).await? {
        let id: &[u8] = row.try_get(0)?;
        known.extend(Uuid::from_slice(id));
    }
    Ok(known)
}

async fn write_events(db: &mut SqliteConnection, judgement: &Judgement) -> Result<()> {
    insert(db, &sql::EVENTS, &judgement.events, |query, event| {
        query
            .bind(event.position)
            .bind(event.id.as_bytes().to_vec())
            .bind(event.stream.clone())
            .bind(signed(event.version))
            .bind(event.kind.clone())
            .bind(i64::from(event.schema_version))
            .bind(event.body.clone())
            .bind(event.meta.clone())
            .bind(event.recorded_at)
            .bind(event.prev_hash.to_vec())
            .bind(event.hash.to_vec())
    })
    .await
}

async fn write_work(db: &mut SqliteConnection, judgement: &Judgement) -> Result<()> {
    let changes = || judgement.work.iter();
    let deleted: Vec<_> = changes().filter(|(_, c)| c.delete).map(|(key, _)| key).collect();
    if !deleted.is_empty() {
        let keys = work_keys(deleted.into_iter());
        query(sql::sqlite::DELETE_WORK).bind(keys).execute(&mut *db).await?;
    }
    let due = changes().filter_map(|(key, change)| Some((key, change.due?)));
    let (resets, touches): (Vec<_>, Vec<_>) = due.partition(|(_, due)| due.reset);
    insert(db, &sql::RESETS, &resets, bind_due).await?;
    insert(db, &sql::TOUCHES, &touches, bind_due).await
}

fn bind_due(query: Bound, (key, due): &(&WorkKey, DueRow)) -> Bound {
    let query = query.bind(key.kind.as_str()).bind(key.key.clone());
    query.bind(i64::from(due.class)).bind(due.due_at).bind(1).bind(0).bind(0)
}

async fn write_beside(db: &mut SqliteConnection, taken: &[&Append]) -> Result<()> {
    let calls: Vec<_> = taken.iter().flat_map(|append| &append.calls).collect();
    insert_calls(db, &calls).await?;
    // One statement must not change a row twice; the last one counts.
    let people: HashMap<_, _> =
        taken.iter().flat_map(|append| &append.people).map(|p| ((p.instance, p.id), p)).collect();
    let people: Vec<_> = people.into_values().collect();
    insert(db, &sql::PEOPLE, &people, |query, person| {
        let query = query.bind(i64::from(person.instance)).bind(signed(person.id));
        query.bind(person.name.clone()).bind(person.avatar.clone())
    })
    .await
}

pub(in crate::sqlite) async fn insert_calls(
    db: &mut SqliteConnection,
    calls: &[&crate::append::ApiCall],
) -> Result<()> {
    insert(db, &sql::CALL_ROWS, calls, |query, call| {
        query
            .bind(call.at)
            .bind(i64::from(call.instance))
            .bind(call.token.clone())
            .bind(call.method.clone())
            .bind(call.path.clone())
            .bind(call.status.map(i64::from))
            .bind(i64::try_from(call.took.as_millis()).unwrap_or(i64::MAX))
            .bind(call.request_id.clone())
            .bind(call.cause.map(|cause| cause.as_bytes().to_vec()))
    })
    .await
}

/// Inserts all `rows` with as few statements as their chunks allow.
pub(in crate::sqlite) async fn insert<T>(
    db: &mut SqliteConnection,
    statement: &'static Insert,
    rows: &[T],
    bind: impl Fn(Bound, &T) -> Bound,
) -> Result<()> {
    for (text, chunk) in statement.chunks(rows) {
        chunk.iter().fold(query(text), &bind).execute(&mut *db).await?;
    }
    Ok(())
}

fn work_keys<'a>(keys: impl Iterator<Item = &'a WorkKey>) -> String {
    json_list(keys.map(|key| (key.kind.as_str(), key.key.as_str())))
}
