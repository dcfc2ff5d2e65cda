//! The deployment of a tracked run: running, then success, failed or canceled; always ended.

use crate::event::Event;
use crate::event::resource::{DeploymentState, RefusalClass};
use crate::fold::Fold;
use crate::report::Outcome;
use crate::run::{Phase, Run};

/// Everything known of one deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deployment {
    /// The environment exists as the config file asks.
    pub environment: Option<u64>,
    pub id: Option<u64>,
    pub state: Option<DeploymentState>,
    /// What was intended and of which nothing more is known.
    pub in_doubt: Option<DeploymentState>,
    pub refused: Option<(RefusalClass, String)>,
}

/// The next thing to do for a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Look for the environment and make it with tier and URL if it is not there.
    Environment,
    /// An earlier writer left no outcome: look among the environment's deployments.
    Resolve {
        wanted: DeploymentState,
    },
    Create {
        state: DeploymentState,
    },
    Update {
        id: u64,
        state: DeploymentState,
    },
    Rest,
}

impl Fold for Deployment {
    fn apply(&mut self, event: &Event) {
        match event {
            Event::EnvironmentConfirmed(confirmed) => {
                self.environment = Some(confirmed.environment);
            }
            Event::DeploymentIntended(intended) => self.in_doubt = Some(intended.state),
            Event::DeploymentConfirmed(confirmed) => {
                self.in_doubt = None;
                self.id = Some(confirmed.deployment);
                self.state = Some(confirmed.state);
            }
            Event::DeploymentRefused(refused) => {
                self.in_doubt = None;
                self.refused = refused.class.map(|class| (class, refused.message.clone()));
            }
            _ => {}
        }
    }
}

/// What GitLab should show for the run; `None`: nothing, it never started.
pub fn desired(run: &Run) -> Option<DeploymentState> {
    run.epoch?;
    match run.phase() {
        Phase::Absent | Phase::Waiting | Phase::Queued => None,
        Phase::Running => Some(DeploymentState::Running),
        Phase::Finished(Outcome::Passed) => Some(DeploymentState::Success),
        Phase::Finished(Outcome::Canceled | Outcome::Skipped | Outcome::Lost) => {
            Some(DeploymentState::Canceled)
        }
        Phase::Finished(_) => Some(DeploymentState::Failed),
    }
}

/// Decides the next step. GitLab refuses the same state twice, and going back to running
/// (`app/models/deployment.rb`, its state machine).
pub fn next(deployment: &Deployment, run: &Run) -> Next {
    if let Some(wanted) = deployment.in_doubt {
        return Next::Resolve { wanted };
    }
    let Some(wanted) = desired(run).filter(|_| deployment.refused.is_none()) else {
        return Next::Rest;
    };
    match (deployment.id, deployment.state) {
        (None, _) if deployment.environment.is_none() => Next::Environment,
        (None, _) => Next::Create { state: wanted },
        (Some(_), Some(shown)) if shown == wanted || wanted == DeploymentState::Running => {
            Next::Rest
        }
        (Some(id), _) => Next::Update { id, state: wanted },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::resource::{DeploymentConfirmed, DeploymentIntended, EnvironmentConfirmed};
    use crate::event::run::{AttemptStarted, RunFinished};
    use crate::samples::run_requested;

    fn run(finished: Option<Outcome>) -> Run {
        let request = run_requested(true);
        let started = AttemptStarted {
            attempt: 1,
            epoch: 1,
            runner: "r".into(),
            sha: request.sha.clone(),
            audience: Vec::new(),
            tracked: true,
        };
        let ended = finished.map(|outcome| {
            Event::from(RunFinished {
                run: request.run.clone(),
                sha: request.sha.clone(),
                outcome,
                epoch: Some(1),
                reason: None,
                report: crate::report::Report::default(),
                audience: Vec::new(),
                tracked: true,
                needed: false,
            })
        });
        let events: Vec<Event> =
            [request.into(), started.into()].into_iter().chain(ended).collect();
        Run::of(&events)
    }

    #[test]
    fn the_environment_comes_first_then_running_then_the_end() {
        let mut shown = Deployment::default();
        assert_eq!(next(&shown, &run(None)), Next::Environment);
        shown.apply(&EnvironmentConfirmed { environment: 3 }.into());
        assert_eq!(next(&shown, &run(None)), Next::Create { state: DeploymentState::Running });
        shown.apply(
            &DeploymentIntended { deployment: None, state: DeploymentState::Running, epoch: 1 }
                .into(),
        );
        assert_eq!(next(&shown, &run(None)), Next::Resolve { wanted: DeploymentState::Running });
        shown.apply(&DeploymentConfirmed { deployment: 9, state: DeploymentState::Running }.into());
        assert_eq!(next(&shown, &run(None)), Next::Rest);
        let failed = run(Some(Outcome::Unknown));
        assert_eq!(next(&shown, &failed), Next::Update { id: 9, state: DeploymentState::Failed });
        let corrected = run(Some(Outcome::Passed));
        shown.apply(&DeploymentConfirmed { deployment: 9, state: DeploymentState::Failed }.into());
        assert_eq!(
            next(&shown, &corrected),
            Next::Update { id: 9, state: DeploymentState::Success }
        );
    }
}
