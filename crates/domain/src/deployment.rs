//! The deployment of a tracked run: running, then success, failed or canceled; always ended.

use crate::event::Event;
use crate::event::resource::DeploymentState;
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
    pub refused: Option<Refused>,
}

/// What GitLab would not take, the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// What the deployment should have shown.
    pub wanted: Option<DeploymentState>,
    /// How often in a row.
    pub times: u32,
}

/// The next thing to do for a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Look for the environment and make it with tier and URL if it is not there; the deployment
    /// is to show `wanted`.
    Environment {
        wanted: DeploymentState,
    },
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
    /// Nothing can be done now. Look again after so many seconds, if given.
    Rest {
        look_again: Option<u64>,
    },
}

/// How long after its first refusal a write is tried again, in seconds; after each further one it
/// takes [`GROWTH`] times as long. What GitLab refuses (a role, a protected environment) people
/// change within minutes or a day.
const TRY_AGAIN: u64 = 20;
const GROWTH: u64 = 4;
/// After this many refusals, a day and a half, the write is given up.
const MOST_REFUSALS: u32 = 8;

impl Fold for Deployment {
    fn apply(&mut self, event: &Event) {
        match event {
            Event::EnvironmentConfirmed(confirmed) => {
                self.environment = Some(confirmed.environment);
                self.refused = None;
            }
            Event::DeploymentIntended(intended) => self.in_doubt = Some(intended.state),
            Event::DeploymentConfirmed(confirmed) => {
                self.in_doubt = None;
                self.refused = None;
                self.id = Some(confirmed.deployment);
                self.state = Some(confirmed.state);
            }
            Event::DeploymentRefused(refused) => {
                let wanted = refused.state.or(self.in_doubt.take());
                if refused.class.is_some() {
                    let before = self.refused.filter(|before| before.wanted == wanted);
                    let times = before.map_or(0, |before| before.times) + 1;
                    self.refused = Some(Refused { wanted, times });
                }
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
/// (`app/models/deployment.rb`, its state machine). `refused_age`: seconds since the last refusal.
pub fn next(deployment: &Deployment, run: &Run, refused_age: Option<u64>) -> Next {
    if let Some(wanted) = deployment.in_doubt {
        return Next::Resolve { wanted };
    }
    let Some(wanted) = desired(run) else { return Next::Rest { look_again: None } };
    let write = match (deployment.id, deployment.state) {
        (None, _) if deployment.environment.is_none() => Next::Environment { wanted },
        (None, _) => Next::Create { state: wanted },
        (Some(_), Some(shown)) if shown == wanted || wanted == DeploymentState::Running => {
            return Next::Rest { look_again: None };
        }
        (Some(id), _) => Next::Update { id, state: wanted },
    };
    // Another state is news: it has not been refused yet.
    match deployment.refused.filter(|refused| refused.wanted == Some(wanted)) {
        None => write,
        Some(refused) if refused.times >= MOST_REFUSALS => Next::Rest { look_again: None },
        Some(refused) => {
            let pause = TRY_AGAIN * GROWTH.pow(refused.times - 1);
            match pause.saturating_sub(refused_age.unwrap_or(pause)) {
                0 => write,
                left => Next::Rest { look_again: Some(left) },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::resource::{
        DeploymentConfirmed, DeploymentIntended, DeploymentRefused, EnvironmentConfirmed,
        RefusalClass,
    };
    use crate::event::run::{AttemptStarted, RunFinished};
    use crate::samples::run_requested;

    const REST: Next = Next::Rest { look_again: None };

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
        assert_eq!(
            next(&shown, &run(None), None),
            Next::Environment { wanted: DeploymentState::Running }
        );
        shown.apply(&EnvironmentConfirmed { environment: 3 }.into());
        assert_eq!(
            next(&shown, &run(None), None),
            Next::Create { state: DeploymentState::Running }
        );
        shown.apply(
            &DeploymentIntended { deployment: None, state: DeploymentState::Running, epoch: 1 }
                .into(),
        );
        assert_eq!(
            next(&shown, &run(None), None),
            Next::Resolve { wanted: DeploymentState::Running }
        );
        shown.apply(&DeploymentConfirmed { deployment: 9, state: DeploymentState::Running }.into());
        assert_eq!(next(&shown, &run(None), None), REST);
        let failed = run(Some(Outcome::Unknown));
        assert_eq!(
            next(&shown, &failed, None),
            Next::Update { id: 9, state: DeploymentState::Failed }
        );
        let corrected = run(Some(Outcome::Passed));
        shown.apply(&DeploymentConfirmed { deployment: 9, state: DeploymentState::Failed }.into());
        assert_eq!(
            next(&shown, &corrected, None),
            Next::Update { id: 9, state: DeploymentState::Success }
        );
    }

    fn refused(class: Option<RefusalClass>, state: Option<DeploymentState>) -> Event {
        DeploymentRefused { class, message: String::new(), state }.into()
    }

    /// A deployment that runs in GitLab.
    fn running() -> Deployment {
        let state = DeploymentState::Running;
        Deployment {
            environment: Some(3),
            id: Some(9),
            state: Some(state),
            ..Deployment::default()
        }
    }

    #[test]
    fn a_refused_end_is_tried_again_ever_more_rarely_and_then_given_up() {
        let (mut shown, failed) = (running(), run(Some(Outcome::Failed)));
        let update = Next::Update { id: 9, state: DeploymentState::Failed };
        let mut pauses = Vec::new();
        for times in 1..=MOST_REFUSALS {
            assert_eq!(next(&shown, &failed, Some(u64::MAX)), update, "refused {times} times");
            let (state, epoch) = (DeploymentState::Failed, 1);
            shown.apply(&DeploymentIntended { deployment: Some(9), state, epoch }.into());
            shown.apply(&refused(Some(RefusalClass::Forbidden), None));
            let Next::Rest { look_again } = next(&shown, &failed, Some(0)) else {
                panic!("tried again at once")
            };
            pauses.extend(look_again);
        }
        assert_eq!(pauses, [20, 80, 320, 1_280, 5_120, 20_480, 81_920]);
        assert_eq!(next(&shown, &failed, Some(u64::MAX)), REST);
    }

    #[test]
    fn what_was_not_refused_yet_is_tried_at_once() {
        let (mut shown, passed) = (running(), run(Some(Outcome::Passed)));
        for _ in 0..MOST_REFUSALS {
            shown.apply(&refused(Some(RefusalClass::Forbidden), Some(DeploymentState::Failed)));
        }
        let update = Next::Update { id: 9, state: DeploymentState::Success };
        assert_eq!(next(&shown, &passed, Some(0)), update);
        shown.apply(&refused(Some(RefusalClass::Gone), Some(DeploymentState::Success)));
        assert_eq!(next(&shown, &passed, Some(5)), Next::Rest { look_again: Some(15) });
        // Too many requests is no refusal, and does not make one forgotten either.
        shown.apply(&refused(None, Some(DeploymentState::Success)));
        assert_eq!(next(&shown, &passed, Some(5)), Next::Rest { look_again: Some(15) });
        assert_eq!(next(&shown, &passed, Some(20)), update);
    }

    #[test]
    fn an_environment_that_is_refused_is_tried_again_before_the_deployment() {
        let mut shown = Deployment::default();
        let wanted = DeploymentState::Running;
        shown.apply(&refused(Some(RefusalClass::Forbidden), Some(wanted)));
        assert_eq!(next(&shown, &run(None), Some(19)), Next::Rest { look_again: Some(1) });
        assert_eq!(next(&shown, &run(None), Some(20)), Next::Environment { wanted });
        let wanted = DeploymentState::Success;
        assert_eq!(
            next(&shown, &run(Some(Outcome::Passed)), Some(0)),
            Next::Environment { wanted }
        );
    }
}
