//! Deliveries: what is sent, in which order, how it is signed.

use std::sync::{Arc, Mutex};

use aldis_gitlab_sim::{DeliveryState, Order, Secret, Trigger};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use crate::world::World;

/// One request that came in: headers in lower case, and the body.
type Received = (Vec<(String, String)>, Vec<u8>);

/// A server that takes every delivery and answers 200.
struct Receiver {
    url: String,
    seen: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(receive(socket, Arc::clone(&list)));
            }
        });
        Self { url, seen }
    }

    fn seen(&self) -> Vec<Received> {
        self.seen.lock().unwrap().clone()
    }
}

async fn receive(socket: tokio::net::TcpStream, list: Arc<Mutex<Vec<Received>>>) {
    let mut socket = BufReader::new(socket);
    loop {
        let (mut headers, mut line) = (Vec::new(), String::new());
        loop {
            line.clear();
            if socket.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            match line.trim_end().split_once(": ") {
                Some((name, value)) => headers.push((name.to_lowercase(), value.to_owned())),
                None if line.trim_end().is_empty() => break,
                None => {}
            }
        }
        let length = header(&headers, "content-length").parse().unwrap();
        let mut body = vec![0; length];
        socket.read_exact(&mut body).await.unwrap();
        list.lock().unwrap().push((headers, body));
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    }
}

fn header(headers: &[(String, String)], name: &str) -> String {
    let found = headers.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.clone()).unwrap_or_default()
}

#[tokio::test]
async fn a_delivery_is_signed_over_its_raw_body() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let key = [7; 32];
    let secret = Secret::Both {
        token: "s3cret".to_owned(),
        signing: format!("whsec_{}", STANDARD.encode(key)),
    };
    world.sim.add_hook(world.project, &receiver.url, secret, &[Trigger::Push]).unwrap();
    let files = [("x", Some("x"))];
    world.alice().commit_and_push(world.project, "main", &files, "Say <&>").unwrap();
    world.sim.deliveries_idle().await;

    let (headers, body) = receiver.seen().remove(0);
    let get = |name: &str| header(&headers, name);
    assert_eq!(
        (get("x-gitlab-event"), get("x-gitlab-token")),
        ("Push Hook".into(), "s3cret".into())
    );
    assert_eq!(get("x-gitlab-instance"), world.sim.url());
    assert_eq!(get("idempotency-key"), get("webhook-id"));
    let mut signed = format!("{}.{}.", get("webhook-id"), get("webhook-timestamp")).into_bytes();
    signed.extend_from_slice(&body);
    let signature = STANDARD.decode(get("webhook-signature").strip_prefix("v1,").unwrap()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    hmac::verify(&key, &signed, &signature).unwrap();

    assert!(!body.contains(&b'<'), "GitLab escapes angle brackets");
    let push: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(push["before"], json!(world.a));
    assert_eq!(push["commits"][0]["title"], "Say <&>");
    assert_eq!(push["commits"][0]["added"], json!(["x"]));
    assert_eq!(push["total_commits_count"], 1);
}

#[tokio::test]
async fn a_redelivery_keeps_the_key() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    world.sim.add_hook(world.project, &receiver.url, Secret::None, &[Trigger::TagPush]).unwrap();
    world.alice().create_tag(world.project, "v1", "main", None).unwrap();
    world.sim.deliveries_idle().await;
    let delivery = world.sim.deliveries().remove(0);
    world.sim.redeliver(delivery.id).unwrap();
    world.sim.deliveries_idle().await;
    let seen = receiver.seen();
    let name = "idempotency-key";
    assert_eq!(header(&seen[0].0, name), header(&seen[1].0, name));
    let name = "x-gitlab-webhook-uuid";
    assert_ne!(header(&seen[0].0, name), header(&seen[1].0, name));
    assert_eq!(seen[0].1, seen[1].1);
    let delivery = world.sim.deliveries().remove(0);
    assert_eq!((delivery.state, delivery.attempts.len()), (DeliveryState::Sent, 2));
    assert!(delivery.attempts.iter().all(aldis_gitlab_sim::Attempt::ok));
}

#[tokio::test]
async fn a_hook_can_get_another_secret_and_a_wrong_date() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let old = Secret::Token("old".to_owned());
    let hook = world.sim.add_hook(world.project, &receiver.url, old, &[Trigger::TagPush]).unwrap();
    world.alice().create_tag(world.project, "v1", "main", None).unwrap();
    world.sim.deliveries_idle().await;
    world.sim.set_hook_secret(hook, Secret::Token("new".to_owned())).unwrap();
    world.sim.set_clock_ahead(-1_000_000);
    world.sim.redeliver(world.sim.deliveries()[0].id).unwrap();
    world.sim.deliveries_idle().await;
    let seen = receiver.seen();
    let tokens = seen.iter().map(|(headers, _)| header(headers, "x-gitlab-token"));
    assert_eq!(tokens.collect::<Vec<_>>(), ["old", "new"]);
    let dates = seen.iter().map(|(headers, _)| header(headers, "webhook-timestamp"));
    let dates: Vec<i64> = dates.map(|date| date.parse().unwrap()).collect();
    assert!((999_000..=1_000_000).contains(&(dates[0] - dates[1])), "{dates:?}");
    assert!(world.sim.set_hook_secret(hook, Secret::Signing("whsec_short".to_owned())).is_err());
}

