//! The simulator as the bot and a test meet it: over HTTP, and through its handle.

mod deployments;
mod faults;
mod git;
mod hooks;
mod notes;
mod pages;
mod pipelines;
mod projects;
mod statuses;
mod world;
