//! The signature that GitLab sends with a delivery when the hook has a signing token.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Bytes of a `whsec_…` signing token; `None` unless they are 32.
pub(crate) fn decode_key(token: &str) -> Option<Vec<u8>> {
    let key = STANDARD.decode(token.strip_prefix("whsec_")?).ok()?;
    (key.len() == 32).then_some(key)
}

/// Value of `webhook-signature`.
pub(crate) fn signature(key: &[u8], id: &str, timestamp: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{id}.{timestamp}.").as_bytes());
    context.update(body);
    format!("v1,{}", STANDARD.encode(context.sign()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_id_time_and_body() {
        let token = format!("whsec_{}", STANDARD.encode([7; 32]));
        let key = decode_key(&token).unwrap();
        // Computed with Python's hmac module.
        let expected = "v1,KhHcVzGp7nNNh8FPFHQwpy4ZozB3NZft5v7LkH0ln5Y=";
        assert_eq!(signature(&key, "id-1", 1_700_000_000, b"{\"a\":1}"), expected);
    }

    #[test]
    fn refuses_keys_of_another_size() {
        assert!(decode_key("whsec_AAAA").is_none());
        assert!(decode_key(&STANDARD.encode([7; 32])).is_none());
    }
}
