//! Reading GitLab's JSON without tripping over a `null`, a missing field or an odd date.

use serde::{Deserialize, Deserializer};

/// A user as GitLab embeds it in notes, statuses and deployments.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Person {
    pub id: u64,
    #[serde(default, deserialize_with = "or_default")]
    pub username: String,
}

/// `null` reads as the default value.
pub(crate) fn or_default<'de, D, T>(input: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(input)?.unwrap_or_default())
}

/// `null` and the empty string read as `None`: GitLab uses both for "no commit".
pub(crate) fn non_empty<'de, D>(input: D) -> Result<Option<String>, D::Error>
where
    D: Deserializer<'de>,
{
    Ok(Option::<String>::deserialize(input)?.filter(|text| !text.is_empty()))
}

/// A date that cannot be read is `None`, so that an answer to a write is never lost over it.
pub(crate) fn parsed<'de, D, T>(input: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr,
{
    Ok(Option::<String>::deserialize(input)?.and_then(|text| text.parse().ok()))
}
