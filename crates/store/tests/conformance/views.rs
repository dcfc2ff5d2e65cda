//! Documents and checkpoints.

use aldis_store::{Checkpoint, Document, DocumentWrite};

use super::bench::Bench;

fn at(version: u32, position: i64) -> Checkpoint {
    Checkpoint { version, position, hash: [u8::try_from(position).unwrap(); 32] }
}

fn put(key: &str, scope: &str, sort_key: i64) -> DocumentWrite {
    let (key, scope, body) = (key.to_owned(), scope.to_owned(), format!("{{\"{key}\":1}}"));
    DocumentWrite::Put(Document { key, scope, sort_key, body, position: 1 })
}

#[tokio::test]
async fn a_step_is_taken_only_from_the_expected_checkpoint() {
    let bench = Bench::new().await;
    let step = async |from, to, key| {
        bench.store.step("runs", from, to, vec![put(key, "all", 1)]).await.unwrap()
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
    let mut writes: Vec<_> = (0..7).map(|n| put(&format!("k{n}"), "all", n / 2)).collect();
    writes.push(put("x", "other", 99));
    assert!(bench.store.step("runs", None, at(1, 1), writes).await.unwrap());
    let mut keys = Vec::new();
    let mut last: Option<(i64, String)> = None;
    loop {
        let after = last.as_ref().map(|(sort_key, key)| (*sort_key, key.as_str()));
        let page = bench.store.documents("runs", "all", after, 2).await.unwrap();
        let Some(end) = page.last() else { break };
        last = Some((end.sort_key, end.key.clone()));
        keys.push(page.iter().map(|d| d.key.clone()).collect::<Vec<_>>().join(" "));
    }
    assert_eq!(keys, ["k6 k5", "k4 k3", "k2 k1", "k0"]);
}

#[tokio::test]
async fn documents_change_move_and_go() {
    let bench = Bench::new().await;
    let first = vec![put("a", "open", 1), put("b", "open", 2)];
    assert!(bench.store.step("runs", None, at(1, 1), first).await.unwrap());
    assert!(bench.store.step("other", None, at(1, 1), vec![put("a", "open", 1)]).await.unwrap());
    let second = vec![put("a", "closed", 3), DocumentWrite::Delete("b".to_owned())];
    assert!(bench.store.step("runs", Some(at(1, 1)), at(1, 2), second).await.unwrap());
    assert!(bench.store.documents("runs", "open", None, 9).await.unwrap().is_empty());
    assert_eq!(bench.store.documents("runs", "closed", None, 9).await.unwrap().len(), 1);

    bench.store.drop_projection("runs").await.unwrap();
    assert_eq!(bench.store.checkpoint("runs").await.unwrap(), None);
    assert!(bench.store.document("runs", "a").await.unwrap().is_none());
    assert!(bench.store.document("other", "a").await.unwrap().is_some());
}
