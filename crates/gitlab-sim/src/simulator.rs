//! The handle by which tests and the demo hold the simulated instance.

mod observe;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::error::SimError;
use crate::faults::Fault;
use crate::hooks::send::lock;
use crate::hooks::{Delivery, Order, Secret, Trigger};
use crate::ids::{DeliveryId, HookId, MergeRequestRef, ProjectId, UserId};
use crate::people::Person;
use crate::server::{Options, Server};
use crate::state::{AccessLevel, Scope, State};

/// A running simulated GitLab. Dropping it stops it.
#[derive(Debug)]
pub struct Simulator {
    state: Arc<Mutex<State>>,
    server: Server,
    url: String,
}

impl Simulator {
    /// Starts an empty instance on 127.0.0.1. Needs `git` in the path for projects.
    pub async fn start(options: Options) -> Result<Self, SimError> {
        let (server, state) = Server::start(options).await?;
        let url = lock(&state).url.clone();
        Ok(Self { state, server, url })
    }

    /// Closes all connections and waits for the end.
    pub async fn stop(self) {
        self.server.stop().await;
    }

    /// Base URL with the sub-path, without a slash at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Acts as this user.
    pub fn by(&self, user: UserId) -> Person<'_> {
        Person { sim: self, id: user }
    }

    /// Adds a person.
    pub fn create_user(&self, username: &str) -> UserId {
        self.lock().create_user(username, false)
    }

    /// Adds a bot user, as a project or group access token owns one.
    pub fn create_bot(&self, username: &str) -> UserId {
        self.lock().create_user(username, true)
    }

    /// Makes a token; the answer is its value.
    pub fn create_token(
        &self,
        user: UserId,
        scopes: &[Scope],
        expires: Option<jiff::civil::Date>,
    ) -> Result<String, SimError> {
        self.lock().create_token(user, scopes, expires)
    }

    /// Makes a token useless from now on.
    pub fn revoke_token(&self, value: &str) -> Result<(), SimError> {
        let mut state = self.lock();
        let token = state.tokens.iter_mut().find(|token| token.value == value);
        token.ok_or_else(|| SimError::unknown("such a token"))?.revoked = true;
        Ok(())
    }

    /// Makes a private project with an empty repository; its owner is Owner.
    pub fn create_project(&self, path: &str, owner: UserId) -> Result<ProjectId, SimError> {
        self.lock().create_project(path, owner)
    }

    /// Forks a project into the user's namespace.
    pub fn fork(&self, project: ProjectId, user: UserId) -> Result<ProjectId, SimError> {
        self.lock().fork(project, user)
    }

    /// Gives a project another path. The old one answers 301 to reads and still serves git.
    pub fn rename_project(&self, project: ProjectId, path: &str) -> Result<(), SimError> {
        self.lock().rename_project(project, path)
    }

    /// Deletes a project, such as a fork whose merge request is still open.
    pub fn delete_project(&self, project: ProjectId) -> Result<(), SimError> {
        self.lock().delete_project(project)
    }

    /// Gives a user a role, or another one.
    pub fn set_member(
        &self,
        project: ProjectId,
        user: UserId,
        level: AccessLevel,
    ) -> Result<(), SimError> {
        self.lock().project_mut(project)?.members.insert(user, level);
        Ok(())
    }

    /// Takes a user's role away.
    pub fn remove_member(&self, project: ProjectId, user: UserId) -> Result<(), SimError> {
        self.lock().project_mut(project)?.members.remove(&user);
        Ok(())
    }

    /// Lets everybody with a token read the project, or not.
    pub fn set_public(&self, project: ProjectId, public: bool) -> Result<(), SimError> {
        self.lock().project_mut(project)?.public = public;
        Ok(())
    }

    /// Asks for Maintainer to post statuses for this branch.
    pub fn protect_branch(&self, project: ProjectId, branch: &str) -> Result<(), SimError> {
        self.lock().project_mut(project)?.protected_branches.insert(branch.to_owned());
        Ok(())
    }

    /// Most jobs in one pipeline; 0 for no limit.
    pub fn set_pipeline_limit(&self, project: ProjectId, jobs: usize) -> Result<(), SimError> {
        self.lock().project_mut(project)?.pipeline_size_limit = jobs;
        Ok(())
    }

    /// Whether GitLab has looked at a merge request's code. While it has not, the API shows no
    /// sha and no diff, as just after opening.
    pub fn set_prepared(&self, mr: MergeRequestRef, prepared: bool) -> Result<(), SimError> {
        self.lock().merge_request_mut(mr)?.prepared = prepared;
        Ok(())
    }

    /// Registers a hook of the project.
    pub fn add_hook(
        &self,
        project: ProjectId,
        url: &str,
        secret: Secret,
        triggers: &[Trigger],
    ) -> Result<HookId, SimError> {
        let triggers: BTreeSet<Trigger> = triggers.iter().copied().collect();
        self.lock().add_hook(project, url, secret, triggers, false)
    }

    /// Registers a hook of the group above the project: it gets the same events with keys of
    /// its own, and the project's list does not show it.
    pub fn add_group_hook(
        &self,
        project: ProjectId,
        url: &str,
        secret: Secret,
        triggers: &[Trigger],
    ) -> Result<HookId, SimError> {
        let triggers: BTreeSet<Trigger> = triggers.iter().copied().collect();
        self.lock().add_hook(project, url, secret, triggers, true)
    }

    /// Gives a hook another secret; what has not been sent yet is sent with it.
    pub fn set_hook_secret(&self, hook: HookId, secret: Secret) -> Result<(), SimError> {
        self.lock().set_hook_secret(hook, secret)
    }

    /// Has the clock by which deliveries are dated go wrong: ahead by so many seconds, or behind.
    pub fn set_clock_ahead(&self, seconds: i64) {
        self.lock().clock_ahead = seconds;
    }

    /// Removes a hook; what it has not been sent yet is dropped.
    pub fn remove_hook(&self, hook: HookId) -> Result<(), SimError> {
        let removed = self.lock().hooks.remove(&hook);
        removed.map(drop).ok_or_else(|| SimError::unknown(format!("hook {hook}")))
    }

    /// Keeps deliveries back from now on.
    pub fn hold_deliveries(&self) {
        self.lock().holding = true;
    }

    /// Sends what was kept back. Chosen ones go out alone and holding goes on; any other order
    /// sends all and ends the holding.
    pub fn release_deliveries(&self, order: &Order) -> Result<(), SimError> {
        self.lock().release(order)
    }

    /// Throws a delivery away before it is sent.
    pub fn drop_delivery(&self, delivery: DeliveryId) -> Result<(), SimError> {
        self.lock().drop_delivery(delivery)
    }

    /// Sends a delivery again, as the "Resend" button does: the same body and key, a new time.
    /// On a held delivery it sends it now; calling it twice sends it twice.
    pub fn redeliver(&self, delivery: DeliveryId) -> Result<(), SimError> {
        self.lock().redeliver(delivery)
    }

    /// All deliveries, oldest first.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.lock().deliveries.values().cloned().collect()
    }

    /// How many deliveries there are.
    pub fn deliveries_fired(&self) -> u64 {
        self.lock().deliveries.len() as u64
    }

    /// Those that are kept back, oldest first.
    pub fn held_deliveries(&self) -> Vec<Delivery> {
        self.lock().held().cloned().collect()
    }

    /// Waits until no delivery is queued or on its way.
    /// Held deliveries are not waited for.
    pub async fn deliveries_idle(&self) {
        self.wait_until(|sim| {
            let state = sim.lock();
            state.outgoing.is_empty() && state.sending == 0
        })
        .await;
    }

    /// Arms a fault for requests to come. The oldest that fits strikes first.
    pub fn fault(&self, fault: Fault) {
        self.lock().faults.arm(fault);
    }

    /// Disarms all faults.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
    }

    /// Lets the requests take effect that [`FaultKind::LandLate`](crate::FaultKind::LandLate) met,
    /// and lets those go on that [`FaultKind::Hold`](crate::FaultKind::Hold) met.
    pub fn land(&self) {
        let mut state = self.lock();
        for request in std::mem::take(&mut state.late) {
            crate::api::handle(&mut state, &request);
        }
        state.landed.send_replace(());
    }

    /// True while an armed fault has not struck as often as it should; those that strike
    /// always are not counted.
    pub fn faults_left(&self) -> bool {
        self.lock().faults.any_left()
    }
}
