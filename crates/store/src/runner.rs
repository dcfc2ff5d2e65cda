//! Runners on other machines, and how they are known.

/// A runner that may ask for runs. Its token itself is kept nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runner {
    pub name: String,
    /// The pools whose runs it is given.
    pub pools: Vec<String>,
    /// Microseconds since 1970, UTC.
    pub added_at: i64,
    /// When it last asked for something, to the minute.
    pub seen_at: Option<i64>,
}
