//! The webhook endpoint: verify, store, hint, answer.
