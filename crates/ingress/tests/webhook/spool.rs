//! What lies in the spool while nobody takes it: over restarts, damaged, and when there is no room.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use aldis_domain::event::Event;
use aldis_domain::event::delivery::Refusal;
use aldis_gitlab::hook::Secrets;
use aldis_ingress::{Spool, SpoolError};
use aldis_store::Settings;
use tempfile::TempDir;

use crate::endpoint::{Endpoint, KEY, TOKEN, secrets};
use crate::post::{PUSH, Post, now};

/// Posts to an endpoint whose store is closed; the directory, with one file of the spool.
async fn spooled(secrets: Secrets, posts: &[Post]) -> (TempDir, PathBuf) {
    let endpoint = Endpoint::with(secrets).await;
    endpoint.store.close().await;
    for post in posts {
        assert_eq!(endpoint.send(post).await.result(), "202 spooled");
    }
    let dir = endpoint.end().await;
    let files = files(&dir, "spool");
    let held: Vec<u8> = files.iter().flat_map(|path| fs::read(path).unwrap()).collect();
    files[1..].iter().for_each(|path| fs::remove_file(path).unwrap());
    fs::write(&files[0], held).unwrap();
    (dir, files[0].clone())
}

/// Files of the spool with this ending, in order.
fn files(dir: &TempDir, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.path().join("spool")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut found: Vec<_> =
        paths.filter(|it| it.extension().is_some_and(|e| e == ending)).collect();
    found.sort();
    found
}

fn posts() -> Vec<Post> {
    ["one", "two", "three"].map(|key| Post::push().key(key)).into()
}

#[tokio::test]
async fn what_is_spooled_is_drained_after_a_restart() {
    let token = || secrets(&[TOKEN], &[]);
    let mut sent = posts();
    sent.push(Post::of("Job Hook", *b"{}").key("job"));
    sent.push(Post::push());
    let (dir, _) = spooled(token(), &sent).await;
    let endpoint = Endpoint::in_dir(dir, token()).await;
    // Behind what is there already.
    let next = endpoint.send(&Post::push().key("next")).await.result();
    assert!(["202 spooled", "200 stored"].contains(&next.as_str()), "{next}");
    endpoint.until(7).await;
    let keys: Vec<_> = endpoint.received().await.into_iter().map(|r| r.key).collect();
    let keys: Vec<_> = keys.iter().map(Option::as_deref).collect();
    assert_eq!(keys.len(), 6);
    let of_the_change: Vec<_> =
        keys.into_iter().filter(|key| !matches!(key, None | Some("job"))).collect();
    assert_eq!(of_the_change, [Some("one"), Some("two"), Some("three"), Some("next")]);
    assert_eq!(endpoint.send(&posts()[1]).await.result(), "200 seen");
    let first = &endpoint.received().await[0];
    assert_eq!((first.bytes, first.source_ip.as_deref()), (PUSH.len() as u64, Some("127.0.0.1")));
    endpoint.stop().await;
}

#[tokio::test]
async fn what_is_drained_twice_is_there_once() {
    let both = || secrets(&[TOKEN], &[KEY]);
    let signed = Post::signed(KEY, "signed", now());
    let unsigned = [Post::push().key("late"), Post::push()];
    let sent = [posts().as_slice(), &[signed], &unsigned].concat();
    let (dir, path) = spooled(both(), &sent).await;
    let held = fs::read(&path).unwrap();
    let mut endpoint = Endpoint::in_dir(dir, both()).await;
    endpoint.until(7).await;
    let log = endpoint.log().await;
    let kinds: Vec<_> = log.iter().map(|(_, event)| event.kind()).collect();
    let expected =
        [["delivery_received"; 4].as_slice(), &["project_signed"], &["delivery_refused"; 2]];
    assert_eq!(kinds, expected.concat());
    for (_, event) in &log {
        if let Event::DeliveryRefused(refused) = event {
            assert_eq!(refused.reason, Refusal::SignatureRequired);
            assert_eq!(
                (refused.event.as_str(), refused.source_ip.as_deref()),
                ("Push Hook", Some("127.0.0.1"))
            );
        }
    }
    let payload = endpoint.store.payload(4).await.unwrap().unwrap();
    assert_eq!(lz4_flex::decompress_size_prepended(&payload).unwrap(), PUSH);
    let dir = endpoint.stop().await;
    // As if it had been killed after the last append, with the file still there.
    fs::write(&path, held).unwrap();
    endpoint = Endpoint::in_dir(dir, both()).await;
    endpoint.until_drained().await;
    assert_eq!(endpoint.log().await, log);
    endpoint.stop().await;
}

