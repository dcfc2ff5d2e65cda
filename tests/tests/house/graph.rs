//! The crate graph by name, normal dependencies only, read from `cargo metadata`.
//! For our own crates the manifest counts, so an optional dependency is an edge whether or not
//! its feature is on. For foreign crates what cargo resolved for this platform counts.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::process::Command;

pub(crate) struct Graph {
    edges: BTreeMap<String, BTreeSet<String>>,
    ours: BTreeMap<String, String>,
}

impl Graph {
    /// Offline: whoever runs this test has built the workspace, so all crates are on the disk.
    pub(crate) fn of_the_workspace() -> Self {
        let host = cargo(&["-vV"]);
        let host = host.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.expect("`cargo -vV` names the host");
        let metadata = cargo(&[
            "metadata",
            "--format-version=1",
            "--locked",
            "--offline",
            "--filter-platform",
            host,
        ]);
        let metadata = serde_json::from_str(&metadata).expect("cargo metadata prints JSON");
        Self::read(&metadata)
    }

    fn read(metadata: &Value) -> Self {
        let names: BTreeMap<&str, &str> =
            list(&metadata["packages"]).map(|it| (text(&it["id"]), text(&it["name"]))).collect();
        let members: BTreeSet<&str> = list(&metadata["workspace_members"]).map(text).collect();
        let mut graph = Self { edges: BTreeMap::new(), ours: BTreeMap::new() };
        for package in list(&metadata["packages"]).filter(|it| members.contains(text(&it["id"]))) {
            let name = text(&package["name"]);
            graph.ours.insert(name.into(), text(&package["manifest_path"]).into());
            for dependency in list(&package["dependencies"]).filter(|it| it["kind"].is_null()) {
                graph.edge(name, text(&dependency["name"]));
            }
        }
        for node in list(&metadata["resolve"]["nodes"]) {
            let id = text(&node["id"]);
            if members.contains(id) {
                continue;
            }
            let normal = |dep: &&Value| list(&dep["dep_kinds"]).any(|kind| kind["kind"].is_null());
            for dep in list(&node["deps"]).filter(normal) {
                graph.edge(names[id], names[text(&dep["pkg"])]);
            }
        }
        graph
    }

    fn edge(&mut self, from: &str, to: &str) {
        self.edges.entry(from.into()).or_default().insert(to.into());
    }

    /// Names of the crates of the workspace whose manifest lies under `crates/`.
    pub(crate) fn crates(&self) -> BTreeSet<&str> {
        let under = super::root().join("crates");
        let ours = self.ours.iter().filter(|(_, manifest)| manifest_is_under(manifest, &under));
        ours.map(|(name, _)| name.as_str()).collect()
    }

    /// A shortest path to the first crate that is `sought`, both ends included. It never goes on
    /// behind a crate that `ends` a path.
    pub(crate) fn path(
        &self,
        from: &str,
        sought: impl Fn(&str) -> bool,
        ends: impl Fn(&str) -> bool,
    ) -> Option<Vec<String>> {
        let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
        let mut queue = VecDeque::from([from]);
        while let Some(here) = queue.pop_front() {
            if here != from && sought(here) {
                return Some(walk_back(&came_from, from, here));
            }
            if here != from && ends(here) {
                continue;
            }
            for next in self.edges.get(here).into_iter().flatten() {
                if next != from && !came_from.contains_key(next.as_str()) {
                    came_from.insert(next, here);
                    queue.push_back(next);
                }
            }
        }
        None
    }
}

fn manifest_is_under(manifest: &str, folder: &std::path::Path) -> bool {
    std::path::Path::new(manifest).starts_with(folder)
}

fn walk_back(came_from: &BTreeMap<&str, &str>, from: &str, to: &str) -> Vec<String> {
    let mut path = vec![to.to_owned()];
    let mut here = to;
    while here != from {
        here = came_from[here];
        path.push(here.to_owned());
    }
    path.reverse();
    path
}

fn cargo(words: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO"));
    let output = command.args(words).current_dir(super::root()).output().expect("cargo starts");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`cargo {}` failed:\n{complaint}", words.join(" "));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().expect("a list in cargo's metadata").iter()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text in cargo's metadata")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sample() -> Graph {
        Graph::read(&json!({
            "packages": [
                {"id": "1", "name": "mine", "manifest_path": "/", "dependencies": [
                    {"name": "middle", "kind": null}, {"name": "kit", "kind": "dev"},
                ]},
                {"id": "2", "name": "middle", "dependencies": []},
                {"id": "3", "name": "kit", "dependencies": []},
                {"id": "4", "name": "deep", "dependencies": []},
            ],
            "workspace_members": ["1"],
            "resolve": {"nodes": [
                {"id": "1", "deps": []},
                {"id": "2", "deps": [
                    {"pkg": "4", "dep_kinds": [{"kind": "build"}, {"kind": null}]},
                    {"pkg": "3", "dep_kinds": [{"kind": "build"}]},
                ]},
                {"id": "3", "deps": [{"pkg": "4", "dep_kinds": [{"kind": null}]}]},
                {"id": "4", "deps": [{"pkg": "2", "dep_kinds": [{"kind": null}]}]},
            ]},
        }))
    }

    #[test]
    fn a_path_is_found_through_foreign_crates_and_cycles() {
        let path = sample().path("mine", |name| name == "deep", |_| false);
        assert_eq!(path.expect("a path"), ["mine", "middle", "deep"]);
    }

    #[test]
    fn dev_and_build_dependencies_are_no_edges() {
        assert_eq!(sample().path("mine", |name| name == "kit", |_| false), None);
    }

    #[test]
    fn no_path_goes_on_behind_its_end() {
        let graph = sample();
        let ends = |name: &str| name == "middle";
        assert_eq!(graph.path("mine", |name| name == "deep", ends), None);
        let to_the_end = graph.path("mine", |name| name == "middle", ends);
        assert_eq!(to_the_end.expect("a path"), ["mine", "middle"]);
    }
}
