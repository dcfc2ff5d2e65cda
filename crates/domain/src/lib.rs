//! The pure heart of Aldis: events, folds, decisions, the config file and the texts people read.
//!
//! Nothing here does IO, knows the time, draws a random number or awaits. Facts come in as
//! arguments, events and desired values go out. No crate of the house is imported here.

pub mod change;
pub mod config;
pub mod deployment;
pub mod event;
pub mod fold;
pub mod id;
pub mod note;
pub mod planning;
pub mod report;
pub mod run;
#[cfg(test)]
mod samples;
pub mod statuses;
pub mod stream;
pub mod text;
pub mod touch;
pub mod trigger;
