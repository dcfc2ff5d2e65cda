//! Documents, lists and checkpoints.

use aldis_store::{Checkpoint, Document, Entry, Writes};

use super::bench::Bench;

fn at(version: u32, position: i64) -> Checkpoint {
    Checkpoint { version, position, hash: [u8::try_from(position).unwrap(); 32] }
}

fn document(key: &str, position: i64) -> Document {
    Document { key: key.to_owned(), body: format!("{{\"{key}\":{position}}}"), position }
}

fn entry(key: &str, scope: &str, sort_key: i64, body: &str) -> Entry {
    Entry { scope: scope.to_owned(), sort_key, key: key.to_owned(), body: body.to_owned() }
}

fn documents(documents: Vec<Document>) -> Writes {
    Writes { documents, ..Writes::default() }
}

#[tokio::test]
async fn a_step_is_taken_only_from_the_expected_checkpoint() {
    let bench = Bench::new().await;
    let step = async |from, to, key| {
        bench.store.step("runs", from, to, documents(vec![document(key, 1)])).await.unwrap()
    };
    assert!(step(None, at(1, 5), "a").await);
    assert!(!step(None, at(1, 5), "b").await);
    assert!(!step(Some(at(1, 4)), at(1, 6), "b").await);
    assert!(!step(Some(at(2, 5)), at(2, 6), "b").await);
    let other_log = Checkpoint { hash: [9; 32], ..at(1, 5) };
    assert!(!step(Some(other_log), at(1, 6), "b").await);
    assert!(step(Some(at(1, 5)), at(1, 6), "c").await);
    assert_eq!(bench.store.checkpoint("runs").await.unwrap(), Some(at(1, 6)));
    assert!(bench.store.document("runs", "b").await.unwrap().is_none());
    assert!(bench.store.document("runs", "c").await.unwrap().is_some());
    assert_eq!(bench.store.checkpoint("changes").await.unwrap(), None);
}

#[tokio::test]
async fn lists_run_downwards_in_pages() {
    let bench = Bench::new().await;
    let mut entries: Vec<_> = (0..7).map(|n| entry(&format!("k{n}"), "all", n / 2, "{}")).collect();
    entries.push(entry("x", "other", 99, "{}"));
    let writes = Writes { entries, ..Writes::default() };
    assert!(bench.store.step("runs", None, at(1, 1), writes).await.unwrap());
    let mut keys = Vec::new();
    let mut last: Option<(i64, String)> = None;
    loop {
        let after = last.as_ref().map(|(sort_key, key)| (*sort_key, key.as_str()));
        let page = bench.store.entries("runs", "all", after, 2).await.unwrap();
        let Some(end) = page.last() else { break };
        last = Some((end.sort_key, end.key.clone()));
        keys.push(page.iter().map(|d| d.key.clone()).collect::<Vec<_>>().join(" "));
    }
    assert_eq!(keys, ["k6 k5", "k4 k3", "k2 k1", "k0"]);
}

#[tokio::test]
async fn documents_and_entries_change_and_go() {
    let bench = Bench::new().await;
    let first = Writes {
        documents: vec![document("a", 1), document("b", 1)],
        entries: vec![entry("a", "all", 1, "old"), entry("b", "all", 2, "b")],
    };
    assert!(bench.store.step("runs", None, at(1, 1), first.clone()).await.unwrap());
    assert!(bench.store.step("other", None, at(1, 1), first).await.unwrap());
    let second =
        Writes { documents: vec![document("a", 2)], entries: vec![entry("a", "all", 1, "new")] };
    assert!(bench.store.step("runs", Some(at(1, 1)), at(1, 2), second).await.unwrap());
    let all = bench.store.documents("runs", "", 9).await.unwrap();
    assert_eq!(all, [document("a", 2), document("b", 1)]);
    assert_eq!(bench.store.documents("runs", "a", 9).await.unwrap(), all[1..]);
    assert_eq!(bench.store.documents("runs", "", 1).await.unwrap(), all[..1]);
    let listed = bench.store.entries("runs", "all", None, 9).await.unwrap();
    assert_eq!(listed, [entry("b", "all", 2, "b"), entry("a", "all", 1, "new")]);

    bench.store.drop_projection("runs").await.unwrap();
    assert_eq!(bench.store.checkpoint("runs").await.unwrap(), None);
    assert!(bench.store.document("runs", "a").await.unwrap().is_none());
    assert!(bench.store.entries("runs", "all", None, 9).await.unwrap().is_empty());
    assert!(bench.store.document("other", "a").await.unwrap().is_some());
    assert_eq!(bench.store.entries("other", "all", None, 9).await.unwrap().len(), 2);
}
