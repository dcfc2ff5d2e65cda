//! GitLab's signing token (Standard Webhooks, `v1`).

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const PREFIX: &str = "whsec_";
const KEY_BYTES: usize = 32;

/// A signing token, ready to check signatures.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

/// What is wrong with a signing token. Never repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    #[error("a signing token starts with `whsec_`; copy it as GitLab shows it")]
    Prefix,
    #[error("what follows `whsec_` is not standard base64; was it cut or changed while copying?")]
    Base64,
    #[error("what follows `whsec_` stands for {0} bytes, but GitLab's signing tokens have 32")]
    Length(usize),
}

impl SigningKey {
    /// Reads `whsec_` and the base64 of 32 bytes (`lib/api/project_hooks.rb`, `signing_token`).
    pub fn parse(text: &str) -> Result<Self, SigningKeyError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(SigningKeyError::Prefix)?;
        let key = STANDARD.decode(encoded).map_err(|_| SigningKeyError::Base64)?;
        if key.len() != KEY_BYTES {
            return Err(SigningKeyError::Length(key.len()));
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    /// Whether one of the space-separated `v1,<base64>` fits the message that `parts` make together.
    /// Other versions are passed over. The body is not copied: it may have 25 MiB.
    pub(super) fn signed(&self, parts: &[&[u8]], signatures: &str) -> bool {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part);
        }
        let right = context.sign();
        signatures
            .split(' ')
            .filter_map(|signature| STANDARD.decode(signature.strip_prefix("v1,")?).ok())
            .any(|tag| verify_slices_are_equal(right.as_ref(), &tag).is_ok())
    }
}
