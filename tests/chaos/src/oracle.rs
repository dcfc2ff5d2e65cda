//! What must hold at the end.

use std::collections::{BTreeMap, BTreeSet};

use aldis_domain::event::Event;
use aldis_domain::report::{Outcome, Report};
use aldis_gitlab_sim::{JobState, ProjectId, Route};
use aldis_store::Envelope;
use aldis_tests::oracle::{self, Log};

use crate::crew::Crew;
use crate::town::{Expected, Verdict, lines};

/// How much there was of what.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) events: usize,
    pub(crate) runs: usize,
    pub(crate) unknown: usize,
    pub(crate) attempts_lost: usize,
    /// Lines of commits and deployments that were compared.
    pub(crate) lines: usize,
    pub(crate) deployments: usize,
}

/// All problems, in words.
pub(crate) fn judge(
    crew: &Crew,
    envelopes: &[Envelope],
    expected: &[Expected],
) -> (Figures, Vec<String>) {
    let log: Log = events(envelopes);
    let mut problems = oracle::deliveries(&crew.sim, &log);
    problems.extend(oracle::runs(&log));
    problems.extend(oracle::intents(&log));
    problems.extend(comments(crew));
    let unknown = unknown_shas(&log);
    let count = |wanted: fn(&Event) -> bool| log.iter().filter(|(_, e)| wanted(e)).count();
    let mut figures = Figures {
        events: log.len(),
        runs: count(|e| matches!(e, Event::RunRequested(_))),
        unknown: unknown.len(),
        attempts_lost: count(|e| matches!(e, Event::AttemptLost(lost) if lost.counts)),
        ..Figures::default()
    };
    figures.deployments = deployments(crew, &log, expected, &unknown, &mut problems);
    for expected in expected {
        figures.lines += statuses(crew, expected, &unknown, &log, &mut problems);
        problems.extend(told_to_people(crew, expected, &log));
    }
    (figures, problems)
}

