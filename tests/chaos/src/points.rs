//! Commits around which processes are killed.

use crate::fault::{CREW, Fault, Role};

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

/// Each of them from both sides.
pub(crate) fn kills() -> Vec<Fault> {
    let mut faults = Vec::new();
    for (role, kinds) in POINTS {
        let parts: Vec<usize> = (0..CREW.len()).filter(|part| CREW[*part] == role).collect();
        let moments = kinds.iter().flat_map(|kind| ["before", "after"].map(|side| (side, kind)));
        for (number, (side, kind)) in moments.enumerate() {
            let part = parts[number % parts.len()];
            faults.push(Fault::KillAt { part, point: format!("{side}:{kind}") });
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use aldis_domain::event::Event;

    use super::POINTS;

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
}
