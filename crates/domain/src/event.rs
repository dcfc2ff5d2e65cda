//! Past-tense facts.
