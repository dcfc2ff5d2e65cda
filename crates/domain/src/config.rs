//! The in-repository config file `.aldis.yml`: its model, reading, checking and matching.

pub mod model;

pub use model::{
    Concurrency, Config, EnvironmentConfig, Executor, MergeRequestRule, Network, On, PushRule,
    Reports, Stack, StatusConfig, Step, TagRule, Tier, When,
};
