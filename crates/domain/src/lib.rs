//! The pure heart of Aldis: events, folds, decisions, the config file and the texts people read.
