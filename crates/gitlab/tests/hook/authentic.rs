//! Signatures and tokens. The expected signatures were computed with `openssl dgst -sha256 -mac
//! HMAC` and Python's `hmac`, which agree.

use aldis_gitlab::hook::{Headers, Secrets, SigningKey, verify};
use insta::assert_snapshot;

/// Bytes 0 to 31.
const KEY: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// Bytes 100 to 131.
const OLD_KEY: &str = "whsec_ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoM=";
const ID: &str = "0190a8e2-5c6f-7d31-9a55-6c1e2b7f4d10";
const AT: i64 = 1_760_000_000;
const BODY: &[u8] = br#"{"object_kind":"push","ref":"refs/heads/a\u0026b"}"#;
const SIGNED: &str = "v1,IDSzIZH9NYXdPErwEwzlaiEBNW/oz/oRJmqjk593jCA=";
const SIGNED_OLD: &str = "v1,gRq8ux8gcgFYwDVcmKWo7v7hjOKDbN2CnASAlPxoKG8=";

/// What is configured: any of `token`, `key`, both with their previous one, or nothing.
fn secrets(tokens: &[&str], keys: &[&str]) -> Secrets {
    Secrets {
        tokens: tokens.iter().map(|&token| token.into()).collect(),
        signing: keys.iter().map(|key| SigningKey::parse(key).unwrap()).collect(),
    }
}

/// The verdict on a delivery with these headers besides `webhook-id` and `webhook-timestamp`,
/// which GitLab 19 sends always.
fn verdict(secrets: &Secrets, headers: &[(&str, &str)], require_signature: bool) -> String {
    let always = [("webhook-id", ID), ("webhook-timestamp", "1760000000")];
    let all: Vec<_> = headers.iter().chain(&always).collect();
    judge(secrets, &all, BODY, AT, require_signature)
}

fn judge(
    secrets: &Secrets,
    headers: &[&(&str, &str)],
    body: &[u8],
    now: i64,
    require_signature: bool,
) -> String {
    let headers = Headers::read(|name| {
        headers.iter().find(|(header, _)| *header == name).map(|(_, value)| *value)
    });
    match verify(&headers, body, now, secrets, require_signature) {
        Ok(proof) => format!("{:?} {:?}", proof.method, proof.secret),
        Err(refusal) => format!("{refusal:?}"),
    }
}

const GOOD: (&str, &str) = ("webhook-signature", SIGNED);
const TOKEN: (&str, &str) = ("x-gitlab-token", "swordfish");
const WRONG_TOKEN: (&str, &str) = ("x-gitlab-token", "swordfisk");

#[test]
fn signatures() {
    let keys = secrets(&["swordfish"], &[KEY, OLD_KEY]);
    let several = format!("v2,AAAA v1,*** junk  v1,AAAA {SIGNED}");
    let sign = |value: &str| verdict(&keys, &[("webhook-signature", value), TOKEN], true);
    assert_eq!(sign(SIGNED), "Signature Current");
    assert_eq!(sign(SIGNED_OLD), "Signature Previous");
    assert_eq!(sign(&several), "Signature Current");
    assert_eq!(sign(&SIGNED.replace("v1,", "v2,")), "BadSignature");
    assert_eq!(sign(SIGNED.trim_start_matches("v1,")), "BadSignature");
    assert_eq!(sign("v1,"), "BadSignature");
    let only_new = secrets(&[], &[KEY]);
    assert_eq!(verdict(&only_new, &[("webhook-signature", SIGNED_OLD)], false), "BadSignature");
}