/// Streams and events.
fn events(envelopes: &[Envelope]) -> Log {
    let known = |e: &Envelope| e.event().expect("an event of this version");
    envelopes.iter().map(|e| (e.stream.clone(), known(e))).collect()
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

/// Each tracked run that began has one deployment, which ended as it did, and each merge deployed
/// once, well unless nobody knows. Returns how many there are.
fn deployments(
    crew: &Crew,
    log: &Log,
    expected: &[Expected],
    unknown: &BTreeSet<String>,
    problems: &mut Vec<String>,
) -> usize {
    let projects: BTreeSet<ProjectId> = expected.iter().map(|expected| expected.project).collect();
    let mut shown = BTreeMap::<String, Vec<String>>::new();
    for project in projects {
        match crew.sim.environment_page(project) {
            Ok(page) => {
                let all = page.environments.into_iter().flat_map(|e| e.deployments);
                all.for_each(|d| shown.entry(d.sha).or_default().push(d.status));
            }
            Err(error) => problems.push(format!("the environments of {project:?}: {error}")),
        }
    }
    let ended = ended_deployments(log);
    if shown != ended {
        let differ = shown.iter().filter(|(sha, is)| ended.get(*sha) != Some(is));
        let differ: Vec<_> = differ.map(|(sha, is)| (sha, is, ended.get(sha))).collect();
        let missing: Vec<_> = ended.keys().filter(|sha| !shown.contains_key(*sha)).collect();
        problems.push(format!("deployments, and what they should be: {differ:?}; no {missing:?}"));
    }
    let merged = expected.iter().flat_map(|expected| &expected.commits);
    for (sha, _) in merged.filter(|(_, verdict)| *verdict == Verdict::Deployed) {
        let right = if unknown.contains(sha) { "failed" } else { "success" };
        let states = shown.get(sha).map(Vec::as_slice).unwrap_or_default();
        if states != [right] {
            problems.push(format!("the deployments of {sha}: {states:?}, not one {right}"));
        }
    }
    shown.values().map(Vec::len).sum()
}

/// By commit: what the deployments of the tracked runs that began should show.
fn ended_deployments(log: &Log) -> BTreeMap<String, Vec<String>> {
    let (mut began, mut ended) = (BTreeMap::new(), BTreeMap::new());
    for (stream, event) in log {
        match event {
            Event::AttemptStarted(attempt) if attempt.tracked => {
                began.insert(stream, attempt.sha.to_string());
            }
            // A late result corrects an unknown one.
            Event::RunFinished(run) => drop(ended.insert(stream, run.outcome)),
            _ => {}
        }
    }
    let mut shown = BTreeMap::<String, Vec<String>>::new();
    for (stream, sha) in began {
        let state = match ended.get(stream) {
            None => "running",
            Some(Outcome::Passed) => "success",
            Some(Outcome::Canceled | Outcome::Skipped | Outcome::Lost) => "canceled",
            Some(_) => "failed",
        };
        shown.entry(sha).or_default().push(state.to_owned());
    }
    shown
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

/// Each line of each commit shows how it did, and none is left open in any pipeline. Returns how many
/// were looked at.
fn statuses(
    crew: &Crew,
    expected: &Expected,
    unknown: &BTreeSet<String>,
    log: &Log,
    problems: &mut Vec<String>,
) -> usize {
    let project = expected.project;
    let mut seen = 0;
    for (sha, verdict) in &expected.commits {
        let lines = lines(crew, project, sha);
        seen += lines.len();
        let mut wrong = Vec::new();
        if lines.len() != 1 + expected.stacks {
            wrong.push(format!("{} lines", lines.len()));
        }
        for line in &lines {
            let right = verdict.allows(&line.name, unknown.contains(sha));
            if !right.contains(&line.state) {
                wrong.push(format!("{} is {:?}, not {right:?}", line.name, line.state));
            }
        }
        let pipelines = crew.sim.pipeline_views(project, sha);
        let all = pipelines.iter().flat_map(|pipeline| &pipeline.jobs);
        let open = all.filter(|job| matches!(job.state, JobState::Pending | JobState::Running));
        wrong.extend(open.map(|job| format!("{} is left {:?}", job.name, job.state)));
        if !wrong.is_empty() {
            let shown: Vec<String> = pipelines.iter().map(ToString::to_string).collect();
            let (wrong, shown) = (wrong.join(", "), shown.join("\n"));
            let is_one = |stream: &str| stream.starts_with("statuses-") && stream.ends_with(sha);
            let (calls, told) = (calls(crew, sha), told(log, is_one));
            problems.push(format!("{sha} ({verdict:?}): {wrong} in\n{shown}\n{calls}{told}"));
        }
    }
    seen
}

/// What was written to this place, for whoever looks for the cause.
fn calls(crew: &Crew, place: &str) -> String {
    let calls = crew.sim.calls().into_iter();
    let about = calls.filter(|call| call.is_write() && call.path.contains(place));
    let lines = about.map(|call| {
        let aldis_gitlab_sim::Call { at, method, path, params, status, applied, .. } = call;
        format!("    {at} {method} {path} {params}: {status}, applied {applied}\n")
    });
    lines.collect()
}

/// What the log says in these streams.
fn told(log: &Log, is_one: impl Fn(&str) -> bool) -> String {
    let about = log.iter().filter(|(stream, _)| is_one(stream));
    about.map(|(_, event)| format!("    {} {}\n", event.kind(), event.body())).collect()
}

/// Each merge request has one comment of ours, which says how its last head did.
fn told_to_people(crew: &Crew, expected: &Expected, log: &Log) -> Vec<String> {
    let mut problems = Vec::new();
    for mr in &expected.mrs {
        match crew.sim.merge_request_page(*mr) {
            Ok(page) => {
                let notes = page.notes.iter().filter(|note| note.author == "aldis");
                let bodies: Vec<&String> = notes.map(|note| &note.body).collect();
                if !matches!(bodies[..], [body] if body.contains(&expected.headline)) {
                    let change = format!("mr-1.{}-{}", mr.project.0, mr.iid);
                    let is_one = |stream: &str| {
                        ["note", "change"]
                            .map(|of| format!("{of}-{change}"))
                            .contains(&stream.to_owned())
                    };
                    let place =
                        format!("projects/{}/merge_requests/{}/notes", mr.project.0, mr.iid);
                    let (calls, told) = (calls(crew, &place), told(log, is_one));
                    problems.push(format!("{mr:?} shows {bodies:?}\n{calls}{told}"));
                }
            }
            Err(error) => problems.push(format!("{mr:?}: {error}")),
        }
    }
    problems
}
