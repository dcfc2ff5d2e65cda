//! The in-repository config file `.aldis.yml`: its model, reading, checking and matching.

mod draft;
mod effective;
mod environment;
mod finding;
mod glob;
pub mod matching;
pub mod model;
mod needs;
mod read;
mod reader;
mod rule;
mod stack;
mod words;
mod yaml;

pub use effective::effective;
pub use finding::{Finding, Severity};
pub use model::{
    Concurrency, Config, EnvironmentConfig, Executor, MergeRequestRule, Network, On, PushRule,
    Reports, Stack, StatusConfig, Step, TagRule, Tier, When,
};
pub use read::read;
pub use rule::Rule;
