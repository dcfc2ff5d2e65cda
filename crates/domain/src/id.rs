//! Identities. Numeric ids, never paths: a GitLab project keeps its number when it is renamed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A GitLab project on one of the instances this installation knows. Displays as `1.42`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProjectKey {
    /// Number of the instance in the `instances` table; the first one is 1.
    pub instance: u32,
    /// GitLab's numeric project id.
    pub id: u64,
}

/// A commit: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits, not all zero.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha(String);

/// One merge request or ref: what a delivery is about. Displays as `mr-1.42-7` or
/// `ref-1.42-refs/heads/main`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ChangeKey {
    /// `project` is the target project, `iid` the number people see (`!7`).
    MergeRequest { project: ProjectKey, iid: u64 },
    /// A branch or tag by its full name.
    Ref { project: ProjectKey, name: String },
}

/// A run, made of its run key's digest: the same wish collides with itself. 26 characters of
/// Crockford's base 32, lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

/// Why a text is not an identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {what}")]
pub struct IdError {
    what: &'static str,
    text: String,
}

impl IdError {
    fn new(what: &'static str, text: &str) -> Self {
        Self { what, text: text.chars().take(80).collect() }
    }
}

impl ProjectKey {
    /// The project `id` on `instance`.
    pub fn new(instance: u32, id: u64) -> Self {
        Self { instance, id }
    }
}

impl fmt::Display for ProjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.instance, self.id)
    }
}

impl FromStr for ProjectKey {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let key = text.split_once('.').and_then(|(instance, id)| {
            Some(Self { instance: instance.parse().ok()?, id: id.parse().ok()? })
        });
        key.ok_or_else(|| IdError::new("project key", text))
    }
}

impl Sha {
    /// The first eight digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..8]
    }

    /// All digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads a payload's sha, where GitLab writes all zeros for "there is none".
    pub fn parse_optional(text: &str) -> Result<Option<Self>, IdError> {
        if !text.is_empty() && text.bytes().all(|b| b == b'0') {
            return Ok(None);
        }
        text.parse().map(Some)
    }
}

impl fmt::Display for Sha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Sha {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let hex = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if hex && matches!(text.len(), 40 | 64) && text.bytes().any(|b| b != b'0') {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError::new("commit sha", text))
        }
    }
}

impl ChangeKey {
    /// The project the change belongs to; for a merge request the target project.
    pub fn project(&self) -> ProjectKey {
        match self {
            Self::MergeRequest { project, .. } | Self::Ref { project, .. } => *project,
        }
    }

    /// The merge request's number, if it is one.
    pub fn merge_request(&self) -> Option<u64> {
        match self {
            Self::MergeRequest { iid, .. } => Some(*iid),
            Self::Ref { .. } => None,
        }
    }
}

impl fmt::Display for ChangeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MergeRequest { project, iid } => write!(f, "mr-{project}-{iid}"),
            Self::Ref { project, name } => write!(f, "ref-{project}-{name}"),
        }
    }
}

impl FromStr for ChangeKey {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let mut parts = text.splitn(3, '-');
        let kind = parts.next();
        let project = parts.next().and_then(|p| p.parse().ok());
        let rest = parts.next();
        match (kind, project, rest) {
            (Some("mr"), Some(project), Some(iid)) => match iid.parse() {
                Ok(iid) => Ok(Self::MergeRequest { project, iid }),
                Err(_) => Err(IdError::new("change key", text)),
            },
            (Some("ref"), Some(project), Some(name)) if !name.is_empty() => {
                Ok(Self::Ref { project, name: name.to_owned() })
            }
            _ => Err(IdError::new("change key", text)),
        }
    }
}

impl RunId {
    /// The id of the run whose key has this SHA-256 digest.
    pub fn from_digest(digest: &[u8; 32]) -> Self {
        const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let mut bits = u128::from_be_bytes(*digest.first_chunk::<16>().expect("32 bytes hold 16"));
        let mut text = [b'0'; 26];
        for slot in text.iter_mut().rev() {
            *slot = ALPHABET[usize::try_from(bits & 31).unwrap_or(0)];
            bits >>= 5;
        }
        Self(text.iter().map(|b| char::from(*b)).collect())
    }

    /// The 26 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RunId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let fits =
            text.len() == 26 && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if fits { Ok(Self(text.to_owned())) } else { Err(IdError::new("run id", text)) }
    }
}

macro_rules! through_text {
    ($($name:ident),*) => {$(
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    )*};
}
through_text!(ProjectKey, Sha, ChangeKey, RunId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_survive_their_text() {
        for text in ["mr-1.42-7", "ref-1.42-refs/heads/feature/a-b"] {
            assert_eq!(text.parse::<ChangeKey>().unwrap().to_string(), text);
        }
        let run = RunId::from_digest(&[7; 32]);
        assert_eq!(run.as_str().parse::<RunId>().unwrap(), run);
    }

    #[test]
    fn foreign_text_is_refused_by_name() {
        insta::assert_snapshot!("12ab".parse::<Sha>().unwrap_err(), @"`12ab` is no commit sha");
        assert!("mr-1.42-x".parse::<ChangeKey>().is_err());
        assert_eq!(Sha::parse_optional(&"0".repeat(40)), Ok(None));
    }
}
