//! What a session's cookie holds: proof that its bearer knew the token, and nothing to find the
//! token by. A new token ends all sessions.

use std::fmt;

use aws_lc_rs::hmac;
use secrecy::{ExposeSecret, SecretString};

const DERIVE: &[u8] = b"aldis web session key 1";
const SESSION: &[u8] = b"aldis web session 1";

/// Derived from the token.
pub(super) struct Key {
    key: hmac::Key,
    /// An empty token opens nothing.
    usable: bool,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    pub(super) fn new(token: &SecretString) -> Self {
        Self { key: derived(token.expose_secret()), usable: !token.expose_secret().is_empty() }
    }

    /// Whether this is the token. Takes the same time for all wrong ones of a length.
    pub(super) fn is_token(&self, given: &str) -> bool {
        self.is_session(&hex(hmac::sign(&derived(given), SESSION).as_ref()))
    }

    /// What the cookie holds, hexadecimal.
    pub(super) fn session(&self) -> String {
        hex(hmac::sign(&self.key, SESSION).as_ref())
    }

    /// Whether this is the cookie of a session with this token.
    pub(super) fn is_session(&self, given: &str) -> bool {
        let bytes = unhex(given).unwrap_or_default();
        self.usable && hmac::verify(&self.key, SESSION, &bytes).is_ok()
    }
}

fn derived(token: &str) -> hmac::Key {
    let root = hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes());
    hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, DERIVE).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    digits.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_opens() {
        let key = Key::new(&SecretString::from("correct horse"));
        assert!(key.is_token("correct horse"));
        assert!(!key.is_token("correct horsf"));
        assert!(!key.is_token(""));
        assert!(key.is_session(&key.session()));
        assert!(!key.is_session("correct horse"));
        assert!(!key.session().contains("horse"));
        assert!(!Key::new(&SecretString::from("other")).is_session(&key.session()));
    }

    #[test]
    fn an_empty_token_opens_nothing() {
        let key = Key::new(&SecretString::from(""));
        assert!(!key.is_token(""));
        assert!(!key.is_session(&key.session()));
    }
}
