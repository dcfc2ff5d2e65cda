//! A store with events, and the pages over it.

use std::time::Duration;

use actix_web::body::to_bytes;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::{App, test};
use aldis_domain::event::Event;
use aldis_domain::id::RunId;
use aldis_store::{Answer, Append, Clock, Expected, LogChunk, Meta, NewEvent, Store};
use aldis_web::{Projector, State, configure_pages, configure_probes};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const TOKEN: &str = "a-bootstrap-token";

pub(crate) struct Site {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) settings: aldis_web::Settings,
    _dir: TempDir,
}

/// An answer, read to its end.
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: actix_web::http::header::HeaderMap,
    pub(crate) body: String,
}

impl Answered {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The page's text without tags, blanks and lines brought together.
    pub(crate) fn text(&self) -> String {
        let main = self.body.split_once("<main>").map_or(self.body.as_str(), |(_, main)| main);
        let mut text = String::new();
        for (i, piece) in main.split('<').enumerate() {
            let (tag, words) = if i == 0 { ("", piece) } else { piece.split_once('>').unwrap() };
            let block =
                ["/tr", "/p", "/h", "/li", "/section", "/dd", "pre", "/pre", "/thead", "/div"];
            if block.iter().any(|b| tag.starts_with(b)) {
                text.push('\n');
            } else if tag.starts_with("td") || tag == "th" {
                text.push_str(" | ");
            } else if tag == "/dt" {
                text.push_str(": ");
            } else if tag == "/a" {
                text.push(' ');
            }
            text.push_str(words);
        }
        let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&#39;", "'");
        let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
    }
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::on(None).await
    }

    pub(crate) async fn on_postgres() -> Self {
        let database = tokio::task::spawn_blocking(|| aldis_test_servers::postgres().database());
        Self::on(Some(database.await.unwrap().into())).await
    }

    async fn on(postgres: Option<SecretString>) -> Self {
        let dir = TempDir::new().unwrap();
        let clock = Clock::manual();
        // What has not happened yet is always said to be "just now", however slow a test is.
        clock.advance(Duration::from_hours(1));
        let settings = aldis_store::Settings {
            clock: clock.clone(),
            postgres,
            ..aldis_store::Settings::in_dir(dir.path())
        };
        let store = Store::open(&settings).await.unwrap();
        let settings = aldis_web::Settings {
            base_url: None,
            listen_is_loopback: true,
            bootstrap_token: SecretString::from(TOKEN),
            warnings: vec!["GIT_SSL_VERIFY=false".to_owned()],
        };
        Self { store, clock, settings, _dir: dir }
    }

    pub(crate) async fn append(&self, stream: &str, events: Vec<Event>) {
        let events = events.into_iter().map(NewEvent::new).collect();
        let append = Append::new(Meta::from_source("test")).write(stream, Expected::Any, events);
        let answer = self.store.append(append).await.unwrap();
        assert!(matches!(answer, Answer::Appended { .. }), "{answer:?}");
    }

    pub(crate) async fn project(&self) {
        let projector = Projector::new(self.store.clone());
        while projector.run_once().await.unwrap() {}
    }

    pub(crate) async fn log(&self, run: &RunId, epoch: u64, pieces: &[(u64, u32, &str)]) {
        let chunks = pieces.iter().map(|(seq, step, text)| LogChunk {
            seq: *seq,
            step: *step,
            bytes: text.as_bytes().to_vec(),
        });
        self.store.add_log(run.as_str(), epoch, chunks.collect()).await.unwrap();
    }

    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.send(test::TestRequest::get().uri(path).insert_header(("host", "localhost:8080")))
            .await
    }

    pub(crate) async fn send(&self, request: test::TestRequest) -> Answered {
        let state = State::new(self.store.clone(), &self.settings);
        let app = App::new().configure(|config| {
            configure_probes(config, state.clone());
            configure_pages(config, state);
        });
        let app = test::init_service(app).await;
        let response: ServiceResponse<_> = app.call(request.to_request()).await.unwrap();
        let status = response.status();
        let headers = response.headers().clone();
        let Ok(body) = to_bytes(response.into_body()).await else { panic!("the body broke off") };
        Answered { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }
}

/// An event's part from JSON, where fields that a test does not care for are filled in.
pub(crate) fn fact<T: DeserializeOwned>(base: Value, changes: Value) -> T {
    let mut base = base;
    if let (Value::Object(base), Value::Object(changes)) = (&mut base, changes) {
        base.extend(changes);
    }
    serde_json::from_value(base).unwrap()
}

pub(crate) fn sha(digit: char) -> String {
    digit.to_string().repeat(40)
}

pub(crate) fn run_id(number: u8) -> RunId {
    RunId::from_digest(&[number; 32])
}

pub(crate) fn requested(run: &RunId, changes: Value) -> Event {
    let step = |name: &str| json!({"name": name, "run": ["true"], "env": {}, "allow_failure": false, "when": "on_success"});
    let base = json!({
        "run": run, "project": "1.42", "sha": sha('a'), "stack": "api",
        "definition": {
            "dir": "api", "steps": [step("build"), step("test")],
            "on": {"push": null, "tag": null, "merge_request": null},
            "paths": [], "paths_ignore": [], "env": {}, "timeout": 60, "needs": [],
            "reports": {"junit": [], "terraform_plan": []}, "environment": null,
            "concurrency": {"cancel_superseded": true}, "executor": null, "network": "default"
        },
        "trust": "member", "round": 0, "git_ref": "refs/merge-requests/7/head",
        "audience": {"change": "mr-1.42-7", "posting_project": "1.42"},
        "deploys": null, "needs": {}, "needed": false,
        "why": "api/main.rs changed, which matches api/**",
        "delivery": "delivery-shared-d1",
    });
    Event::RunRequested(fact(base, changes))
}

