//! Commits, and steps of runs, around which processes are killed.

use aldis_protocol::wire;
use aldis_test_servers::{Moment, Trap};

use crate::fault::{CREW, Fault, Link, Role};

/// By role: the kinds of the events in them.
pub(crate) const POINTS: [(Role, &[&str]); 4] = [
    (Role::Ingress, &["delivery_received", "delivery_refused", "delivery_quarantined"]),
    (
        Role::Planner,
        &[
            "lane_admitted",
            "delivery_decided",
            "project_observed",
            "head_moved",
            "change_planned",
            "lane_planned",
            "run_requested",
            "run_joined",
            "run_released",
            "run_left",
            "cancel_requested",
            "command_handled",
            "change_ended",
            "lane_ended",
        ],
    ),
    (Role::Dispatch, &["attempt_started", "attempt_lost", "run_finished"]),
    (
        Role::Feedback,
        &[
            "pipelines_seen",
            "statuses_intended",
            "statuses_settled",
            "statuses_compared",
            "note_intended",
            "note_confirmed",
            "note_compared",
            "note_refused",
            "environment_confirmed",
            "deployment_intended",
            "deployment_confirmed",
            "deployment_refused",
        ],
    ),
];

/// A step of a run, as its runner takes it: what it asks for, and of whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    name: &'static str,
    pub(crate) link: Link,
    pub(crate) trap: Trap,
    /// An ordinary day hardly brings it forth.
    pub(crate) is_rare: bool,
}

/// All of them. Each answer is the one that means that it was done.
pub(crate) const STEPS: [Step; 6] = [
    // Another answer hands nothing out.
    step("runner_claim", Link::Server, wire::CLAIM, 200),
    step("runner_fetch", Link::GitLab, "/git-upload-pack", 200),
    step("runner_log", Link::Server, wire::LOG, 204),
    step("runner_heartbeat", Link::Server, wire::HEARTBEAT, 200),
    step("runner_finish", Link::Server, wire::FINISH, 204),
    Step { is_rare: true, ..step("runner_hand_back", Link::Server, wire::HAND_BACK, 204) },
];

const fn step(name: &'static str, link: Link, path: &'static str, status: u16) -> Step {
    let trap = Trap { moment: Moment::Asked, path, status };
    Step { name, link, trap, is_rare: false }
}

/// The step of a runner's point, with the trap for its side.
pub(crate) fn step_at(point: &str) -> Option<Step> {
    let (side, name) = point.split_once(':')?;
    let mut step = STEPS.into_iter().find(|step| step.name == name)?;
    step.trap.moment = if side == "before" { Moment::Asked } else { Moment::Answered };
    Some(step)
}

/// Each commit from both sides.
pub(crate) fn kills() -> Vec<Fault> {
    POINTS.into_iter().flat_map(|(role, kinds)| around(role, kinds)).collect()
}

/// Each step of a run from both sides.
pub(crate) fn kills_of_runners() -> Vec<Fault> {
    around(Role::Runner, &STEPS.map(|step| step.name))
}

/// Those who share the role take turns.
fn around(role: Role, kinds: &[&str]) -> Vec<Fault> {
    let parts: Vec<usize> = (0..CREW.len()).filter(|part| CREW[*part] == role).collect();
    let points = kinds.iter().flat_map(|kind| ["before", "after"].map(|s| format!("{s}:{kind}")));
    let parts = parts.into_iter().cycle();
    points.zip(parts).map(|(point, part)| Fault::KillAt { part, point }).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use aldis_domain::event::Event;

    use aldis_test_servers::Moment;

    use super::{POINTS, STEPS, kills_of_runners, step_at};
    use crate::fault::{CREW, Fault, Role, ways};

    /// Kinds that this town does not bring forth, and why.
    const NEVER: [(&str, &str); 2] = [
        ("capability_lost", "no part of this version writes it"),
        ("project_signed", "the town's hooks have a token and do not sign"),
    ];

    #[test]
    fn every_kind_of_event_is_a_point() {
        let points: Vec<&str> = POINTS.iter().flat_map(|(_, kinds)| *kinds).copied().collect();
        let all: BTreeSet<&str> = Event::KINDS.iter().copied().collect();
        let never: BTreeSet<&str> = NEVER.iter().map(|(kind, _)| *kind).collect();
        let tried: BTreeSet<&str> = points.iter().copied().collect();
        assert_eq!(tried.len(), points.len(), "each is tried by one role");
        assert_eq!(all.difference(&tried).copied().collect::<BTreeSet<_>>(), never);
        assert!(tried.is_subset(&all), "{tried:?}");
    }

    #[test]
    fn each_step_of_a_runner_is_met_from_both_sides_on_a_way_that_is_there() {
        let mut met = BTreeSet::new();
        let mut parts = BTreeSet::new();
        for fault in kills_of_runners() {
            let Fault::KillAt { part, point } = fault else { panic!("{fault} is no kill") };
            let step = step_at(&point).unwrap();
            assert_eq!(CREW[part], Role::Runner);
            assert!(ways().contains(&(part, step.link)), "{point}");
            assert!(point.ends_with(step.name), "{point}");
            met.insert((step.name, step.trap.path, step.trap.moment == Moment::Asked));
            parts.insert(part);
        }
        assert_eq!(met.len(), 2 * STEPS.len(), "{met:?}");
        assert_eq!(parts.len(), 4);
    }
}
