//! A run's page: its state at a glance, why it ran, what it brought home, and its log.

mod report;

use std::collections::VecDeque;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use aldis_domain::id::RunId;
use aldis_domain::report::Report;
use aldis_domain::{stream, text};
use aldis_store::{Store, StoreError};
use serde::{Deserialize, Serialize};

use super::{answer, no_run, now};
use crate::links::{self, Link, Names};
use crate::live::Place;
use crate::log::{Reader, Row};
use crate::projector::of_stream;
use crate::projector::runs::{Attempt, RunPage, RunState, Runs};
use crate::state::State;
use crate::view::{self, Page};
use crate::words::{self, Badge, Moment};
use report::{ReportView, StepView};

/// Lines of the log that the page itself holds.
const LINES: usize = 2_000;

/// What the page of a run shows.
#[derive(Debug, Serialize)]
pub(crate) struct RunView {
    stack: String,
    badge: Badge,
    /// The result, or what it waits for, in one line.
    line: String,
    going: bool,
    when: Moment,
    took: Option<String>,
    project: Link,
    project_runs: String,
    commit: Link,
    /// Where the commit was fetched, if no change says so.
    git_ref: Option<String>,
    environment: Option<String>,
    trust: &'static str,
    round: u32,
    changes: Vec<WantedBy>,
    why: String,
    asked_by: Vec<Link>,
    needs: Vec<Need>,
    cancel: Option<String>,
    attempts: Vec<AttemptView>,
    steps: Vec<StepView>,
    report: ReportView,
    log: LogView,
}

#[derive(Debug, Serialize)]
struct WantedBy {
    link: Link,
    /// No longer.
    left: bool,
}

#[derive(Debug, Serialize)]
struct Need {
    stack: String,
    href: String,
    badge: Option<Badge>,
}

#[derive(Debug, Serialize)]
struct AttemptView {
    number: u32,
    runner: String,
    when: Moment,
    state: &'static str,
    log: String,
    shown: bool,
}

#[derive(Debug, Default, Serialize)]
struct LogView {
    rows: Vec<RowView>,
    /// Lines before the first one here.
    left_out: u64,
    /// The last row has no end yet.
    open: bool,
    download: Option<String>,
    /// Where the live log goes on.
    live: Option<String>,
    /// Names of the steps, as JSON, for the script.
    steps: String,
    /// Output is kept for some days only.
    gone: bool,
    /// The step that wrote last.
    current: Option<u32>,
}

#[derive(Debug, Serialize)]
struct RowView {
    number: u64,
    /// Name of the step, above its first line.
    step: Option<String>,
    spans: Vec<crate::terminal::Span>,
}

/// Query of the address.
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    /// Fencing number of the attempt whose log is shown; the newest one if there is none.
    epoch: Option<u64>,
}

/// `GET /runs/{run}`
pub(super) async fn show(
    state: web::Data<State>,
    run: web::Path<String>,
    which: web::Query<Which>,
) -> HttpResponse {
    let Ok(id) = run.parse::<RunId>() else { return no_run() };
    answer(
        gather(&state.store, &id, which.epoch, now()).await,
        |view| view::respond(StatusCode::OK, &Page::Run(view)),
        no_run,
    )
}

/// What the run's stream makes of it.
pub(super) async fn load(store: &Store, id: &RunId) -> Result<Option<RunPage>, StoreError> {
    of_stream::<Runs>(store, &stream::run(id)).await
}

/// How the run stands.
pub(super) async fn badge(store: &Store, id: &RunId) -> Result<Option<Badge>, StoreError> {
    Ok(load(store, id).await?.map(|run| words::run_badge(run.state())))
}

async fn gather(
    store: &Store,
    id: &RunId,
    epoch: Option<u64>,
    now: i64,
) -> Result<Option<RunView>, StoreError> {
    let Some(run) = load(store, id).await? else { return Ok(None) };
    let projects = run.changes.keys().map(aldis_domain::id::ChangeKey::project);
    let names = Names::of(store, projects.chain([run.project])).await?;
    let mut needs = Vec::new();
    for (stack, id) in &run.needs {
        needs.push(Need {
            stack: stack.clone(),
            href: links::run(id),
            badge: badge(store, id).await?,
        });
    }
    let log = log(store, &run, epoch).await?;
    Ok(Some(view(&run, &names, needs, log, epoch, now)))
}

fn view(
    run: &RunPage,
    names: &Names,
    needs: Vec<Need>,
    log: LogView,
    epoch: Option<u64>,
    now: i64,
) -> RunView {
    let finished = run.finished.as_ref();
    let started = run.attempts.first().map(|attempt| attempt.started_at);
    let none = Report::default();
    let report = finished.map_or(&none, |finished| &finished.report);
    let asked_by = run.delivery.iter().chain(&run.joined_by);
    RunView {
        stack: run.stack.clone(),
        badge: words::run_badge(run.state()),
        line: finished.map_or_else(|| waiting(run), |finished| finished.line.clone()),
        going: finished.is_none(),
        when: words::moment(finished.map(|f| f.at).or(started).unwrap_or(run.requested_at), now),
        took: started.zip(finished).map(|(start, f)| words::between(start, f.at)),
        project: names.project(run.project),
        project_runs: format!("/?project={}", run.project),
        commit: names.commit(run.project, &run.sha),
        git_ref: git_ref(run),
        environment: run.environment.clone(),
        trust: words::trust(run.trust),
        round: run.round,
        changes: run.changes.iter().map(|(key, wants)| wanted_by(key, *wants)).collect(),
        why: run.why.clone(),
        asked_by: asked_by
            .map(|stream| Link::new(delivery_name(stream), links::delivery_of(stream)))
            .collect(),
        needs,
        cancel: cancel(run),
        attempts: attempts(run, epoch, now),
        steps: report::steps(&run.steps, report, log.current.filter(|_| finished.is_none())),
        report: ReportView::new(report),
        log,
    }
}

