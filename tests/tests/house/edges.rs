//! Who may import whom. Services meet in the log and never in code; a foreign crate that does IO
//! or has opinions lives where it can be replaced. The tables here are the rule.

use super::assert_none;
use super::graph::Graph;

/// Our crates: (crate, what it may reach). What is not listed is forbidden, also by a detour.
const MAY_REACH: &[(&str, &[&str])] = &[
    ("aldis-domain", &[]),
    ("aldis-bus", &[]),
    ("aldis-gitlab", &[]),
    ("aldis-gitlab-sim", &[]),
    ("aldis-store", &["aldis-domain"]),
    ("aldis-protocol", &["aldis-domain"]),
    ("aldis-ingress", SERVICE),
    ("aldis-planner", SERVICE),
    ("aldis-feedback", SERVICE),
    ("aldis-dispatch", &["aldis-domain", "aldis-store", "aldis-bus", "aldis-protocol"]),
    ("aldis-runner", &["aldis-domain", "aldis-protocol", "aldis-bus"]),
    ("aldis-web", &["aldis-domain", "aldis-store", "aldis-gitlab"]),
    ("aldis", EVERYTHING),
];

const SERVICE: &[&str] = &["aldis-domain", "aldis-store", "aldis-bus", "aldis-gitlab"];

/// The binary wires them all; that nobody imports it follows from the other rows.
const EVERYTHING: &[&str] = &[
    "aldis-bus",
    "aldis-dispatch",
    "aldis-domain",
    "aldis-feedback",
    "aldis-gitlab",
    "aldis-gitlab-sim",
    "aldis-ingress",
    "aldis-planner",
    "aldis-protocol",
    "aldis-runner",
    "aldis-store",
    "aldis-web",
];

/// Foreign crates: (crate, where it may be used). Any other crate may only get it by way of one of
/// these, never itself and never through another foreign crate.
const HOMES: &[(&str, &[&str])] = &[
    ("sqlx", &["aldis-store"]),
    ("lapin", &["aldis-bus"]),
    ("reqwest", &["aldis-gitlab", "aldis-gitlab-sim", "aldis-runner"]),
    ("actix-web", &["aldis-ingress", "aldis-dispatch", "aldis-web", "aldis-gitlab-sim", "aldis"]),
    ("tera", &["aldis-domain", "aldis-web"]),
    ("serde-saphyr", &["aldis-domain"]),
    ("anyhow", &["aldis"]),
    ("clap", &["aldis"]),
    ("tracing-subscriber", &["aldis"]),
    ("tokio", RUNTIME),
];

/// Everything that waits for something: all but the pure crates `domain` and `protocol`.
const RUNTIME: &[&str] = &[
    "aldis",
    "aldis-bus",
    "aldis-dispatch",
    "aldis-feedback",
    "aldis-gitlab",
    "aldis-gitlab-sim",
    "aldis-ingress",
    "aldis-planner",
    "aldis-runner",
    "aldis-store",
    "aldis-web",
];

#[test]
fn every_crate_has_a_row() {
    let graph = Graph::of_the_workspace();
    let mut rows: Vec<&str> = MAY_REACH.iter().map(|(name, _)| *name).collect();
    rows.sort_unstable();
    let crates: Vec<&str> = graph.crates().into_iter().collect();
    assert_eq!(crates, rows, "left: the crates under crates/; right: the rows of MAY_REACH");
}

#[test]
fn no_crate_of_ours_reaches_one_that_it_must_not() {
    let graph = Graph::of_the_workspace();
    let ours = graph.crates();
    let mut offenders = Vec::new();
    for (name, may) in MAY_REACH {
        for other in ours.iter().filter(|other| *other != name && !may.contains(other)) {
            if let Some(path) = graph.path(name, |it| it == *other, |_| false) {
                offenders.push(format!("{name} must not import {other}: {}", path.join(" -> ")));
            }
        }
    }
    assert_none("forbidden edges between our crates:", &offenders);
}

#[test]
fn a_foreign_crate_is_used_only_where_it_lives() {
    let graph = Graph::of_the_workspace();
    let mut offenders = Vec::new();
    for (foreign, homes) in HOMES {
        for name in graph.crates().iter().filter(|name| !homes.contains(name)) {
            let path = graph.path(name, |it| it == *foreign, |it| homes.contains(&it));
            if let Some(path) = path {
                offenders.push(format!("{name} must not use {foreign}: {}", path.join(" -> ")));
            }
        }
    }
    assert_none("foreign crates away from home:", &offenders);
}
