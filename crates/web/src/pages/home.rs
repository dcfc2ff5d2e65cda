//! The first page: what came in and what runs, newest first.

use actix_web::http::StatusCode;
use actix_web::http::header::HOST;
use actix_web::{HttpResponse, web};
use aldis_domain::id::ProjectKey;
use aldis_domain::trigger::Trigger;
use aldis_store::{Entry, Store, StoreError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{no_store, now};
use crate::links::{self, Link, Names};
use crate::projector::Projection;
use crate::projector::deliveries::{Deliveries, DeliveryEntry};
use crate::projector::runs::{RunEntry, Runs};
use crate::state::State;
use crate::view::{self, Page};
use crate::words::{self, Badge, Moment};

/// Entries of each list.
const SHOWN: usize = 30;

/// What the first page shows.
#[derive(Debug, Serialize)]
pub(crate) struct HomeView {
    warnings: Vec<String>,
    runs: Vec<RunRow>,
    deliveries: Vec<DeliveryRow>,
    older_runs: Option<String>,
    older_deliveries: Option<String>,
    /// Where the lists begin with the newest, if these do not.
    newest: Option<String>,
    /// Set if the lists are those of one project.
    project: Option<Link>,
    /// The address that GitLab must be told.
    webhook: String,
    /// Nobody has said under which address this server is reached.
    webhook_guessed: bool,
}

#[derive(Debug, Serialize)]
struct RunRow {
    href: String,
    badge: Badge,
    stack: String,
    tracked: bool,
    project: String,
    change: Option<Link>,
    commit: String,
    line: String,
    when: Moment,
    took: Option<String>,
}

#[derive(Debug, Serialize)]
struct DeliveryRow {
    href: String,
    badge: Badge,
    what: String,
    project: String,
    change: Option<Link>,
    line: String,
    when: Moment,
}

/// Query of the address.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    project: Option<String>,
    /// `<sort key>~<key>` of the last entry before the page.
    runs: Option<String>,
    deliveries: Option<String>,
}

/// `GET /`
pub(super) async fn show(
    state: web::Data<State>,
    asked: web::Query<Asked>,
    request: actix_web::HttpRequest,
) -> HttpResponse {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    match gather(&state, &asked, host, now()).await {
        Ok(view) => view::respond(StatusCode::OK, &Page::Home(&view)),
        Err(error) => no_store(&error),
    }
}

async fn gather(
    state: &State,
    asked: &Asked,
    host: &str,
    now: i64,
) -> Result<HomeView, StoreError> {
    let project = asked.project.as_deref().and_then(|p| p.parse::<ProjectKey>().ok());
    let scope = project.map_or_else(|| "all".to_owned(), |p| p.to_string());
    let store = &state.store;
    let (runs, older_runs) =
        list::<RunEntry>(store, Runs::NAME, &scope, asked.runs.as_deref()).await?;
    let (deliveries, older_deliveries) =
        list::<DeliveryEntry>(store, Deliveries::NAME, &scope, asked.deliveries.as_deref()).await?;
    let named = runs.iter().map(|(_, run)| run.project);
    let named = named.chain(deliveries.iter().filter_map(|(_, delivery)| project_of(delivery)));
    let names = Names::of(store, named.chain(project)).await?;
    let paged = asked.runs.is_some() || asked.deliveries.is_some();
    let base = if state.base_url.is_empty() {
        format!("http://{host}")
    } else {
        state.base_url.to_string()
    };
    let older = |list: &str, cursor: String| {
        let scope = project.map(|p| format!("project={p}&")).unwrap_or_default();
        format!("/?{scope}{list}={}", links::segment(&cursor))
    };
    Ok(HomeView {
        warnings: state.warnings.to_vec(),
        runs: runs.iter().map(|(_, entry)| run_row(entry, &names, now)).collect(),
        deliveries: deliveries
            .iter()
            .map(|(id, entry)| delivery_row(id, entry, &names, now))
            .collect(),
        older_runs: older_runs.map(|cursor| older("runs", cursor)),
        older_deliveries: older_deliveries.map(|cursor| older("deliveries", cursor)),
        newest: paged.then(|| project.map_or_else(|| "/".to_owned(), |p| format!("/?project={p}"))),
        project: project.map(|p| names.project(p)),
        webhook: format!("{base}/api/webhooks/gitlab"),
        webhook_guessed: state.base_url.is_empty(),
    })
}

/// One page of a list with the entries' ids, and where the next page begins.
async fn list<E: DeserializeOwned>(
    store: &Store,
    projection: &str,
    scope: &str,
    cursor: Option<&str>,
) -> Result<(Vec<(String, E)>, Option<String>), StoreError> {
    let after = cursor.and_then(|cursor| cursor.split_once('~'));
    let after = after.and_then(|(sort, key)| Some((sort.parse::<i64>().ok()?, key)));
    let mut entries = store.entries(projection, scope, after, SHOWN + 1).await?;
    let more = entries.len() > SHOWN;
    entries.truncate(SHOWN);
    let next =
        entries.last().filter(|_| more).map(|last| format!("{}~{}", last.sort_key, last.key));
    // Written by another version: the projector is about to make it anew.
    let readable = |entry: Entry| Some((entry.key, serde_json::from_str(&entry.body).ok()?));
    Ok((entries.into_iter().filter_map(readable).collect(), next))
}

fn project_of(delivery: &DeliveryEntry) -> Option<ProjectKey> {
    delivery.trigger.as_ref().and_then(Trigger::project)
}

fn change_link(key: &aldis_domain::id::ChangeKey) -> Link {
    Link::new(Names::change(key), Some(links::change(key)))
}

fn run_row(entry: &RunEntry, names: &Names, now: i64) -> RunRow {
    let ended = entry.started_at.zip(entry.finished_at);
    RunRow {
        href: links::run(&entry.run),
        badge: words::run_badge(entry.state),
        stack: entry.stack.clone(),
        tracked: entry.tracked,
        project: names.project(entry.project).text,
        change: entry.change.as_ref().map(change_link),
        commit: entry.sha.short().to_owned(),
        line: entry.line.clone(),
        when: words::moment(
            entry.finished_at.or(entry.started_at).unwrap_or(entry.requested_at),
            now,
        ),
        took: ended.map(|(start, end)| words::between(start, end)),
    }
}

fn delivery_row(id: &str, entry: &DeliveryEntry, names: &Names, now: i64) -> DeliveryRow {
    let what = entry.trigger.as_ref().map(words::trigger);
    let what = what.unwrap_or_else(|| entry.event.clone());
    // A push to main is for main: once is enough.
    let change = entry.change.as_ref().map(change_link).filter(|link| !what.contains(&link.text));
    DeliveryRow {
        href: links::delivery(id),
        badge: words::delivery_badge(&entry.state, entry.runs),
        what,
        project: project_of(entry).map(|p| names.project(p).text).unwrap_or_default(),
        change,
        line: words::delivery_line(entry),
        when: words::moment(entry.received_at, now),
    }
}
