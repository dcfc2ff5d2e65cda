//! What must hold at the end.

use std::collections::{BTreeMap, BTreeSet};

use aldis_domain::event::Event;
use aldis_domain::report::{Outcome, Report};
use aldis_gitlab_sim::{JobState, Route};
use aldis_tests::oracle::{self, Log};

use crate::crew::Crew;
use crate::town::Expected;

/// How much there was of what.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) events: usize,
    pub(crate) runs: usize,
    pub(crate) unknown: usize,
    pub(crate) attempts_lost: usize,
}

/// All problems, in words. Checks the log's chain, too.
pub(crate) async fn judge(crew: &Crew, expected: &[Expected]) -> (Figures, Vec<String>) {
    let log = crew.reader.log().await.into_iter();
    let log: Log =
        log.map(|e| (e.stream.clone(), e.event().expect("an event of this version"))).collect();
    let mut problems = oracle::deliveries(&crew.sim, &log);
    problems.extend(oracle::runs(&log));
    problems.extend(oracle::intents(&log));
    problems.extend(comments(crew));
    problems.extend(deployments(crew, &log));
    let unknown = unknown_shas(&log);
    for expected in expected {
        problems.extend(seen(crew, expected, &unknown, &log));
    }
    let count = |wanted: fn(&Event) -> bool| log.iter().filter(|(_, e)| wanted(e)).count();
    let figures = Figures {
        events: log.len(),
        runs: count(|e| matches!(e, Event::RunRequested(_))),
        unknown: unknown.len(),
        attempts_lost: count(|e| matches!(e, Event::AttemptLost(lost) if lost.counts)),
    };
    (figures, problems)
}

/// No merge request ever got a second comment of ours.
fn comments(crew: &Crew) -> Vec<String> {
    let mut made = BTreeMap::new();
    for call in crew.sim.calls() {
        if call.applied && call.status == 201 && call.route == Route::NoteCreate {
            *made.entry(call.path).or_insert(0) += 1;
        }
    }
    let twice = made.into_iter().filter(|(_, times)| *times > 1);
    twice.map(|(path, times)| format!("{path}: {times} comments were made")).collect()
}

/// Each tracked run that began has one deployment.
fn deployments(crew: &Crew, log: &Log) -> Vec<String> {
    let began = log.iter().filter(|(_, e)| matches!(e, Event::AttemptStarted(a) if a.tracked));
    let runs = began.map(|(stream, _)| stream).collect::<BTreeSet<_>>().len();
    let made =
        crew.sim.calls().into_iter().filter(|call| {
            call.applied && call.status == 201 && call.route == Route::DeploymentCreate
        });
    let made = made.count();
    if made == runs { Vec::new() } else { vec![format!("{runs} tracked runs, {made} deployments")] }
}

/// Commits with a tracked run whose outcome nobody knows, or for which its runner had no room.
fn unknown_shas(log: &Log) -> BTreeSet<String> {
    let mut last = BTreeMap::new();
    for (stream, event) in log {
        if let Event::RunFinished(finished) = event {
            last.insert(stream, finished);
        }
    }
    let no_room = |report: &Report| {
        report.trouble.as_deref().is_some_and(|trouble| trouble.contains("No space left"))
    };
    let unknown = last.into_values().filter(|finished| match finished.outcome {
        Outcome::Unknown => true,
        Outcome::Broken => finished.tracked && no_room(&finished.report),
        _ => false,
    });
    unknown.map(|finished| finished.sha.to_string()).collect()
}

/// What was written about a commit's statuses, for whoever looks for the cause.
fn calls(crew: &Crew, sha: &str) -> String {
    let calls = crew.sim.calls().into_iter();
    let about = calls.filter(|call| call.is_write() && call.path.ends_with(sha));
    let lines = about.map(|call| {
        let aldis_gitlab_sim::Call { at, method, path, params, status, applied, .. } = call;
        format!("    {at} {method} {path} {params}: {status}, applied {applied}\n")
    });
    lines.collect()
}

/// What the log says of a commit's statuses.
fn told(log: &Log, sha: &str) -> String {
    let about =
        log.iter().filter(|(stream, _)| stream.starts_with("statuses-") && stream.ends_with(sha));
    about.map(|(_, event)| format!("    {} {}\n", event.kind(), event.body())).collect()
}

/// What a person sees of one change.
fn seen(crew: &Crew, expected: &Expected, unknown: &BTreeSet<String>, log: &Log) -> Vec<String> {
    let mut problems = Vec::new();
    let project = expected.mr.project;
    for sha in &expected.shas {
        for pipeline in crew.sim.pipeline_views(project, sha) {
            let open = pipeline
                .jobs
                .iter()
                .filter(|job| matches!(job.state, JobState::Pending | JobState::Running));
            problems.extend(open.map(|job| {
                let (calls, told) = (calls(crew, sha), told(log, sha));
                format!("{sha} {}: left {:?} in\n{pipeline}\n{calls}{told}", job.name, job.state)
            }));
        }
    }
    match crew.sim.merge_request_page(expected.mr) {
        Ok(page) => {
            let notes = page.notes.iter().filter(|note| note.author == "aldis");
            let bodies: Vec<&String> = notes.map(|note| &note.body).collect();
            if !matches!(bodies[..], [body] if body.contains(&expected.headline)) {
                problems.push(format!("{:?} shows the comments {bodies:?}", expected.mr));
            }
        }
        Err(error) => problems.push(format!("{:?}: {error}", expected.mr)),
    }
    let Some(merged) = &expected.merged else { return problems };
    let right = if unknown.contains(merged) { JobState::Failed } else { JobState::Success };
    for pipeline in crew.sim.pipeline_views(project, merged) {
        let line = pipeline.jobs.iter().find(|job| job.name == "aldis/deploy");
        let state = line.map(|job| job.state);
        if state != Some(right) {
            problems.push(format!("the deployment of {merged}: {state:?}, not {right:?}"));
        }
    }
    problems
}
