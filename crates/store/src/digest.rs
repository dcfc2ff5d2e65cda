//! SHA-256, as run ids, payloads and note bodies are named by it.

use aws_lc_rs::digest::{SHA256, digest};

/// The digest of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// The digest of `bytes` as 64 lower-case hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::text(&sha256(bytes))
}

/// A digest in a text: 64 hexadecimal digits.
pub(crate) mod hex {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn text(digest: &[u8; 32]) -> String {
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn serialize<S: Serializer>(digest: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&text(digest))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
        read(&String::deserialize(from)?)
            .ok_or_else(|| D::Error::custom("a digest has 64 hexadecimal digits"))
    }

    fn read(text: &str) -> Option<[u8; 32]> {
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        let byte = |pair: &[u8; 2]| u8::try_from(digit(&pair[0])? << 4 | digit(&pair[1])?).ok();
        let (pairs, []) = text.as_bytes().as_chunks() else { return None };
        pairs.iter().map(byte).collect::<Option<Vec<_>>>()?.try_into().ok()
    }
}
