use aldis_domain::event::Event;
use aldis_store::{Document, Entry, Store, Writes};
use aldis_web::{PROJECTIONS, ProjectionError, Projector, Step, rebuild, step};
use serde_json::json;

use crate::site::{
    Site, decided, fact, finished, moved, planned, received, requested, run_id, started,
};

/// Documents and entries, each with its projection.
type Kept = (Vec<(String, Document)>, Vec<(String, Entry)>);

/// Everything the pages can read.
async fn documents(site: &Site) -> Kept {
    let (mut documents, mut entries) = (Vec::new(), Vec::new());
    for name in PROJECTIONS {
        let kept = site.store.documents(name, "", 10_000).await.unwrap();
        documents.extend(kept.into_iter().map(|document| (name.to_owned(), document)));
        for scope in ["all", "1.42", "1.43"] {
            let listed = site.store.entries(name, scope, None, 10_000).await.unwrap();
            entries.extend(listed.into_iter().map(|entry| (name.to_owned(), entry)));
        }
    }
    (documents, entries)
}

fn left() -> Event {
    Event::RunLeft(fact(json!({"change": "mr-1.42-7", "reason": {"why": "closed"}}), json!({})))
}

/// Nothing that a projection takes in.
fn settled() -> Event {
    Event::StatusesSettled(fact(json!({"outcomes": []}), json!({})))
}

/// Events of many streams, interleaved, some without the beginning that a fold waits for.
fn history() -> Vec<(String, Event)> {
    let mut history = Vec::new();
    for number in 0..40 {
        let run = run_id(number);
        let stream = format!("run-{run}");
        let delivery = format!("delivery-shared-{number}");
        history.push((delivery.clone(), received(json!({"key": number.to_string()}))));
        history.push(("change-mr-1.42-7".to_owned(), moved()));
        history.push(("change-mr-1.42-7".to_owned(), planned(&run)));
        history.push((delivery, decided(&run)));
        history.push((
            stream.clone(),
            requested(&run, json!({"project": if number % 2 == 0 { "1.42" } else { "1.43" }})),
        ));
        history.push((stream.clone(), started(1, 5, "host/1")));
        if number > 2 {
            let earlier = run_id(number - 3);
            let outcome = if number % 3 == 0 { "unknown" } else { "passed" };
            history.push((
                format!("run-{earlier}"),
                finished(&earlier, 5, outcome, json!({"steps": []})),
            ));
            history.push((format!("run-{earlier}"), left()));
        }
        history.push((format!("run-{}", run_id(200 + number)), left()));
        history.push(("statuses-1.42-x".to_owned(), settled()));
    }
    history
}

#[tokio::test]
async fn dropping_and_rebuilding_gives_the_same_bytes() {
    rebuilds_to_the_same_bytes(&Site::new().await).await;
}

#[tokio::test]
async fn dropping_and_rebuilding_gives_the_same_bytes_on_postgres() {
    rebuilds_to_the_same_bytes(&Site::on_postgres().await).await;
}

