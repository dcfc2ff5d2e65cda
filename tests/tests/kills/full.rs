//! The disk of a bot with SQLite fills up, and there is room again.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use aldis_domain::event::Event;
use aldis_test_servers::small_disk;
use aldis_tests::HOOK_SECRET;
use aldis_tests::process::Site;

const MEBIBYTES: usize = 64;
/// Longest wait for one moment of the story.
const PATIENCE: Duration = Duration::from_mins(1);
/// More than fits into the room that the database has kept for itself.
const DELIVERIES: u64 = 1_000;

/// Text of 64 kB that nothing packs into less than half.
fn noise(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let words = (0..4096).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        format!("{state:016x}")
    });
    words.collect()
}

/// What a push is answered.
async fn post(site: &Site, key: u64) -> u16 {
    let client = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
    let body = format!(
        r#"{{"object_kind":"push","project_id":7,"ref":"refs/heads/branch-{key}",
        "before":"1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f",
        "after":"2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e","noise":"{}"}}"#,
        noise(key)
    );
    let request = client.post(site.webhook_url()).header("x-gitlab-event", "Push Hook");
    let request = request.header("x-gitlab-token", HOOK_SECRET);
    let answer = request.header("idempotency-key", key.to_string()).body(body).send().await;
    answer.expect("an answer").status().as_u16()
}

/// Writes until nothing more fits.
fn fill(disk: &Path) {
    let mut filler = File::create(disk.join("filler")).expect("a file");
    for size in [1 << 20, 1 << 12, 1] {
        while filler.write_all(&vec![7; size]).is_ok() {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_loses_nothing_that_was_taken() {
    let test = "full::a_disk_that_fills_up_loses_nothing_that_was_taken";
    let Some(disk) = small_disk(test, MEBIBYTES) else { return };
    let settings = [
        ("GITLAB_URL", "http://127.0.0.1:1"),
        ("GITLAB_TOKEN", "none"),
        ("GITLAB_WEBHOOK_SECRET", HOOK_SECRET),
    ];
    let site = Site::on(&disk, &settings);
    let mut bot = site.start(None).await;
    assert_eq!(post(&site, 0).await, 200);
    fill(&disk);
    let (mut taken, mut refused) = (BTreeSet::from(["0".to_owned()]), 0);
    for key in 1..DELIVERIES {
        match post(&site, key).await {
            200 | 202 => assert!(taken.insert(key.to_string())),
            503 => refused += 1,
            other => panic!("{other}: {}", bot.said()),
        }
        if refused == 5 {
            break;
        }
    }
    assert_eq!(refused, 5, "it does not fill up");
    std::fs::remove_file(disk.join("filler")).expect("it is there");
    let begun = Instant::now();
    while post(&site, DELIVERIES).await != 200 {
        assert!(begun.elapsed() < PATIENCE, "{}", bot.said());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    taken.insert(DELIVERIES.to_string());
    bot.terminate();
    assert!(bot.end().await.success(), "{}", bot.said());
    let log = site.log().await.into_iter().map(|e| e.event().expect("an event of this version"));
    let received = log.filter_map(|event| match event {
        Event::DeliveryReceived(received) => received.key,
        _ => None,
    });
    let received: BTreeSet<String> = received.collect();
    let lost: Vec<_> = taken.difference(&received).collect();
    assert!(lost.is_empty(), "{lost:?}");
}