#[tokio::test]
async fn held_deliveries_leave_in_the_order_a_test_wants() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    world.sim.add_hook(world.project, &receiver.url, Secret::None, &[Trigger::Push]).unwrap();
    world.sim.hold_deliveries();
    for branch in ["one", "two", "three"] {
        world.alice().push(world.project, branch, "main").unwrap();
    }
    world.sim.deliveries_idle().await;
    assert_eq!(receiver.seen().len(), 0);
    let held = world.sim.held_deliveries();
    world.sim.drop_delivery(held[1].id).unwrap();
    world.sim.redeliver(held[2].id).unwrap();
    world.sim.redeliver(held[2].id).unwrap();
    world.sim.release_deliveries(&Order::Reversed).unwrap();
    world.sim.deliveries_idle().await;
    let refs: Vec<String> = receiver
        .seen()
        .iter()
        .map(|(_, body)| serde_json::from_slice::<Value>(body).unwrap()["ref"].to_string())
        .collect();
    let (one, three) = ("\"refs/heads/one\"", "\"refs/heads/three\"");
    assert_eq!(refs, [three, three, one]);
}

#[tokio::test]
async fn a_seed_gives_the_same_order_again() {
    let world = World::start().await;
    world
        .sim
        .add_hook(world.project, "http://127.0.0.1:9/", Secret::None, &[Trigger::Push])
        .unwrap();
    let mut orders = Vec::new();
    for round in 0..2 {
        world.sim.hold_deliveries();
        for number in 0..8 {
            world.alice().push(world.project, &format!("b{round}{number}"), "main").unwrap();
        }
        let ids: Vec<_> = world.sim.held_deliveries().iter().map(|held| held.id).collect();
        world.sim.release_deliveries(&Order::Shuffled(42)).unwrap();
        world.sim.deliveries_idle().await;
        let mut sent = world.sim.deliveries();
        sent.retain(|delivery| ids.contains(&delivery.id));
        sent.sort_by_key(|delivery| delivery.attempts[0].at);
        let place = |id| ids.iter().position(|known| *known == id);
        orders.push(sent.iter().map(|delivery| place(delivery.id)).collect::<Vec<_>>());
    }
    assert_eq!(orders[0], orders[1]);
    assert!(!orders[0].is_sorted());
}

#[tokio::test]
async fn a_dead_receiver_is_told_of_once() {
    let world = World::start().await;
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", gone.local_addr().unwrap());
    drop(gone);
    world.sim.add_hook(world.project, &url, Secret::None, &[Trigger::Push]).unwrap();
    world.alice().push(world.project, "one", "main").unwrap();
    world.sim.deliveries_idle().await;
    let delivery = world.sim.deliveries().remove(0);
    assert_eq!((delivery.state, delivery.attempts.len()), (DeliveryState::Sent, 1));
    assert!(delivery.attempts[0].answer.is_err());
}

#[tokio::test]
async fn every_visible_act_fires_its_hook() {
    let world = World::start().await;
    world.sim.hold_deliveries();
    let url = "http://127.0.0.1:9/";
    world.sim.add_hook(world.project, url, Secret::None, Trigger::ALL).unwrap();
    let group = [Trigger::Deployment];
    world.sim.add_group_hook(world.project, url, Secret::None, &group).unwrap();
    let (mr, b) = world.feature();
    let alice = world.alice();
    alice.set_draft(mr, true).unwrap();
    alice.set_draft(mr, false).unwrap();
    alice.set_labels(mr, &["run"]).unwrap();
    alice.push(world.project, "feature", "main").unwrap();
    alice.push(world.project, "feature", &b).unwrap();
    alice.close(mr).unwrap();
    alice.reopen(mr).unwrap();
    alice.comment(mr, "/retest").unwrap();
    let notes = format!("POST projects/{}/merge_requests/1/notes", world.project);
    world.api(&notes, json!({ "body": "from the bot" })).await;
    world.status(&b, json!({ "state": "running" })).await;
    let deployment = json!({
        "environment": "p", "sha": world.a, "ref": "main", "tag": false, "status": "running",
    });
    world.api(&format!("POST projects/{}/deployments", world.project), deployment).await;
    alice.merge(mr).unwrap();
    alice.delete_branch(world.project, "feature").unwrap();
    let text: Vec<String> = world.sim.held_deliveries().iter().map(summary).collect();
    insta::assert_snapshot!(text.join("\n"), @"
    Push Hook refs/heads/feature
    Merge Request Hook open demo alice
    Merge Request Hook update demo draft+title alice
    Merge Request Hook update demo draft+title alice
    Merge Request Hook update demo labels alice
    Push Hook refs/heads/feature
    Merge Request Hook update demo alice (new code)
    Push Hook refs/heads/feature
    Merge Request Hook update demo alice (new code)
    Merge Request Hook close demo alice
    Merge Request Hook reopen demo alice
    Note Hook create alice
    Note Hook create project_1_bot
    Pipeline Hook running project_1_bot
    Deployment Hook main running project_1_bot
    Deployment Hook main running project_1_bot
    Merge Request Hook merge demo alice
    Push Hook refs/heads/main
    Push Hook refs/heads/feature
    ");
}

fn summary(delivery: &aldis_gitlab_sim::Delivery) -> String {
    let body: Value = serde_json::from_slice(&delivery.body).unwrap();
    let attributes = &body["object_attributes"];
    let parts = [
        &body["ref"],
        &attributes["action"],
        &attributes["status"],
        &attributes["source"]["name"],
        &body["changes"],
        &body["status"],
        &body["user"]["username"],
    ];
    let mut text = delivery.trigger.event().to_owned();
    for part in parts.into_iter().filter(|part| !part.is_null() && **part != json!({})) {
        text.push(' ');
        match part.as_object() {
            Some(changes) => text.push_str(&changes.keys().cloned().collect::<Vec<_>>().join("+")),
            None => text.push_str(part.as_str().unwrap_or_default()),
        }
    }
    if attributes.get("oldrev").is_some() {
        text.push_str(" (new code)");
    }
    text
}
