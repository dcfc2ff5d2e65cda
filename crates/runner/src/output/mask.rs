//! Replaces secrets in a stream of bytes, whatever the borders of its pieces.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// What stands where a secret stood.
pub(crate) const MASK: &[u8] = b"[masked]";

/// Shorter values are no secrets: masking them would shred ordinary words.
const SHORTEST: usize = 8;

/// The texts in which a secret may show: as it is, per line, in base64, URL-encoded, in JSON.
#[derive(Debug, Clone, Default)]
pub(crate) struct Patterns {
    /// Longest first, so that the first that fits is the longest that fits.
    texts: Vec<Vec<u8>>,
    starts: Vec<bool>,
}

impl Patterns {
    /// All forms of all values. `user` and value together are masked as HTTP basic credentials too.
    pub(crate) fn new<'a>(user: &str, values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut texts = Vec::new();
        for value in values {
            for part in std::iter::once(value).chain(value.lines()) {
                let part = part.trim();
                if part.len() >= SHORTEST {
                    push_forms(&mut texts, part);
                }
            }
            if value.len() >= SHORTEST {
                push_base64(&mut texts, &format!("{user}:{value}"));
            }
        }
        texts.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        texts.dedup();
        let mut starts = vec![false; 256];
        for text in &texts {
            starts[usize::from(text[0])] = true;
        }
        Self { texts, starts }
    }

    /// Bytes of the longest form.
    pub(crate) fn longest(&self) -> usize {
        self.texts.first().map_or(0, Vec::len)
    }
}

fn push_forms(texts: &mut Vec<Vec<u8>>, value: &str) {
    texts.push(value.as_bytes().to_vec());
    push_base64(texts, value);
    texts.push(percent_encoded(value, false).into_bytes());
    texts.push(percent_encoded(value, true).into_bytes());
    let json = serde_json::Value::from(value).to_string();
    texts.push(json.trim_matches('"').as_bytes().to_vec());
}

/// Whole, without padding, and the part that stays the same when more bytes follow.
fn push_base64(texts: &mut Vec<Vec<u8>>, value: &str) {
    for coded in [STANDARD.encode(value), URL_SAFE.encode(value)] {
        let stable = value.len() / 3 * 4;
        if stable >= SHORTEST {
            texts.push(coded.as_bytes()[..stable].to_vec());
        }
        texts.push(coded.trim_end_matches('=').as_bytes().to_vec());
        texts.push(coded.into_bytes());
    }
}

fn percent_encoded(value: &str, lower: bool) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else if lower {
            text.push_str(&format!("%{byte:02x}"));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// Masks a stream. Holds back only bytes that may turn out to begin a secret.
#[derive(Debug, Default)]
pub(crate) struct Masker {
    held: Vec<u8>,
}

impl Masker {
    /// The next bytes of the stream, as far as they can be shown.
    pub(crate) fn push(&mut self, patterns: &Patterns, bytes: &[u8]) -> Vec<u8> {
        if patterns.texts.is_empty() {
            return bytes.to_vec();
        }
        self.held.extend_from_slice(bytes);
        let mut shown = Vec::with_capacity(self.held.len());
        let from = scan(patterns, &self.held, false, &mut shown);
        self.held.drain(..from);
        shown
    }

    /// The end of the stream: what was held back.
    pub(crate) fn end(&mut self, patterns: &Patterns) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        let mut shown = Vec::with_capacity(held.len());
        scan(patterns, &held, true, &mut shown);
        shown
    }

    /// Gives up what is held back, unmasked, to be masked by somebody else.
    pub(crate) fn take_raw(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}

/// Appends to `shown`; answers the index from which more bytes are needed to decide.
fn scan(patterns: &Patterns, bytes: &[u8], ended: bool, shown: &mut Vec<u8>) -> usize {
    let mut at = 0;
    let mut plain = 0;
    while at < bytes.len() {
        if !patterns.starts[usize::from(bytes[at])] {
            at += 1;
            continue;
        }
        let rest = &bytes[at..];
        let undecided = |text: &&Vec<u8>| text.len() > rest.len() && text.starts_with(rest);
        if !ended && patterns.texts.iter().any(|text| undecided(&text)) {
            break;
        }
        match patterns.texts.iter().find(|text| rest.starts_with(text)) {
            Some(text) => {
                shown.extend_from_slice(&bytes[plain..at]);
                shown.extend_from_slice(MASK);
                at += text.len();
                plain = at;
            }
            None => at += 1,
        }
    }
    shown.extend_from_slice(&bytes[plain..at]);
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masked(patterns: &Patterns, pieces: &[&[u8]]) -> String {
        let mut masker = Masker::default();
        let mut all: Vec<u8> = pieces.iter().flat_map(|p| masker.push(patterns, p)).collect();
        all.extend(masker.end(patterns));
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn every_form_of_a_secret_is_masked() {
        let patterns = Patterns::new("oauth2", ["pa\"ss/wörd+long"]);
        let text = format!(
            "plain pa\"ss/wörd+long, json {}, base64 {}, basic {}, url pa%22ss%2Fw%C3%B6rd%2Blong, pass",
            serde_json::Value::from("pa\"ss/wörd+long"),
            STANDARD.encode("pa\"ss/wörd+long"),
            STANDARD.encode("oauth2:pa\"ss/wörd+long"),
        );
        insta::assert_snapshot!(masked(&patterns, &[text.as_bytes()]), @r#"plain [masked], json "[masked]", base64 [masked], basic [masked], url [masked], pass"#);
    }

    #[test]
    fn lines_of_a_key_are_masked_one_by_one_and_short_values_stay() {
        let patterns = Patterns::new("u", ["first-line-of-key\nno\nsecond-line-of-key", "short"]);
        let text = b"second-line-of-key no short first-line-of-key\n";
        insta::assert_snapshot!(masked(&patterns, &[text]), @"[masked] no short [masked]");
    }

    #[test]
    fn an_unfinished_secret_comes_out_at_the_end() {
        let patterns = Patterns::new("u", ["glpat-0123456789"]);
        let mut masker = Masker::default();
        assert_eq!(masker.push(&patterns, b"see glpat-0123"), b"see ");
        assert_eq!(masker.push(&patterns, b"!"), b"glpat-0123!");
        assert_eq!(masker.push(&patterns, b"glpat"), b"");
        assert_eq!(masker.end(&patterns), b"glpat");
    }

    proptest! {
        #[test]
        fn borders_never_matter(
            words in proptest::collection::vec(
                prop_oneof![Just("aabaabaac".to_owned()), Just("aabaabaad".to_owned()), "[abc ]{0,12}"],
                0..20,
            ),
            cuts in proptest::collection::vec(1_usize..7, 1..60),
        ) {
            let patterns = Patterns::new("u", ["aabaabaac", "aabaabaad"]);
            let text = words.concat();
            let mut pieces = Vec::new();
            let mut rest = text.as_bytes();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (piece, more) = rest.split_at((*cut).min(rest.len()));
                pieces.push(piece);
                rest = more;
            }
            let shown = masked(&patterns, &pieces);
            prop_assert!(!shown.contains("aabaabaac") && !shown.contains("aabaabaad"));
            prop_assert_eq!(shown, masked(&patterns, &[text.as_bytes()]));
        }
    }
}
