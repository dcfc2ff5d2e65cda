//! Who is believed.

use aldis_domain::event::Event;
use aldis_domain::event::delivery::{Refusal, Verification};

use crate::endpoint::{Endpoint, KEY, OLD_KEY, OLD_TOKEN, TOKEN, secrets};
use crate::post::{PUSH, Post, now, signature};

/// A key of bytes that nobody configured.
const FOREIGN_KEY: &str = "whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

#[tokio::test]
async fn the_secret_token_must_be_right() {
    let endpoint = Endpoint::start().await;
    assert_eq!(endpoint.status(&Post::push()).await, 200);
    let said = |answer: crate::post::Answer| format!("{} {}", answer.status, answer.body.trim());
    let wrong = Post::push().with("X-Gitlab-Token", "swordfisk");
    insta::assert_snapshot!(said(endpoint.send(&wrong).await), @"401 the secret token does not match GITLAB_WEBHOOK_SECRET");
    let missing = Post::bare(PUSH).with("X-Gitlab-Event", "Push Hook");
    insta::assert_snapshot!(said(endpoint.send(&missing).await), @"401 no secret token: set the hook's secret token to GITLAB_WEBHOOK_SECRET");
    let empty = Post::push().with("X-Gitlab-Token", "");
    assert_eq!(endpoint.status(&empty).await, 401);
    assert_eq!(endpoint.received().await.len(), 1);
    let refused = endpoint.refused().await;
    let reasons: Vec<_> = refused.iter().map(|r| (r.reason, r.event.as_str())).collect();
    // The second missing one is counted into the next record.
    assert_eq!(
        reasons,
        [(Refusal::WrongSecret, "Push Hook"), (Refusal::MissingSecret, "Push Hook")]
    );
    assert!(refused.iter().all(|r| r.source_ip.as_deref() == Some("127.0.0.1") && r.times == 1));
    endpoint.stop().await;
}

#[tokio::test]
async fn without_a_configured_secret_nobody_is_believed() {
    let endpoint = Endpoint::with(secrets(&[], &[])).await;
    assert_eq!(endpoint.status(&Post::push()).await, 401);
    assert_eq!(endpoint.status(&Post::signed(KEY, "a", now())).await, 401);
    assert_eq!(endpoint.received().await.len(), 0);
    endpoint.stop().await;
}

#[tokio::test]
async fn the_previous_secrets_are_good_and_recorded() {
    let endpoint = Endpoint::with(secrets(&[TOKEN, OLD_TOKEN], &[KEY, OLD_KEY])).await;
    let posts = [
        Post::push(),
        Post::push().with("X-Gitlab-Token", OLD_TOKEN),
        Post::signed(KEY, "c", now()),
        Post::signed(OLD_KEY, "d", now()),
    ];
    for post in posts {
        assert_eq!(endpoint.status(&post).await, 200);
    }
    let received = endpoint.received().await;
    let how: Vec<_> = received.iter().map(|r| (r.verified, r.previous_secret)).collect();
    assert_eq!(
        how,
        [
            (Verification::Token, false),
            (Verification::Token, true),
            (Verification::Signature, false),
            (Verification::Signature, true),
        ]
    );
    endpoint.stop().await;
}

#[tokio::test]
async fn a_signature_must_fit() {
    let endpoint = Endpoint::with(secrets(&[TOKEN], &[KEY])).await;
    let at = now();
    let good = signature(KEY, "id", at, PUSH);
    let sent = |value: String| Post::signed(KEY, "id", at).with("webhook-signature", value);
    let bad = [
        Post::signed(FOREIGN_KEY, "id", at),
        // The token is right, but where there is a signature it alone decides.
        Post::push().sign(FOREIGN_KEY, "id", at),
        Post::signed(KEY, "id", at).with("webhook-id", "other"),
        Post::signed(KEY, "id", at).with("webhook-timestamp", (at - 1).to_string()),
        sent(good.replace("v1,", "v2,")),
        sent(String::from("v1,")),
        sent(String::from("v1,%%%")),
    ];
    for post in bad {
        let answer = endpoint.send(&post).await;
        assert_eq!(answer.status, 401, "{:?}", post.headers);
        assert!(answer.body.contains("GITLAB_WEBHOOK_SIGNING_TOKEN"), "{}", answer.body);
    }
    let several = sent(format!("v2,AAAA v1,%%% v1,AAAA {good} junk"));
    assert_eq!(endpoint.send(&several).await.result(), "200 stored");
    endpoint.stop().await;
}

