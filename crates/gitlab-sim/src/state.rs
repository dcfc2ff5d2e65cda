//! Everything the simulated GitLab knows. One lock guards it; it is never held over an await.
//! The rules of GitLab live in the submodules as methods of [`State`]; they answer with
//! [`Answer`]s because their refusals are part of GitLab's API.

mod access;
mod branches;
mod deployments;
mod hook_queue;
mod merge_requests;
mod notes;
mod pipelines;
mod quick_actions;
mod records;
mod statuses;
mod timeline;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::Timestamp;

use crate::api::Incoming;
use tokio::sync::watch;

pub(crate) use branches::RefUpdate;
pub(crate) use deployments::{NewDeployment, NewEnvironment};
pub(crate) use notes::Posted;
pub(crate) use pipelines::NewPipeline;
pub(crate) use records::{
    Deployment, Environment, MergeRequest, Note, Pipeline, Project, Token, User, Version,
};
pub(crate) use statuses::{NewStatus, StatusFilter};

use crate::error::SimError;
use crate::faults::Faults;
use crate::hooks::{Delivery, Hook};
use crate::ids::{DeliveryId, HookId, MergeRequestRef, NoteId, PipelineId, ProjectId, UserId};
use crate::record::Call;
use crate::server::Options;

pub use records::{AccessLevel, Job, JobKind, JobState, Scope};

/// The whole simulated instance.
#[derive(Debug)]
pub(crate) struct State {
    /// Base URL with sub-path, without a slash at the end.
    pub(crate) url: String,
    pub(crate) options: Options,
    /// Holds one bare repository per project, named by its number.
    pub(crate) root: PathBuf,
    pub(crate) users: BTreeMap<UserId, User>,
    pub(crate) tokens: Vec<Token>,
    pub(crate) projects: BTreeMap<ProjectId, Project>,
    pub(crate) pipelines: BTreeMap<PipelineId, Pipeline>,
    /// Jobs and commit statuses, oldest first.
    pub(crate) jobs: Vec<Job>,
    pub(crate) merge_requests: Vec<MergeRequest>,
    pub(crate) notes: BTreeMap<NoteId, Note>,
    pub(crate) environments: Vec<Environment>,
    pub(crate) deployments: Vec<Deployment>,
    pub(crate) hooks: BTreeMap<HookId, Hook>,
    pub(crate) deliveries: BTreeMap<DeliveryId, Delivery>,
    /// Deliveries to send, in order; one id may stand here twice.
    pub(crate) outgoing: std::collections::VecDeque<DeliveryId>,
    pub(crate) sending: usize,
    /// Seconds by which deliveries are dated too late.
    pub(crate) clock_ahead: i64,
    pub(crate) holding: bool,
    /// Requests whose effect a fault has put off, oldest first.
    pub(crate) late: Vec<Incoming>,
    /// Tells the requests that a fault holds to go on.
    pub(crate) landed: watch::Sender<()>,
    pub(crate) faults: Faults,
    pub(crate) calls: Vec<Call>,
    pub(crate) timeline: Vec<String>,
    pub(crate) names: BTreeMap<String, String>,
    pub(crate) approvals: BTreeSet<(MergeRequestRef, UserId)>,
    pub(crate) awards: BTreeSet<(NoteId, UserId, String)>,
    /// API calls per user in the present minute, and when that minute began.
    pub(crate) windows: BTreeMap<(UserId, &'static str), (Timestamp, u32)>,
    next: BTreeMap<&'static str, u64>,
    changed: watch::Sender<u64>,
}

impl State {
    pub(crate) fn new(url: String, root: PathBuf, options: Options) -> Self {
        Self {
            url,
            options,
            root,
            users: BTreeMap::new(),
            tokens: Vec::new(),
            projects: BTreeMap::new(),
            pipelines: BTreeMap::new(),
            jobs: Vec::new(),
            merge_requests: Vec::new(),
            notes: BTreeMap::new(),
            environments: Vec::new(),
            deployments: Vec::new(),
            hooks: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            outgoing: std::collections::VecDeque::new(),
            sending: 0,
            clock_ahead: 0,
            holding: false,
            late: Vec::new(),
            landed: watch::Sender::new(()),
            faults: Faults::default(),
            calls: Vec::new(),
            timeline: Vec::new(),
            names: BTreeMap::new(),
            approvals: BTreeSet::new(),
            awards: BTreeSet::new(),
            windows: BTreeMap::new(),
            next: BTreeMap::new(),
            changed: watch::Sender::new(0),
        }
    }

    /// Next number of a sequence; every kind of record counts on its own.
    pub(crate) fn next_id(&mut self, kind: &'static str) -> u64 {
        let id = self.next.entry(kind).or_insert(0);
        *id += 1;
        *id
    }

    /// Wakes whoever waits for a delivery or a call.
    pub(crate) fn touch(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(crate) fn project(&self, id: ProjectId) -> Result<&Project, SimError> {
        self.projects.get(&id).ok_or_else(|| SimError::unknown(format!("project {id}")))
    }

    pub(crate) fn project_mut(&mut self, id: ProjectId) -> Result<&mut Project, SimError> {
        self.projects.get_mut(&id).ok_or_else(|| SimError::unknown(format!("project {id}")))
    }

    pub(crate) fn merge_request(&self, mr: MergeRequestRef) -> Result<&MergeRequest, SimError> {
        let found = self.merge_requests.iter().find(|known| known.reference() == mr);
        found.ok_or_else(|| SimError::unknown(format!("merge request {mr}")))
    }

    pub(crate) fn merge_request_mut(
        &mut self,
        mr: MergeRequestRef,
    ) -> Result<&mut MergeRequest, SimError> {
        let found = self.merge_requests.iter_mut().find(|known| known.reference() == mr);
        found.ok_or_else(|| SimError::unknown(format!("merge request {mr}")))
    }

    /// Where people look at a project.
    pub(crate) fn project_url(&self, id: ProjectId) -> String {
        let path = self.projects.get(&id).map_or("", |project| project.path.as_str());
        format!("{}/{path}", self.url)
    }

    pub(crate) fn username(&self, id: UserId) -> &str {
        self.users.get(&id).map_or("ghost", |user| user.username.as_str())
    }
}
