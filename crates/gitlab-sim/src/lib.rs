//! A stateful GitLab simulator: API, git over HTTP, signed hooks and faults on demand.
//!
//! Story tests and `aldis demo` start a [`Simulator`], act in it as people ([`Simulator::by`]),
//! point the bot at [`Simulator::url`] and look at what a person would see. The bot meets it over
//! HTTP only. It follows GitLab's source, also where that is surprising. It must never be used to
//! keep real data: everything is gone when it stops.

mod answer;
mod api;
mod error;
mod faults;
mod git;
mod hooks;
mod http;
mod ids;
mod pages;
mod people;
mod record;
mod route;
mod server;
mod simulator;
mod state;
mod view;

pub use error::SimError;
pub use faults::{Fault, FaultKind};
pub use hooks::{Attempt, Delivery, DeliveryState, Order, Secret, Trigger};
pub use ids::{DeliveryId, HookId, MergeRequestRef, NoteId, PipelineId, ProjectId, UserId};
pub use people::{Commented, NewMergeRequest, Person, PipelineFor};
pub use record::Call;
pub use route::Route;
pub use server::Options;
pub use simulator::Simulator;
pub use state::{AccessLevel, Job, JobKind, JobState, Scope};
pub use view::{
    DeploymentView, EnvironmentView, EnvironmentsView, JobView, MergeRequestView, NoteView,
    PipelineView,
};

/// The GitLab version that it says it is.
pub const VERSION: &str = "19.5.0-ee";
