//! The environment and the deployment of a tracked run.

use std::time::Duration;

use aldis_domain::config::Tier;
use aldis_domain::deployment::{Deployment, Next, next};
use aldis_domain::event::Event;
use aldis_domain::event::resource::{
    DeploymentConfirmed, DeploymentIntended, DeploymentRefused, DeploymentState,
    EnvironmentConfirmed, RefusalClass,
};
use aldis_domain::event::run::{Deploys, RunRequested};
use aldis_domain::id::RunId;
use aldis_domain::note::QUIET_SECONDS;
use aldis_domain::run::Run;
use aldis_domain::stream;
use aldis_gitlab::{DeploymentPost, DeploymentStatus, Environment, Error};
use aldis_store::{Claimed, Envelope, Release};

use crate::failure::{Failure, failure};
use crate::{Feedback, FeedbackError, age_of, fold, may_send, since_boot};

const SEARCH_AGAIN: Duration = Duration::from_secs(5);
const MOST_STEPS: usize = 8;
/// Pages of an environment's deployments that are searched, newest first.
const PAGES: u32 = 3;
/// Clocks of GitLab and of this machine may differ by this much, in seconds.
const CLOCK_SKEW: i64 = 300;

/// The deployment a work item is about, and the lease on it.
struct Target<'a> {
    claimed: &'a Claimed,
    stream: String,
    request: &'a RunRequested,
    deploys: &'a Deploys,
}

impl Feedback {
    pub(crate) async fn deployment(&self, claimed: &Claimed) -> Result<Release, FeedbackError> {
        let Ok(id) = claimed.key.key.parse::<RunId>() else { return Ok(Release::Done) };
        for _ in 0..MOST_STEPS {
            let run: Run = fold(&self.store.load(&stream::run(&id)).await?);
            let Some(request) = &run.request else { return Ok(Release::Done) };
            let Some(deploys) = &request.deploys else { return Ok(Release::Done) };
            let target = Target { claimed, stream: stream::deployment(&id), request, deploys };
            let envelopes = self.store.load(&target.stream).await?;
            let shown: Deployment = fold(&envelopes);
            let refusal =
                |e: &Event| matches!(e, Event::DeploymentRefused(it) if it.class.is_some());
            let refused_age = age_of(&envelopes, refusal).map(|age| age.as_secs());
            match next(&shown, &run, refused_age) {
                Next::Environment { wanted } => self.environment(&target, wanted).await?,
                Next::Resolve { wanted } => {
                    if !self.resolve_deployment(&target, &envelopes, shown.id, wanted).await? {
                        return Ok(Release::Later(SEARCH_AGAIN));
                    }
                }
                Next::Create { state } => self.write_deployment(&target, None, state).await?,
                Next::Update { id, state } => {
                    self.write_deployment(&target, Some(id), state).await?;
                }
                Next::Rest { look_again: None } => return Ok(Release::Done),
                Next::Rest { look_again: Some(seconds) } => {
                    return Ok(Release::Later(Duration::from_secs(seconds)));
                }
            }
        }
        Ok(Release::Later(Duration::from_secs(1)))
    }

    /// The deployment's own call would make an environment without tier and URL.
    async fn environment(
        &self,
        target: &Target<'_>,
        wanted: DeploymentState,
    ) -> Result<(), FeedbackError> {
        let outcome: Event = match self.known_or_made(target).await {
            Ok(found) => EnvironmentConfirmed { environment: found.id }.into(),
            Err(error) => match failure(error) {
                Failure::Refused(class, message) => refused(class, message, wanted),
                Failure::NotDone(error) | Failure::InDoubt(error) | Failure::Differs(error) => {
                    return Err(error.into());
                }
            },
        };
        Ok(self.tell(target.claimed, &target.stream, outcome).await?)
    }

    async fn known_or_made(&self, target: &Target<'_>) -> Result<Environment, Error> {
        let wanted = &target.deploys.environment;
        let environments = self.gitlab.project(target.request.project.id).environments();
        if let Some(known) = environments.by_name(&wanted.name).await? {
            return Ok(known);
        }
        let tier = wanted.tier.map(to_gitlab);
        match environments.create(&wanted.name, wanted.url.as_deref(), tier).await {
            // Somebody else may have made it just now.
            Err(error @ Error::Invalid { .. }) => {
                environments.by_name(&wanted.name).await?.ok_or(error)
            }
            made => made,
        }
    }

