//! The wiring: settings, the bot as a whole, and the commands of the `aldis` program.
//!
//! Only here do the services meet. Nothing is decided here, and nobody of the house imports it.

pub mod bot;
pub mod cli;
mod connect;
#[cfg(feature = "demo")]
mod demo;
mod hints;
mod intake;
mod keeping;
mod leaving;
pub mod rest;
pub mod roles;
mod sandbox;
pub mod settings;
mod stopping;
