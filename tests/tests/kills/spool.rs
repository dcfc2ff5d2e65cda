//! The program is killed while deliveries wait for a database that is away, and has no room for more.

use std::time::Duration;

use aldis_domain::event::Event;
use aldis_store::sha256_hex;
use aldis_test_servers::{Valve, postgres};
use aldis_tests::HOOK_SECRET;
use aldis_tests::process::{Process, Site};

const DELIVERIES: usize = 40;
/// Longest wait for one moment of the story.
const PATIENCE: Duration = Duration::from_mins(1);

/// A push to this branch of project 7, and its key.
async fn post(site: &Site, branch: usize, key: &str) -> (u16, String) {
    post_with(site, branch, key, "").await
}

/// The same with something that Aldis does not read.
async fn post_with(site: &Site, branch: usize, key: &str, more: &str) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
    let body = format!(
        r#"{{"object_kind":"push","project_id":7,"ref":"refs/heads/branch-{branch}",
        "before":"1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f",
        "after":"2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e","more":"{more}"}}"#
    );
    let request = client.post(site.webhook_url()).header("x-gitlab-event", "Push Hook");
    let request = request.header("x-gitlab-token", HOOK_SECRET).header("idempotency-key", key);
    let answer = request.body(body).send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("its body"))
}

async fn ready(site: &Site) -> String {
    let client = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
    let answer = client.get(format!("{}/readyz", site.base_url())).send().await.expect("an answer");
    format!("{} {}", answer.status().as_u16(), answer.text().await.expect("its body"))
}

/// Keys of what was received, in the order of the log.
async fn received(site: &Site) -> Vec<String> {
    let log = site.log().await.into_iter();
    let events = log.map(|envelope| envelope.event().expect("an event of this version"));
    let keys = events.filter_map(|event| match event {
        Event::DeliveryReceived(received) => received.key,
        _ => None,
    });
    keys.collect()
}

/// A part of the bot behind a valve before its database, with these settings besides.
async fn behind_a_valve(more: &[(&str, &str)]) -> (Site, Valve) {
    let url = tokio::task::spawn_blocking(|| postgres().database()).await.expect("a database");
    let valve = Valve::before(&url).await;
    let settings = [
        ("GITLAB_URL", "http://127.0.0.1:1"),
        ("GITLAB_TOKEN", "none"),
        ("GITLAB_WEBHOOK_SECRET", HOOK_SECRET),
        ("ALDIS_DATABASE_URL", valve.url()),
    ];
    (Site::new(&[&settings, more].concat()).part("ingress"), valve)
}

async fn until_drained(site: &Site, bot: &Process) {
    let drained = async {
        while ready(site).await != "200 {\"ready\":true}" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, drained).await.is_ok(), "{}", bot.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_the_database_survives_kills() {
    let (site, valve) = behind_a_valve(&[]).await;
    let mut bot = site.start(None).await;
    assert_eq!(ready(&site).await, "200 {\"ready\":true}");
    valve.shut();
    for n in 0..DELIVERIES {
        let (status, said) = post(&site, n % 4, &format!("{n:02}")).await;
        assert_eq!((status, said.contains("spooled")), (202, true), "{said}");
    }
    let said = ready(&site).await;
    assert!(said.starts_with("200 ") && said.contains("deliveries go to the spool"), "{said}");
    bot.kill().await;
    valve.open();
    // Killed again as soon as one of them is in the log, then left alone.
    let mut bot = site.launch(Some("after:delivery_received:1")).await;
    bot.end().await;
    let mut bot = site.start(None).await;
    until_drained(&site, &bot).await;
    assert_eq!(post(&site, 0, "40").await.0, 200);
    let keys = received(&site).await;
    assert_eq!(keys.len(), DELIVERIES + 1, "{keys:?}");
    for branch in 0..4 {
        let of_it = keys.iter().filter(|key| key.parse::<usize>().is_ok_and(|n| n % 4 == branch));
        assert!(of_it.is_sorted(), "{keys:?}");
    }
    bot.terminate();
    assert!(bot.end().await.success(), "{}", bot.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_spool_is_told_until_the_database_is_back() {
    let (site, valve) = behind_a_valve(&[("ALDIS_SPOOL_LIMIT", "1")]).await;
    let mut bot = site.start(None).await;
    valve.shut();
    // Some of these are more than the limit, also when they are packed.
    let long: String = (0..8_000_u32).map(|n| sha256_hex(&n.to_be_bytes())).collect();
    let mut kept = Vec::new();
    let refused = loop {
        let key = format!("{:02}", kept.len());
        let (status, said) = post_with(&site, 0, &key, &long).await;
        let readiness = ready(&site).await;
        if status == 503 {
            assert_eq!(readiness, r#"503 {"ready":false,"reason":"the spool is full"}"#);
            break key;
        }
        assert_eq!((status, said.contains("spooled")), (202, true), "{said}");
        assert!(readiness.starts_with("200 "), "{readiness}");
        kept.push(key);
        assert!(kept.len() < 20, "there is no limit");
    };
    assert!(!kept.is_empty(), "nothing fits");
    valve.open();
    until_drained(&site, &bot).await;
    assert_eq!(received(&site).await, kept);
    assert_eq!(post(&site, 0, &refused).await.0, 200);
    assert_eq!(received(&site).await, [kept, vec![refused]].concat());
    bot.terminate();
    assert!(bot.end().await.success(), "{}", bot.said());
}
