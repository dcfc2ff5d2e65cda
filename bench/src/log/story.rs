//! A push from its delivery to the end of its run, as all parts of the bot together append it.

use aldis_domain::event::Event;
use aldis_domain::event::delivery::DeliveryDecided;
use aldis_domain::id::RunId;
use aldis_domain::stream;
use aldis_store::{Append, Expected, Meta, NewEvent};
use anyhow::Result;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::received;

/// Story `number`, all of it at once, so that no work stays behind. It has seven events in three
/// streams.
pub(crate) fn story(number: u64) -> Result<Append> {
    let (delivery, received) = received(number);
    let digest = aldis_store::sha256(&number.to_be_bytes());
    let run = RunId::from_digest(&digest);
    let sha = aldis_store::sha256_hex(&digest)[..40].to_owned();
    let (project, change) =
        (format!("1.{}", number % 100), format!("mr-1.{}-{number}", number % 100));
    let stacks = json!([
        {"stack": "api", "rule": {"rule": "path_matched", "glob": "api/**", "path": "api/main.rs"},
            "run": run, "tracked": false},
        {"stack": "web", "rule": {"rule": "no_path_matched", "globs": ["web/**"], "checked": 3},
            "run": null},
    ]);
    let decided: DeliveryDecided = read(json!({"verdict": {"verdict": "planned"}, "plans": [
        {"change": change, "sha": sha, "new_runs": true, "stacks": stacks}]}))?;
    let moved = Event::HeadMoved(read(json!({"sha": sha, "merge_request": {"source_project": 42,
        "source_branch": "fix", "target_branch": "main", "draft": false, "author": 3}}))?);
    let planned = Event::ChangePlanned(read(json!({
        "sha": sha, "trust": "member", "access_level": 30,
        "config": {"at": sha, "digest": aldis_store::sha256_hex(b"config")},
        "verdict": {"verdict": "runs"}, "stacks": stacks, "changed_paths": 3,
        "posting_project": project, "lane": format!("refs/merge-requests/{number}/head"),
    }))?);
    let run_events = run_events(&run, &sha, &project, &change, &delivery)?;
    let meta = Meta::from_source("ingress");
    let append = Append::new(meta)
        .write(&delivery, Expected::NoStream, events([received.into(), decided.into()]))
        .write(&format!("change-{change}"), Expected::NoStream, events([moved, planned]))
        .write(&stream::run(&run), Expected::NoStream, events(run_events));
    Ok(Append { touches: Vec::new(), ..append })
}

fn run_events(
    run: &RunId,
    sha: &str,
    project: &str,
    change: &str,
    delivery: &str,
) -> Result<[Event; 3]> {
    let step = |name: &str| json!({"name": name, "run": ["true"], "env": {}, "allow_failure": false, "when": "on_success"});
    let audience = json!({"change": change, "posting_project": project});
    let requested = json!({
        "run": run, "project": project, "sha": sha, "stack": "api",
        "definition": {
            "dir": "api", "steps": [step("build"), step("test")],
            "on": {"push": null, "tag": null, "merge_request": null},
            "paths": [], "paths_ignore": [], "env": {}, "timeout": 60, "needs": [],
            "reports": {"junit": [], "terraform_plan": []}, "environment": null,
            "concurrency": {"cancel_superseded": true}, "executor": null, "network": "default"
        },
        "trust": "member", "round": 0, "git_ref": "refs/heads/fix", "audience": audience,
        "deploys": null, "needs": {}, "needed": false, "delivery": delivery,
        "why": "api/main.rs changed, which matches api/**",
    });
    let started = json!({"attempt": 1, "epoch": 1, "runner": "host/1", "sha": sha,
        "audience": [audience], "tracked": false});
    let finished = json!({"run": run, "sha": sha, "outcome": "passed", "epoch": 1, "reason": null,
        "report": {"steps": [
            {"name": "build", "result": "passed", "exit": 0, "millis": 21_000},
            {"name": "test", "result": "passed", "exit": 0, "millis": 9_000},
        ]}, "audience": [audience], "tracked": false, "needed": false});
    Ok([
        Event::RunRequested(read(requested)?),
        Event::AttemptStarted(read(started)?),
        Event::RunFinished(read(finished)?),
    ])
}

fn events<const N: usize>(events: [Event; N]) -> Vec<NewEvent> {
    events.into_iter().map(NewEvent::new).collect()
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T> {
    Ok(serde_json::from_value(value)?)
}