#[tokio::test]
async fn who_is_known_to_sign_must_sign_also_without_the_database() {
    let endpoint = Endpoint::with(secrets(&[TOKEN], &[KEY])).await;
    assert_eq!(endpoint.status(&Post::signed(KEY, "first", now())).await, 200);
    endpoint.store.close().await;
    assert_eq!(endpoint.status(&Post::push().key("token")).await, 401);
    let signed = Post::signed(KEY, "second", now());
    assert_eq!(endpoint.send(&signed).await.result(), "202 spooled");
    assert_eq!(endpoint.status(&Post::push().key("token")).await, 401);
    endpoint.end().await;
}

#[tokio::test]
async fn damage_costs_only_what_it_hits_and_is_kept() {
    let token = || secrets(&[TOKEN], &[]);
    let (dir, path) = spooled(token(), &posts()).await;
    let mut held = fs::read(&path).unwrap();
    let middle = held.len() / 2;
    held[middle] ^= 1;
    fs::write(&path, &held).unwrap();
    let endpoint = Endpoint::in_dir(dir, token()).await;
    endpoint.until_drained().await;
    let keys: Vec<_> = endpoint.received().await.into_iter().filter_map(|r| r.key).collect();
    assert_eq!(keys, ["one", "three"]);
    let dir = endpoint.stop().await;
    let kept = path.with_extension("damaged");
    assert_eq!(files(&dir, "damaged"), [kept.as_path()]);
    assert_eq!(fs::read(kept).unwrap(), held);
}

#[tokio::test]
async fn an_end_that_was_not_written_is_no_damage() {
    let token = || secrets(&[TOKEN], &[]);
    let (dir, path) = spooled(token(), &posts()).await;
    let held = fs::read(&path).unwrap();
    fs::write(&path, &held[..held.len() - 1]).unwrap();
    let endpoint = Endpoint::in_dir(dir, token()).await;
    endpoint.until_drained().await;
    assert_eq!(endpoint.received().await.len(), 2);
    assert_eq!(fs::read_dir(endpoint.dir.path().join("spool")).unwrap().count(), 1, "the lock");
    endpoint.stop().await;
}

#[tokio::test]
async fn what_does_not_fit_is_answered_503() {
    let token = || secrets(&[TOKEN], &[]);
    let dir = tempfile::tempdir().unwrap();
    let store = Settings::in_dir(dir.path());
    let endpoint = Endpoint::at(dir, &store, 8_000, token()).await;
    endpoint.store.close().await;
    let mut kept = 0;
    while endpoint.send(&Post::push().key(&kept.to_string())).await.status == 202 {
        kept += 1;
    }
    assert!((1..20).contains(&kept), "{kept}");
    let answer = endpoint.send(&Post::push().key("more")).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("10")));
    let level = endpoint.ingress.spool_level();
    assert!(level.holds && level.is_full);
    let endpoint = Endpoint::at(endpoint.end().await, &store, 8_000, token()).await;
    endpoint.until_drained().await;
    assert_eq!(endpoint.received().await.len(), kept);
    assert!(!endpoint.ingress.spool_level().is_full);
    assert_eq!(endpoint.send(&Post::push().key("more")).await.result(), "200 stored");
    endpoint.stop().await;
}

#[tokio::test]
async fn the_files_are_their_owners_and_hold_no_secret() {
    let (dir, path) = spooled(secrets(&[TOKEN], &[]), &posts()).await;
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(dir.path().join("spool")), 0o700);
    let held = fs::read(&path).unwrap();
    assert_eq!(mode(path), 0o600);
    assert!(!held.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes()));
}

#[tokio::test]
async fn a_spool_belongs_to_one_process() {
    let endpoint = Endpoint::start().await;
    let path = endpoint.dir.path().join("spool");
    let second = Spool::open(&path, 0).unwrap_err();
    assert!(matches!(second, SpoolError::InUse(_)));
    assert!(second.to_string().ends_with("choose another ALDIS_DATA_DIR"), "{second}");
    let _dir = endpoint.stop().await;
    Spool::open(&path, 0).unwrap();
}

#[tokio::test]
async fn what_cannot_be_written_counts_for_nothing() {
    let endpoint = Endpoint::start().await;
    endpoint.store.close().await;
    fs::remove_dir_all(endpoint.dir.path().join("spool")).unwrap();
    assert_eq!(endpoint.status(&Post::push().key("one")).await, 503);
    let level = endpoint.ingress.spool_level();
    assert!(level.is_full && !level.holds, "{level:?}");
    endpoint.end().await;
}
