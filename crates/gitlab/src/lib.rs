//! A typed GitLab client ([`GitLab`]), webhook verification and the payload fields Aldis reads
//! ([`hook`]).
//!
//! Used by ingress (hooks), planner and feedback (calls). It knows GitLab and nothing of Aldis: no
//! decision is taken here, and no token or body ever reaches a log line or an error.

mod client;
mod error;
pub mod hook;
mod limit;
mod project;
mod tolerant;

pub use client::{
    BuildError, Builder, CALL_TIMEOUT, CallRecord, GitLab, Observer, Token, User, Version,
};
pub use error::{Context, Error};
pub use project::Project;
pub use project::access::{Member, ProjectInfo};
pub use project::delivery::{Webhook, Webhooks};
pub use project::deployment::{Deployment, DeploymentPost, DeploymentStatus, Deployments};
pub use project::environment::{Environment, EnvironmentUpdate, Environments, Tier};
pub use project::merge_request::{
    DiffRefs, FileChange, HeadPipeline, MergeRequest, MergeRequestHandle, MergeRequestQuery,
    MergeRequestState,
};
pub use project::note::{Note, Notes};
pub use project::pipeline::{Pipeline, PipelineQuery};
pub use project::repository::{Branch, Commit, CommitRef, Comparison};
pub use project::status::{CommitStatus, StatusPost, StatusQuery, StatusState, Statuses};
pub use tolerant::Person;
