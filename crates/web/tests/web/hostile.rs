//! Text from GitLab, from config files and from jobs stays text, whatever it is made of.

use aldis_domain::event::Event;
use aldis_domain::id::RunId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::site::{
    Site, fact, finished, moved, observed, planned, received, requested, run_id, sha, started,
};

/// Text that must never become markup, and sequences that must not reach a terminal or a page.
const EVIL: &str =
    "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&\u{1b}]0;owned\u{7}{{ 7*7 }}";

/// The same fact with other fields.
fn changed<T: Serialize + DeserializeOwned>(fact_: T, changes: Value) -> T {
    fact(serde_json::to_value(fact_).unwrap(), changes)
}

fn rule() -> Value {
    json!({"rule": "path_matched", "glob": EVIL, "path": EVIL})
}

fn stacks(run: &RunId) -> Value {
    json!([
        {"stack": EVIL, "rule": rule(), "run": run},
        {"stack": EVIL, "rule": rule(), "run": null},
    ])
}

async fn deliveries(site: &Site, run: &RunId) {
    let trigger = json!({"kind": "note", "project": "1.42", "note": 4, "merge_request": 7,
        "created": true, "system": false, "actor": 3,
        "commands": [{"command": "test", "stacks": [EVIL]}]});
    let first = received(json!({"event": EVIL, "hook": EVIL, "key": EVIL, "source_ip": EVIL,
        "trigger": trigger, "payload": EVIL}));
    let plans = json!({"verdict": {"verdict": "planned"}, "plans": [
        {"change": format!("ref-1.42-{EVIL}"), "sha": sha('a'), "new_runs": true,
            "stacks": stacks(run)}]});
    let plans = Event::DeliveryDecided(fact(plans, json!({})));
    site.append("delivery-shared-d1", vec![first, plans]).await;
    let second = received(json!({"trigger": {"kind": "other", "event": EVIL}}));
    let ignored = json!({"verdict": {"verdict": "ignored", "reason": EVIL}});
    let ignored = Event::DeliveryDecided(fact(ignored, json!({})));
    site.append("delivery-shared-d2", vec![second, ignored]).await;
    let unread = json!({"hook": EVIL, "key": EVIL, "event": EVIL, "verified": "token", "bytes": 1,
        "payload": EVIL, "problem": EVIL});
    let unread = Event::DeliveryQuarantined(fact(unread, json!({})));
    site.append("delivery-shared-d3", vec![unread]).await;
}

async fn change(site: &Site, run: &RunId) {
    let (Event::HeadMoved(head), Event::ChangePlanned(plan)) = (moved(), planned(run)) else {
        panic!("these are made so")
    };
    let head = changed(
        head,
        json!({"merge_request": {"source_project": 1, "source_branch": EVIL,
        "target_branch": EVIL, "draft": true, "author": 1}}),
    );
    let plan = changed(
        plan,
        json!({"stacks": stacks(run), "config": {"at": EVIL, "digest": null},
        "verdict": {"verdict": "config_error", "findings": [EVIL]}}),
    );
    let command = json!({"note": 1, "command": {"command": "test", "stacks": [EVIL]}, "actor": 3,
        "access_level": 0, "refused": EVIL});
    let command = Event::CommandHandled(fact(command, json!({})));
    site.append("change-mr-1.42-7", vec![head.into(), plan.into(), command]).await;
}

async fn run(site: &Site, run: &RunId) {
    let request = json!({"stack": EVIL, "why": EVIL, "git_ref": EVIL,
        "delivery": format!("delivery-{EVIL}"), "needs": {EVIL: run_id(9)},
        "audience": {"change": format!("ref-1.42-{EVIL}"), "posting_project": "1.42"}});
    let report = json!({
        "steps": [{"name": EVIL, "result": "failed", "exit": 1, "millis": 5}],
        "tests": {"total": 1, "failed": 1, "errored": 0, "skipped": 0, "millis": 0,
            "failures": [{"name": EVIL, "message": EVIL}]},
        "plans": [{"file": EVIL, "add": 1, "change": 0, "destroy": 0, "resources":
            [{"address": EVIL, "action": "create", "attributes": [EVIL]}]}],
        "remarks": [EVIL], "trouble": EVIL, "tail": EVIL,
    });
    let events =
        vec![requested(run, request), started(1, 5, EVIL), finished(run, 5, "failed", report)];
    site.append(&format!("run-{run}"), events).await;
    let sneaky = "\n\u{1b}[1m<script>\u{1b}[0malert(1)</script>\n";
    site.log(run, 5, &[(1, 0, EVIL), (2, 0, sneaky)]).await;
}

#[tokio::test]
async fn hostile_text_in_every_field_stays_text() {
    let site = Site::new().await;
    let id = run_id(1);
    site.store.ensure_instance("https://gitlab.example").await.unwrap();
    site.append("project-1.42", vec![observed(EVIL)]).await;
    deliveries(&site, &id).await;
    change(&site, &id).await;
    run(&site, &id).await;
    site.project().await;
    for path in [
        "/",
        "/deliveries/shared-d1",
        "/deliveries/shared-d2",
        "/deliveries/shared-d3",
        "/changes/mr-1.42-7",
        &format!("/runs/{id}"),
    ] {
        let page = site.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.body.contains("&lt;script&gt;alert(1)"), "{path} shows it");
        let bad = ["<script>", "<img", "onerror=alert(1)>", "\u{1b}", "\u{7}", ">49<", "\"'>"];
        for bad in bad {
            assert!(!page.body.contains(bad), "{path}: {bad:?}");
        }
    }
    // The live log is JSON, which the script puts into text nodes.
    let live = site.get(&format!("/runs/{id}/log")).await;
    assert!(live.body.contains("<script>") && !live.body.contains('\u{1b}'), "{}", live.body);
}

#[tokio::test]
async fn a_running_run_with_hostile_steps_keeps_its_attributes() {
    let site = Site::new().await;
    let id = run_id(2);
    let Event::RunRequested(mut request) = requested(&id, json!({})) else { panic!("made so") };
    request.definition.steps[0].name = EVIL.to_owned();
    site.append(&format!("run-{id}"), vec![request.into(), started(1, 5, "a/1")]).await;
    site.log(&id, 5, &[(1, 0, "x")]).await;
    let page = site.get(&format!("/runs/{id}")).await;
    assert!(page.body.contains("data-live=\"/runs/"));
    assert!(!page.body.contains("<script>") && !page.body.contains("<img"), "{}", page.body);
}