#[tokio::test]
async fn a_signature_is_good_for_five_minutes_both_ways() {
    let endpoint = Endpoint::with(secrets(&[], &[KEY])).await;
    for (seconds, status) in [(-320, 401), (-280, 200), (280, 200), (320, 401)] {
        let id = format!("id{seconds}");
        let post = Post::signed(KEY, &id, now() + seconds);
        assert_eq!(endpoint.status(&post).await, status, "{seconds} s");
    }
    for odd in ["", "soon", "99999999999999999999999", "-1", "1e9"] {
        let signed = signature(KEY, "id", now(), PUSH);
        let post = Post::signed(KEY, "id", now()).with("webhook-signature", signed);
        assert_eq!(endpoint.status(&post.with("webhook-timestamp", odd)).await, 401, "{odd:?}");
    }
    let refused = endpoint.refused().await;
    assert!(refused.iter().any(|r| r.reason == Refusal::StaleTimestamp), "{refused:?}");
    endpoint.stop().await;
}

#[tokio::test]
async fn the_bytes_are_verified_as_they_came() {
    let endpoint = Endpoint::with(secrets(&[], &[KEY])).await;
    let escaped =
        br#"{"object_kind":"push",  "project_id":15,"ref":"refs/heads/a\u003cb\u003e\u0026",
        "before":"1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f",
        "after":"2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e"}"#;
    let post = Post::bare(*escaped).with("X-Gitlab-Event", "Push Hook").sign(KEY, "id", now());
    assert_eq!(endpoint.send(&post).await.result(), "200 stored");
    let received = endpoint.received().await;
    assert_eq!(received[0].trigger.change().unwrap().to_string(), "ref-1.15-refs/heads/a<b>&");
    assert_eq!(endpoint.payload(&received[0].payload).await, escaped);
    let mut same = post.clone();
    same.body = String::from_utf8(post.body).unwrap().replace("\\u003c", "<").into_bytes();
    assert_eq!(endpoint.status(&same).await, 401, "same JSON, other bytes");
    endpoint.stop().await;
}

/// A push of another project, with the token.
fn push_of_22() -> Post {
    let body = String::from_utf8(PUSH.to_vec()).unwrap();
    let body = body.replace("\"project_id\": 15", "\"project_id\": 22");
    assert!(body.contains("\"project_id\": 22"));
    Post::of("Push Hook", body)
}

#[tokio::test]
async fn who_has_signed_must_sign() {
    let endpoint = Endpoint::with(secrets(&[TOKEN], &[KEY])).await;
    assert_eq!(endpoint.status(&Post::push().key("before")).await, 200);
    assert_eq!(endpoint.status(&Post::signed(KEY, "first", now())).await, 200);
    let later = endpoint.send(&Post::push().key("after")).await;
    insta::assert_snapshot!(later.body.trim(), @"this project's hook has signed before, so it must sign");
    assert_eq!(later.status, 401);
    assert_eq!(endpoint.status(&push_of_22()).await, 200, "another project");
    assert_eq!(endpoint.status(&Post::signed(KEY, "second", now())).await, 200);
    let signed = |log: &[(String, Event)]| {
        log.iter().filter(|(_, event)| matches!(event, Event::ProjectSigned(_))).count()
    };
    assert_eq!(signed(&endpoint.log().await), 1, "told once");

    let dir = endpoint.stop().await;
    let endpoint = Endpoint::in_dir(dir, secrets(&[TOKEN], &[KEY])).await;
    assert_eq!(endpoint.status(&Post::push().key("restarted")).await, 401, "it is in the log");
    let endpoint = Endpoint::in_dir(endpoint.stop().await, secrets(&[TOKEN], &[])).await;
    // The operator took the signing token away: then there is nothing to check signatures with.
    assert_eq!(endpoint.status(&Post::push().key("no signing token")).await, 200);
    endpoint.stop().await;
}

