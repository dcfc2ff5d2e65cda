//! Hints between services: an id to look at, never a fact.