async fn rebuilds_to_the_same_bytes(site: &Site) {
    for (stream, event) in history() {
        site.append(&stream, vec![event]).await;
        // One event at a time, as it is when there is little to do.
        site.project().await;
    }
    let live = documents(site).await;
    assert!(!live.0.is_empty());
    // Each of 40 runs and 40 deliveries stands in two lists.
    assert_eq!(live.1.len(), 160);
    for name in PROJECTIONS {
        let mut told = Vec::new();
        let reached = rebuild(&site.store, name, |position| told.push(position)).await.unwrap();
        assert_eq!(reached, site.store.head().await.unwrap().position);
        assert_eq!(told.last(), Some(&reached));
    }
    assert_eq!(documents(site).await, live);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_beside_a_live_projector_gives_the_same_bytes() {
    let site = Site::on_postgres().await;
    let mut before = history();
    let meanwhile = before.split_off(before.len() / 2);
    for (stream, event) in before {
        site.append(&stream, vec![event]).await;
    }
    site.project().await;
    let live = tokio::spawn(follow(site.store.clone()));
    let rebuilding = tokio::spawn(rebuild_all(site.store.clone()));
    for (stream, event) in meanwhile {
        site.append(&stream, vec![event]).await;
    }
    rebuilding.await.unwrap();
    live.abort();
    // What the projector was doing then is done or was never begun.
    assert!(live.await.unwrap_err().is_cancelled());
    site.project().await;
    let beside = documents(&site).await;
    rebuild_all(site.store.clone()).await;
    assert_eq!(documents(&site).await, beside);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_takes_in_what_a_live_projector_folds_between_its_steps() {
    let site = Site::new().await;
    let (run, change) = (run_id(1), "change-mr-1.42-7");
    let stream = format!("run-{run}");
    let fill = async |count| site.append("statuses-1.42-x", vec![settled(); count]).await;
    site.append(&stream, vec![requested(&run, json!({})), started(1, 5, "host/1")]).await;
    site.append(change, vec![moved()]).await;
    // What a rebuild takes at once is full here; the live projector folds what follows, and the
    // rebuild goes on behind it with the same run and the same change.
    fill(4_997).await;
    site.append(&stream, vec![finished(&run, 5, "passed", json!({"steps": []}))]).await;
    site.append(change, vec![planned(&run)]).await;
    fill(248).await;
    site.append(&stream, vec![left()]).await;
    site.append(change, vec![moved()]).await;
    site.project().await;
    let live = documents(&site).await;
    for name in ["runs", "changes"] {
        let mut beside = true;
        let between = |_| {
            if std::mem::take(&mut beside) {
                let stepping = step(&site.store, name);
                let runtime = tokio::runtime::Handle::current();
                let step = tokio::task::block_in_place(|| runtime.block_on(stepping));
                assert_eq!(step.unwrap(), Step::Moved(5_250));
            }
        };
        rebuild(&site.store, name, between).await.unwrap();
    }
    assert_eq!(documents(&site).await, live);
}

async fn rebuild_all(store: Store) {
    for name in PROJECTIONS {
        rebuild(&store, name, |_| ()).await.unwrap();
    }
}

/// A projector as in a running bot.
async fn follow(store: Store) {
    let (projector, mut positions) = (Projector::new(store.clone()), store.subscribe());
    loop {
        while projector.run_once().await.unwrap() {}
        positions.changed().await.unwrap();
    }
}

#[tokio::test]
async fn a_prefix_and_then_the_rest_is_all() {
    let events = history();
    let whole = Site::new().await;
    for (stream, event) in events.clone() {
        whole.append(&stream, vec![event]).await;
    }
    whole.project().await;
    let bodies = |(documents, entries): Kept| {
        // The times of two stores differ.
        let clean = |text: &str| {
            let mut value: serde_json::Value = serde_json::from_str(text).unwrap();
            timeless(&mut value);
            value.to_string()
        };
        let documents =
            documents.into_iter().map(|(name, d)| (name, d.key, d.position, clean(&d.body)));
        let entries = entries
            .into_iter()
            .map(|(name, e)| (name, format!("{}/{}", e.scope, e.key), e.sort_key, clean(&e.body)));
        documents.chain(entries).collect::<Vec<_>>()
    };
    let expected = bodies(documents(&whole).await);
    for cut in [1, 7, 100, events.len() - 1] {
        let site = Site::new().await;
        let (first, rest) = events.split_at(cut);
        for part in [first, rest] {
            for (stream, event) in part {
                site.append(stream, vec![event.clone()]).await;
            }
            site.project().await;
        }
        assert_eq!(bodies(documents(&site).await), expected, "cut at {cut}");
    }
}

fn timeless(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                if name == "at" || name.ends_with("_at") {
                    *value = json!(0);
                }
                timeless(value);
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(timeless),
        _ => {}
    }
}

#[tokio::test]
async fn another_version_or_another_log_is_folded_anew() {
    let site = Site::new().await;
    let run = run_id(1);
    site.append(&format!("run-{run}"), vec![requested(&run, json!({}))]).await;
    site.project().await;
    let good = documents(&site).await;
    let at = site.store.checkpoint("runs").await.unwrap().unwrap();
    for wrong in [
        aldis_store::Checkpoint { version: 0, ..at },
        aldis_store::Checkpoint { hash: [7; 32], ..at },
        aldis_store::Checkpoint { position: 99, ..at },
    ] {
        let now = site.store.checkpoint("runs").await.unwrap();
        assert!(site.store.step("runs", now, wrong, Writes::default()).await.unwrap());
        assert_eq!(step(&site.store, "runs").await.unwrap(), Step::Again);
        assert!(site.store.entries("runs", "all", None, 1).await.unwrap().is_empty());
        assert_eq!(step(&site.store, "runs").await.unwrap(), Step::Moved(1));
        assert_eq!(step(&site.store, "runs").await.unwrap(), Step::Idle);
        assert_eq!(documents(&site).await, good);
    }
    // A newer Aldis works beside this one: hands off.
    let newer = aldis_store::Checkpoint { version: 99, ..at };
    assert!(site.store.step("runs", Some(at), newer, Writes::default()).await.unwrap());
    assert_eq!(step(&site.store, "runs").await.unwrap(), Step::Idle);
    assert_eq!(documents(&site).await, good);
}

#[tokio::test]
async fn a_projection_that_is_not_there_is_named() {
    let site = Site::new().await;
    let error = step(&site.store, "run").await.unwrap_err();
    assert!(matches!(error, ProjectionError::Unknown(_)));
    insta::assert_snapshot!(error, @"there is no projection `run`: use projects, deliveries, runs or changes");
}