#[tokio::test]
async fn a_signed_repeat_of_an_unsigned_delivery_is_proof_too() {
    let endpoint = Endpoint::with(secrets(&[TOKEN], &[KEY])).await;
    assert_eq!(endpoint.send(&Post::push().key("one")).await.result(), "200 stored");
    // The hook got its signing token, and somebody pressed "Resend".
    assert_eq!(endpoint.send(&Post::signed(KEY, "one", now())).await.result(), "200 seen");
    assert_eq!(endpoint.send(&Post::signed(KEY, "two", now())).await.result(), "200 stored");
    let dir = endpoint.stop().await;
    let endpoint = Endpoint::in_dir(dir, secrets(&[TOKEN], &[KEY])).await;
    assert_eq!(endpoint.status(&Post::push().key("three")).await, 401, "the log knows");
    endpoint.stop().await;
}

#[tokio::test]
async fn who_has_signed_must_sign_whatever_the_event() {
    let endpoint = Endpoint::with(secrets(&[TOKEN], &[KEY])).await;
    assert_eq!(endpoint.status(&Post::signed(KEY, "first", now())).await, 200);
    let issue = br#"{"object_kind":"issue","project":{"id":15}}"#;
    assert_eq!(endpoint.status(&Post::of("Issue Hook", *issue)).await, 401);
    let elsewhere = br#"{"object_kind":"issue","project":{"id":22}}"#;
    assert_eq!(endpoint.status(&Post::of("Issue Hook", *elsewhere)).await, 200);
    endpoint.stop().await;
}

#[tokio::test]
async fn a_webhook_id_alone_is_no_signature() {
    let token_only = Endpoint::start().await;
    let post = || Post::push().with("webhook-id", "id").with("webhook-timestamp", "1");
    assert_eq!(token_only.status(&post()).await, 200);
    assert_eq!(token_only.received().await[0].verified, Verification::Token);
    // No signing token here: what GitLab signs with is not ours to know.
    let signed = Post::push().sign(FOREIGN_KEY, "other", now());
    assert_eq!(token_only.status(&signed).await, 200);
    token_only.stop().await;

    let both = Endpoint::with(secrets(&[TOKEN], &[KEY])).await;
    assert_eq!(both.status(&post()).await, 200);
    both.stop().await;

    let signing_only = Endpoint::with(secrets(&[], &[KEY])).await;
    assert_eq!(signing_only.status(&post()).await, 401);
    let unsigned = Post::signed(KEY, "id", now()).with("webhook-signature", "");
    assert_eq!(signing_only.status(&unsigned).await, 401);
    signing_only.stop().await;
}

#[tokio::test]
async fn odd_header_values_are_no_secret() {
    let endpoint = Endpoint::start().await;
    for odd in [&b"swordfish\xff"[..], b"sword\xc3\xb6fish", b"swordfish\x00", b"\xf0\x9f\x90\x9f"]
    {
        let status = endpoint.status(&Post::push().with("X-Gitlab-Token", odd)).await;
        assert!([400, 401].contains(&status), "{odd:?}: {status}");
    }
    let post = Post::push().with("X-Gitlab-Instance", &b"\xff\xfe"[..]);
    assert_eq!(endpoint.status(&post).await, 200, "a header that proves nothing");
    endpoint.stop().await;
}