#[test]
fn a_signature_covers_id_time_and_body() {
    let keys = secrets(&[], &[KEY]);
    let id = ("webhook-id", ID);
    let at = ("webhook-timestamp", "1760000000");
    let judge = |headers: &[&(&str, &str)], body| judge(&keys, headers, body, AT, true);
    assert_eq!(judge(&[&GOOD, &id, &at], BODY), "Signature Current");
    assert_eq!(judge(&[&GOOD, &id, &at], br#"{"object_kind":"push"}"#), "BadSignature");
    assert_eq!(judge(&[&GOOD, &("webhook-id", "other"), &at], BODY), "BadSignature");
    assert_eq!(judge(&[&GOOD, &id, &("webhook-timestamp", "1760000001")], BODY), "BadSignature");
    assert_eq!(judge(&[&GOOD, &id], BODY), "BadSignature");
    assert_eq!(judge(&[&GOOD, &at], BODY), "BadSignature");
}

#[test]
fn a_signature_is_good_for_five_minutes() {
    let keys = secrets(&["swordfish"], &[KEY]);
    let headers = [&GOOD, &TOKEN, &("webhook-id", ID), &("webhook-timestamp", "1760000000")];
    let at = |now| judge(&keys, &headers, BODY, now, false);
    assert_eq!(at(AT + 300), "Signature Current");
    assert_eq!(at(AT - 300), "Signature Current");
    assert_eq!(at(AT + 301), "StaleTimestamp");
    assert_eq!(at(AT - 301), "StaleTimestamp");
    assert_eq!(at(i64::MIN), "StaleTimestamp");
    assert_eq!(at(i64::MAX), "StaleTimestamp");
}

#[test]
fn tokens() {
    let set = secrets(&["swordfish", "herring", ""], &[]);
    let stale = [&TOKEN, &("webhook-timestamp", "1")];
    assert_eq!(verdict(&set, &[TOKEN], false), "Token Current");
    assert_eq!(verdict(&set, &[("x-gitlab-token", "herring")], false), "Token Previous");
    assert_eq!(verdict(&set, &[WRONG_TOKEN], false), "WrongSecret");
    assert_eq!(verdict(&set, &[], false), "MissingSecret");
    assert_eq!(verdict(&set, &[("x-gitlab-token", "")], false), "MissingSecret");
    assert_eq!(judge(&set, &stale, BODY, AT, false), "Token Current");
}

#[test]
fn neither_way_around_the_other() {
    let none = secrets(&[], &[]);
    let blank = secrets(&[""], &[]);
    let token = secrets(&["swordfish"], &[]);
    let key = secrets(&[], &[KEY]);
    let both = secrets(&["swordfish"], &[KEY]);
    let bad = ("webhook-signature", SIGNED_OLD);
    let mut table = String::new();
    for (set, name) in
        [(&none, "none"), (&blank, "blank"), (&token, "token"), (&key, "key"), (&both, "both")]
    {
        for (headers, sent) in [
            (&[TOKEN][..], "token"),
            (&[GOOD], "signature"),
            (&[bad, TOKEN], "bad signature, token"),
            (&[GOOD, WRONG_TOKEN], "signature, wrong token"),
            (&[], "nothing"),
        ] {
            let (free, strict) = (verdict(set, headers, false), verdict(set, headers, true));
            table += &format!("{name:6}| {sent:23}| {free:18}| {strict}\n");
        }
    }
    assert_snapshot!(table, @"
    none  | token                  | MissingSecret     | MissingSecret
    none  | signature              | MissingSecret     | MissingSecret
    none  | bad signature, token   | MissingSecret     | MissingSecret
    none  | signature, wrong token | MissingSecret     | MissingSecret
    none  | nothing                | MissingSecret     | MissingSecret
    blank | token                  | MissingSecret     | MissingSecret
    blank | signature              | MissingSecret     | MissingSecret
    blank | bad signature, token   | MissingSecret     | MissingSecret
    blank | signature, wrong token | MissingSecret     | MissingSecret
    blank | nothing                | MissingSecret     | MissingSecret
    token | token                  | Token Current     | SignatureRequired
    token | signature              | MissingSecret     | SignatureRequired
    token | bad signature, token   | Token Current     | SignatureRequired
    token | signature, wrong token | WrongSecret       | SignatureRequired
    token | nothing                | MissingSecret     | SignatureRequired
    key   | token                  | SignatureRequired | SignatureRequired
    key   | signature              | Signature Current | Signature Current
    key   | bad signature, token   | BadSignature      | BadSignature
    key   | signature, wrong token | Signature Current | Signature Current
    key   | nothing                | SignatureRequired | SignatureRequired
    both  | token                  | Token Current     | SignatureRequired
    both  | signature              | Signature Current | Signature Current
    both  | bad signature, token   | BadSignature      | BadSignature
    both  | signature, wrong token | Signature Current | Signature Current
    both  | nothing                | MissingSecret     | SignatureRequired
    ");
}

#[test]
fn a_wrong_signing_token_is_named_and_not_shown() {
    let wrong = ["swordfish", "whsec_sword fish", "whsec_c3dvcmRmaXNo", "whsec_"];
    let said = wrong.map(|text| SigningKey::parse(text).unwrap_err().to_string());
    assert!(!said.concat().contains("sword"));
    assert_snapshot!(said.join("\n"), @"
    a signing token starts with `whsec_`; copy it as GitLab shows it
    what follows `whsec_` is not standard base64; was it cut or changed while copying?
    what follows `whsec_` stands for 9 bytes, but GitLab's signing tokens have 32
    what follows `whsec_` stands for 0 bytes, but GitLab's signing tokens have 32
    ");
}

#[test]
fn the_key_of_a_delivery_is_the_one_that_survives_a_resend() {
    let read = |headers: &'static [(&str, &str)]| {
        let find = |name: &str| headers.iter().find(|(h, _)| *h == name).map(|(_, value)| *value);
        Headers::read(find).idempotency_key
    };
    assert_eq!(read(&[("webhook-id", "a"), ("idempotency-key", "b")]).as_deref(), Some("a"));
    assert_eq!(read(&[("idempotency-key", "b")]).as_deref(), Some("b"));
    assert_eq!(read(&[("x-gitlab-webhook-uuid", "c"), ("x-gitlab-event-uuid", "d")]), None);
}

#[test]
fn debug_output_shows_no_secret() {
    let headers = Headers::read(|name| (name == "x-gitlab-token").then_some("swordfish"));
    let text = format!("{headers:?} {:?}", secrets(&["swordfish"], &[KEY]));
    assert!(!text.contains("swordfish") && !text.contains("AAEC"), "{text}");
}
