//! The story kit: the whole bot in one process beside a simulated GitLab.
//!
//! A story acts as people do ([`Story::push`], [`Story::propose`]), waits until nothing is left to
//! do ([`Story::settle`]), looks at what a person would see, and ends with [`Story::finish`], which
//! checks what must hold after every story. Never here: knowledge of how the bot comes to a result.

mod acts;
mod checks;
pub mod compose;
mod look;
pub mod oracle;
mod plain;
pub mod process;
mod runner;
mod setup;
mod story;

pub use setup::{HOOK_SECRET, Hooks, SIGNING_TOKEN, Setup};
pub use story::Story;