pub(crate) fn started(attempt: u32, epoch: u64, runner: &str) -> Event {
    Event::AttemptStarted(fact(
        json!({"attempt": attempt, "epoch": epoch, "runner": runner, "sha": sha('a'),
            "audience": [], "tracked": false}),
        json!({}),
    ))
}

pub(crate) fn finished(run: &RunId, epoch: u64, outcome: &str, report: Value) -> Event {
    Event::RunFinished(fact(
        json!({"run": run, "sha": sha('a'), "outcome": outcome, "epoch": epoch, "reason": null,
            "report": {"steps": []}, "audience": [], "tracked": false, "needed": false}),
        Value::Object([("report".to_owned(), report)].into_iter().collect()),
    ))
}

pub(crate) fn received(changes: Value) -> Event {
    let base = json!({
        "hook": "shared", "key": "d1", "event": "Merge Request Hook", "verified": "token",
        "previous_secret": false, "source_ip": "10.1.2.3", "bytes": 5120, "payload": "ab".repeat(32),
        "trigger": {"kind": "merge_request", "project": "1.42", "iid": 7, "action": "updated",
            "head": sha('a'), "source_project": 42, "source_branch": "fix", "target_branch": "main",
            "draft": false, "actor": 3},
    });
    Event::DeliveryReceived(fact(base, changes))
}

pub(crate) fn decisions(run: &RunId) -> Value {
    json!([
        {"stack": "api", "rule": {"rule": "path_matched", "glob": "api/**", "path": "api/main.rs"},
            "run": run, "tracked": false},
        {"stack": "web", "rule": {"rule": "no_path_matched", "globs": ["web/**"], "checked": 3},
            "run": null},
    ])
}

pub(crate) fn decided(run: &RunId) -> Event {
    Event::DeliveryDecided(fact(
        json!({"verdict": {"verdict": "planned"}, "plans": [
            {"change": "mr-1.42-7", "sha": sha('a'), "new_runs": true, "stacks": decisions(run)}]}),
        json!({}),
    ))
}

pub(crate) fn planned(run: &RunId) -> Event {
    let base = json!({
        "sha": sha('a'), "trust": "member", "access_level": 30,
        "config": {"at": sha('a'), "digest": "cd".repeat(32)},
        "verdict": {"verdict": "runs"}, "stacks": decisions(run), "changed_paths": 3,
        "posting_project": "1.42", "lane": "refs/merge-requests/7/head",
    });
    Event::ChangePlanned(fact(base, json!({})))
}

pub(crate) fn moved() -> Event {
    Event::HeadMoved(fact(
        json!({"sha": sha('a'), "merge_request": {"source_project": 42, "source_branch": "fix",
            "target_branch": "main", "draft": false, "author": 3}}),
        json!({}),
    ))
}

pub(crate) fn observed(path: &str) -> Event {
    Event::ProjectObserved(fact(
        json!({"project": "1.42", "path": path, "default_branch": "main", "configured": true,
            "aggregate": "aldis"}),
        json!({}),
    ))
}

/// A merge request that was delivered, planned, run and failed.
pub(crate) async fn story(site: &Site) -> RunId {
    let run = run_id(1);
    site.store.ensure_instance("https://gitlab.example").await.unwrap();
    site.append("project-1.42", vec![observed("group/app")]).await;
    site.append("delivery-shared-d1", vec![received(json!({})), decided(&run)]).await;
    site.append("change-mr-1.42-7", vec![moved(), planned(&run)]).await;
    site.append(&format!("run-{run}"), vec![requested(&run, json!({})), started(1, 5, "host/1")])
        .await;
    site.log(
        &run,
        5,
        &[
            (1, 0, "compiling \u{1b}[32mapi\u{1b}[0m\nwarn"),
            (2, 0, "ing: <unused>\n"),
            (3, 1, "test it_adds … \u{1b}[1;31mFAILED\u{1b}[0m\n"),
        ],
    )
    .await;
    site.clock.advance(Duration::from_secs(32));
    let report = json!({
        "steps": [
            {"name": "build", "result": "passed", "exit": 0, "millis": 21_000},
            {"name": "test", "result": "failed", "exit": 101, "millis": 9_000},
        ],
        "tests": {"total": 120, "failed": 1, "errored": 0, "skipped": 2, "millis": 8_000,
            "failures": [{"name": "api::it_adds", "message": "left: 4, right: 5"}]},
        "plans": [{"file": "plan.json", "add": 1, "change": 0, "destroy": 1, "resources": [
            {"address": "aws_instance.web[0]", "action": "replace", "attributes": ["ami: a → b"]}]}],
        "remarks": ["memory was not limited: no cgroup here"],
        "tail": "FAILED",
    });
    site.append(&format!("run-{run}"), vec![finished(&run, 5, "failed", report)]).await;
    site.project().await;
    run
}