fn waiting(run: &RunPage) -> String {
    match run.state() {
        RunState::Waiting => "It starts when the stacks that it needs have passed.".to_owned(),
        RunState::Queued => "It starts as soon as a runner is free.".to_owned(),
        RunState::Running | RunState::Ended(_) => match run.attempts.last() {
            Some(Attempt { lost: Some(_), .. }) => {
                "Its runner was lost; it is tried again.".to_owned()
            }
            Some(attempt) => format!("On {}.", attempt.runner),
            None => String::new(),
        },
    }
}

fn cancel(run: &RunPage) -> Option<String> {
    let reason = run.finished.as_ref().map_or(run.cancel.as_ref(), |f| f.reason.as_ref())?;
    let words = text::end_reason(reason);
    Some(if run.finished.is_some() { words } else { format!("Ending: {words}") })
}

fn wanted_by(key: &aldis_domain::id::ChangeKey, wants: bool) -> WantedBy {
    WantedBy { link: Link::new(Names::change(key), Some(links::change(key))), left: !wants }
}

fn git_ref(run: &RunPage) -> Option<String> {
    let name = words::short_ref(&run.git_ref);
    let told = name.starts_with("refs/merge-requests/")
        || run.changes.keys().any(|key| Names::change(key) == name);
    (!told).then(|| name.to_owned())
}

fn delivery_name(stream: &str) -> String {
    let id = stream.strip_prefix("delivery-").unwrap_or(stream);
    format!("delivery {}", text::one_line(id, 24))
}

fn attempts(run: &RunPage, epoch: Option<u64>, now: i64) -> Vec<AttemptView> {
    let last = run.attempts.last().map(|attempt| attempt.epoch);
    let shown = epoch.or(last);
    let view = |attempt: &Attempt| AttemptView {
        number: attempt.number,
        runner: attempt.runner.clone(),
        when: words::moment(attempt.started_at, now),
        state: match (&attempt.lost, &run.finished) {
            (Some(lost), _) if lost.counts => "the runner was lost",
            (Some(_), _) => "ended by a restart of Aldis; does not count",
            (None, Some(_)) => "ended",
            (None, None) => "running",
        },
        log: format!("{}?epoch={}#log", links::run(&run.run), attempt.epoch),
        shown: shown == Some(attempt.epoch),
    };
    run.attempts.iter().map(view).collect()
}

async fn log(store: &Store, run: &RunPage, epoch: Option<u64>) -> Result<LogView, StoreError> {
    let newest = run.attempts.last().map(|attempt| attempt.epoch);
    let live = run.finished.is_none() && epoch.is_none_or(|epoch| Some(epoch) == newest);
    let base = links::run(&run.run);
    let steps = serde_json::to_string(&run.steps).unwrap_or_default();
    let Some(epoch) = epoch.or(newest) else {
        let live = live.then(|| format!("{base}/log"));
        return Ok(LogView { live, steps, ..LogView::default() });
    };
    let mut reader = Reader::new(store.clone(), run.run.clone(), epoch);
    let mut rows: VecDeque<Row> = VecDeque::new();
    let mut read = true;
    while read {
        read = reader
            .read(None, |row| {
                if rows.len() == LINES {
                    rows.pop_front();
                }
                rows.push_back(row);
            })
            .await?;
    }
    let open = reader.open();
    let is_open = open.is_some();
    rows.extend(open);
    let after = reader.seq().map(|seq| format!("?after={}", Place { epoch, seq }));
    Ok(LogView {
        left_out: rows.front().map_or(0, |row| row.number - 1),
        open: is_open,
        download: (!rows.is_empty()).then(|| format!("{base}/log.txt?epoch={epoch}")),
        live: live.then(|| format!("{base}/log{}", after.unwrap_or_default())),
        current: rows.back().map(|row| row.step),
        gone: rows.is_empty() && run.finished.is_some(),
        rows: with_steps(rows, &run.steps),
        steps,
    })
}

fn with_steps(rows: VecDeque<Row>, names: &[String]) -> Vec<RowView> {
    let mut last = None;
    let view = |row: Row| {
        let new = last.replace(row.step) != Some(row.step);
        let name = usize::try_from(row.step).ok().and_then(|step| names.get(step));
        RowView { number: row.number, step: name.filter(|_| new).cloned(), spans: row.spans }
    };
    rows.into_iter().map(view).collect()
}