    async fn write_deployment(
        &self,
        target: &Target<'_>,
        id: Option<u64>,
        state: DeploymentState,
    ) -> Result<(), FeedbackError> {
        let since = since_boot();
        let intended = DeploymentIntended { deployment: id, state, epoch: target.claimed.epoch };
        self.tell(target.claimed, &target.stream, intended).await?;
        if !may_send(since) {
            return Err(FeedbackError::HeldUp);
        }
        let deployments = self.gitlab.project(target.request.project.id).deployments();
        let answer = if let Some(id) = id {
            deployments.update(id, status(state)).await
        } else {
            let post = DeploymentPost {
                environment: &target.deploys.environment.name,
                sha: target.request.sha.as_str(),
                ref_: &target.deploys.branch,
                tag: false,
                status: status(state),
            };
            deployments.create(&post).await
        };
        let (outcome, put_off): (Event, _) = match answer {
            Ok(made) => (DeploymentConfirmed { deployment: made.id, state }.into(), None),
            Err(error) => match failure(error) {
                Failure::InDoubt(error) => return Err(error.into()),
                Failure::Differs(error) => {
                    (self.compare_deployment(target, id, state, &error).await?, None)
                }
                Failure::Refused(class, message) => (refused(class, message, state), None),
                Failure::NotDone(error) => {
                    let (class, message, state) = (None, error.to_string(), Some(state));
                    (DeploymentRefused { class, message, state }.into(), Some(error))
                }
            },
        };
        self.tell(target.claimed, &target.stream, outcome).await?;
        put_off.map_or(Ok(()), |error| Err(error.into()))
    }

    /// GitLab goes no way from the state it shows to `state`: it may be there already, by somebody
    /// else's hand.
    async fn compare_deployment(
        &self,
        target: &Target<'_>,
        id: Option<u64>,
        state: DeploymentState,
        error: &Error,
    ) -> Result<Event, FeedbackError> {
        let found = match id {
            Some(_) => self.find_deployment(target, id, Duration::ZERO).await?,
            None => None,
        };
        Ok(match found.filter(|found| shown_state(&found.status) == Some(state)) {
            Some(found) => DeploymentConfirmed { deployment: found.id, state }.into(),
            None => refused(RefusalClass::Invalid, error.context().message.clone(), state),
        })
    }

    /// Finds out what became of a write without an answer. False: nothing can be said yet.
    async fn resolve_deployment(
        &self,
        target: &Target<'_>,
        envelopes: &[Envelope],
        id: Option<u64>,
        wanted: DeploymentState,
    ) -> Result<bool, FeedbackError> {
        let intended = age_of(envelopes, |e| matches!(e, Event::DeploymentIntended(_)));
        let age = intended.unwrap_or_default();
        let outcome: Event = match self.find_deployment(target, id, age).await? {
            Some(found) => {
                let state = shown_state(&found.status).unwrap_or(wanted);
                DeploymentConfirmed { deployment: found.id, state }.into()
            }
            None if id.is_none() && age.as_secs() < QUIET_SECONDS => return Ok(false),
            None => {
                let message = "the answer was lost, and the deployment never came".to_owned();
                DeploymentRefused { class: None, message, state: Some(wanted) }.into()
            }
        };
        self.tell(target.claimed, &target.stream, outcome).await?;
        Ok(true)
    }

    /// The deployment as GitLab shows it: the one of this id, or one of ours that was made since
    /// `age` ago.
    async fn find_deployment(
        &self,
        target: &Target<'_>,
        id: Option<u64>,
        age: Duration,
    ) -> Result<Option<aldis_gitlab::Deployment>, FeedbackError> {
        let deployments = self.gitlab.project(target.request.project.id).deployments();
        let listed = deployments.list(Some(&target.deploys.environment.name), PAGES).await?;
        let since = jiff::Timestamp::now().as_second()
            - i64::try_from(age.as_secs()).unwrap_or(0)
            - CLOCK_SKEW;
        Ok(listed.into_iter().find(|d| {
            if let Some(id) = id {
                d.id == id
            } else {
                let ours = d.user.as_ref().is_some_and(|u| u.id == self.own_user);
                let new = d.created_at.is_none_or(|at| at.as_second() >= since);
                ours && new
                    && d.sha == target.request.sha.as_str()
                    && d.ref_ == target.deploys.branch
            }
        }))
    }
}

fn refused(class: RefusalClass, message: String, state: DeploymentState) -> Event {
    DeploymentRefused { class: Some(class), message, state: Some(state) }.into()
}

fn status(state: DeploymentState) -> DeploymentStatus {
    match state {
        DeploymentState::Running => DeploymentStatus::Running,
        DeploymentState::Success => DeploymentStatus::Success,
        DeploymentState::Failed => DeploymentStatus::Failed,
        DeploymentState::Canceled => DeploymentStatus::Canceled,
    }
}

fn shown_state(status: &str) -> Option<DeploymentState> {
    Some(match status {
        "running" => DeploymentState::Running,
        "success" => DeploymentState::Success,
        "failed" => DeploymentState::Failed,
        "canceled" => DeploymentState::Canceled,
        _ => return None,
    })
}

fn to_gitlab(tier: Tier) -> aldis_gitlab::Tier {
    match tier {
        Tier::Production => aldis_gitlab::Tier::Production,
        Tier::Staging => aldis_gitlab::Tier::Staging,
        Tier::Testing => aldis_gitlab::Tier::Testing,
        Tier::Development => aldis_gitlab::Tier::Development,
        Tier::Other => aldis_gitlab::Tier::Other,
    }
}
