//! Projections of a log of whole stories: followed while it grows, then dropped and rebuilt. What
//! is rebuilt must be what was followed, byte by byte.

use std::convert::Infallible as Never;
use std::time::Instant;

use aldis_store::{Store, sha256};
use aldis_web::{PROJECTIONS, Projector};
use anyhow::{Result, ensure};

use super::log::replayed_and_scanned;
use super::{Plan, say, spread};
use crate::log::{append_all, story};
use crate::place::{Place, postgres};
use crate::report::Row;

/// Events of one story.
const STORY: usize = 7;
/// Documents or entries that are read at once.
const PAGE: usize = 1_000;

pub(crate) async fn rows(plan: &Plan) -> Result<Vec<Row>> {
    let mut rows = rebuilt(plan, Place::Sqlite).await?;
    let server = postgres().await?;
    let on_postgres = rebuilt(plan, Place::Postgres(&server)).await?;
    rows.extend(on_postgres.into_iter().map(|row| row.of("Postgres")));
    Ok(rows)
}

async fn rebuilt(plan: &Plan, place: Place<'_>) -> Result<Vec<Row>> {
    let home = place.home()?;
    let store = home.store().await?;
    say(&format!("filling a log with {} events, and following it", plan.folded))?;
    let projector = Projector::new(store.clone());
    let events = tokio::select! {
        filled = append_all(&store, plan.folded.div_ceil(STORY), story) => filled?,
        failed = follow(&store, &projector) => match failed? {},
    };
    while projector.run_once().await? {}
    let followed = digest(&store).await?;
    let [_, scanned] = replayed_and_scanned(&store, &home, events).await?;
    let (mut rows, mut all) = (Vec::new(), 0.0);
    for name in PROJECTIONS {
        say(&format!("projection {name}"))?;
        let begun = Instant::now();
        aldis_web::rebuild(&store, name, |_| ()).await?;
        let took = begun.elapsed().as_secs_f64();
        all += took;
        let name = format!("projection {name} rebuilt, {events} events");
        rows.push(Row::told(name, "s", spread([took])?));
    }
    ensure!(digest(&store).await? == followed, "what was rebuilt is not what was followed");
    store.close().await;
    let name = format!("all rebuilt to the same bytes, {events} events, vs the database alone");
    rows.push(Row::told(name, "s", spread([all])?).beside(spread([events / scanned])?));
    Ok(rows)
}

/// Until something fails.
async fn follow(store: &Store, projector: &Projector) -> Result<Never> {
    let mut positions = store.subscribe();
    loop {
        while projector.run_once().await? {}
        positions.changed().await?;
    }
}

/// Of everything that pages can read.
async fn digest(store: &Store) -> Result<[u8; 32]> {
    let mut digest = [0; 32];
    let mut add = |row: String| digest = sha256(&[digest.as_slice(), row.as_bytes()].concat());
    let projects = (0..100).map(|project| format!("1.{project}"));
    let scopes: Vec<String> = projects.chain(["all".to_owned()]).collect();
    for name in PROJECTIONS {
        let mut after = String::new();
        loop {
            let page = store.documents(name, &after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.key);
            for document in &page {
                add(format!("{document:?}"));
            }
        }
        for scope in &scopes {
            let mut after: Option<(i64, String)> = None;
            loop {
                let last = after.as_ref().map(|(sort_key, key)| (*sort_key, key.as_str()));
                let page = store.entries(name, scope, last, PAGE).await?;
                let Some(last) = page.last() else { break };
                after = Some((last.sort_key, last.key.clone()));
                for entry in &page {
                    add(format!("{entry:?}"));
                }
            }
        }
    }
    Ok(digest)
}
