use aldis_gitlab::hook::{Age, Headers, Method, Verified};
use proptest::prelude::*;

use super::*;

const PUSH: &[u8] = include_bytes!("../../../../gitlab/fixtures/push.json");

/// One of each kind: understood, asking for nothing, not understood.
fn deliveries() -> Vec<Delivery> {
    let read = |event, key, method, body: &[u8]| {
        let headers = Headers::read(|name| match name {
            "x-gitlab-event" => Some(event),
            "idempotency-key" => key,
            _ => None,
        });
        let verified = Verified { method, secret: Age::Current };
        Delivery::read(&headers, body, verified, Some("192.0.2.1".to_owned()), 1)
    };
    vec![
        read("Push Hook", Some("one"), Method::Token, PUSH),
        read("Job Hook", None, Method::Signature, br#"{"project":{"id":7}}"#),
        read("Push Hook", Some("three"), Method::Token, b""),
        read("Push Hook", Some("four"), Method::Signature, PUSH),
    ]
}

fn file(deliveries: &[Delivery]) -> Vec<u8> {
    deliveries.iter().flat_map(encode).collect()
}

#[test]
fn what_is_written_is_read() {
    let deliveries = deliveries();
    assert_eq!(decode(&file(&deliveries)), (deliveries, true));
    assert_eq!(decode(b""), (Vec::new(), true));
}

#[test]
fn the_order_is_that_of_arrival() {
    let deliveries = deliveries();
    let turned: Vec<_> = deliveries.iter().rev().cloned().collect();
    assert_eq!(decode(&file(&turned)), (deliveries, true));
}

#[test]
fn what_a_newer_version_wrote_is_left_out_and_told() {
    let deliveries = deliveries();
    let mut newer = encode(&deliveries[0]);
    let content = newer.split_off(BEFORE_CONTENT);
    let at = content.windows(8).position(|part| part == b"received").unwrap();
    let content = [&content[..at], b"accepted", &content[at + 8..]].concat();
    newer.truncate(16);
    let newer = [newer.as_slice(), &sha256(&content), &content].concat();
    let whole = [newer, file(&deliveries)].concat();
    assert_eq!(decode(&whole), (deliveries, false));
}

proptest! {
    #[test]
    fn a_part_of_the_file_is_a_part_of_the_deliveries(cut in any::<prop::sample::Index>()) {
        let deliveries = deliveries();
        let whole = file(&deliveries);
        let cut = cut.index(whole.len() + 1);
        let ends = (0..=deliveries.len()).filter(|count| file(&deliveries[..*count]).len() <= cut);
        let (found, is_whole) = decode(&whole[..cut]);
        prop_assert!(is_whole);
        prop_assert_eq!(found, &deliveries[..ends.max().unwrap()]);
    }

    #[test]
    fn a_changed_byte_costs_one_delivery(
        at in any::<prop::sample::Index>(),
        change in 1..=255_u8,
    ) {
        let deliveries = deliveries();
        let mut whole = file(&deliveries);
        let at = at.index(whole.len());
        whole[at] ^= change;
        let hit = (0..deliveries.len()).filter(|count| file(&deliveries[..*count]).len() <= at);
        let mut left = deliveries.clone();
        left.remove(hit.max().unwrap());
        prop_assert_eq!(decode(&whole), (left, false));
    }

    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let deliveries = deliveries();
        let whole = [file(&deliveries[..1]), bytes, file(&deliveries[1..])].concat();
        prop_assert_eq!(decode(&whole).0, deliveries);
    }
}
