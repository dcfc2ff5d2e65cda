//! What goes wrong and when: everything follows from the seed.

use aldis_gitlab_sim::Route;

use crate::dice::Dice;
use crate::fault::{CREW, Fault, QUEUES, RUNNERS, Role, ways};
use crate::points;

/// Longer than the longest lease, that of a tracked run.
pub(crate) const LONGER_THAN_LEASES: u64 = 105;
/// Those who take leases, or extend them for others.
const HOLDERS: [Role; 4] = [Role::Planner, Role::Feedback, Role::Dispatch, Role::Runner];

/// How much of what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mix {
    /// Webhooks that GitLab sends, at least.
    pub(crate) deliveries: u64,
    /// At random moments, besides each point once before and once after.
    pub(crate) kills: u64,
    pub(crate) points: bool,
    /// The same around the steps of runs.
    pub(crate) steps: u64,
    pub(crate) freezes: u64,
    /// Besides, each role that takes leases is frozen for longer than they last.
    pub(crate) long_freezes: bool,
    pub(crate) restarts: u64,
    pub(crate) database_crashes: u64,
    pub(crate) broker_crashes: u64,
    pub(crate) queues_deleted: u64,
    pub(crate) black_holes: u64,
    pub(crate) resets: u64,
    pub(crate) disks_full: u64,
    pub(crate) lost_answers: u64,
    /// Seconds of a long fault: longer than most leases, or short for a short run.
    pub(crate) long: u64,
    /// The broker says nothing from the beginning to the end.
    pub(crate) broker_away: bool,
}

/// A fault, and when it comes: when GitLab has sent so many webhooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) at: u64,
    pub(crate) fault: Fault,
}

impl Mix {
    /// Nothing goes wrong.
    pub(crate) const NOTHING: Self = Self {
        deliveries: 0,
        kills: 0,
        points: false,
        steps: 0,
        freezes: 0,
        long_freezes: false,
        restarts: 0,
        database_crashes: 0,
        broker_crashes: 0,
        queues_deleted: 0,
        black_holes: 0,
        resets: 0,
        disks_full: 0,
        lost_answers: 0,
        long: 60,
        broker_away: false,
    };

    /// Spreads all faults over the time in which webhooks come.
    pub(crate) fn plan(&self, seed: u64) -> Vec<Planned> {
        let mut dice = Dice::new(seed, 1);
        let mut faults = if self.points { points::kills() } else { Vec::new() };
        faults.extend(dealt(&points::kills_of_runners(), self.steps, &mut dice));
        let parts: Vec<usize> = (0..CREW.len()).collect();
        faults.extend(dealt(&parts, self.kills, &mut dice).map(|part| kill(part, &mut dice)));
        faults.extend(dealt(&parts, self.restarts, &mut dice).map(|part| Fault::Restart { part }));
        if self.long_freezes {
            faults.extend(HOLDERS.map(|role| long_freeze(role, &mut dice)));
        }
        let queues = dealt(&QUEUES, self.queues_deleted, &mut dice);
        faults.extend(queues.map(|queue| Fault::QueueDeleted { queue }));
        let (time, ways) = (self.long.min(30), ways());
        let dark = dealt(&ways, self.black_holes, &mut dice);
        faults.extend(dark.map(|(part, link)| Fault::BlackHole { part, link, time }));
        let broken = dealt(&ways, self.resets, &mut dice);
        faults.extend(broken.map(|(part, link)| Fault::Reset { part, link }));
        let mut add = |count: u64, make: fn(&mut Dice, u64) -> Fault| {
            for _ in 0..count {
                faults.push(make(&mut dice, self.long));
            }
        };
        add(self.freezes, freeze);
        add(self.database_crashes, |dice, _| Fault::DatabaseCrash { down: 1 + dice.below(5) });
        add(self.broker_crashes, broker);
        add(self.disks_full, disk_full);
        add(self.lost_answers, lost_answers);
        spread(faults, self.deliveries, &mut dice)
    }
}

/// So many of them: each once before any comes twice.
fn dealt<T: Clone>(all: &[T], count: u64, dice: &mut Dice) -> impl Iterator<Item = T> + use<T> {
    let mut all = all.to_vec();
    dice.shuffle(&mut all);
    all.into_iter().cycle().take(usize::try_from(count).unwrap_or(usize::MAX))
}

fn kill(part: usize, dice: &mut Dice) -> Fault {
    // Most come back at once, as a service manager has it.
    let down = if dice.percent(80) { dice.below(2) } else { dice.below(20) };
    Fault::Kill { part, down }
}

fn freeze(dice: &mut Dice, long: u64) -> Fault {
    let part = usize::try_from(dice.below(CREW.len() as u64)).unwrap_or(0);
    Fault::Freeze { part, time: long + dice.below(long) }
}

fn long_freeze(role: Role, dice: &mut Dice) -> Fault {
    let parts: Vec<usize> = (0..CREW.len()).filter(|part| CREW[*part] == role).collect();
    Fault::Freeze { part: dice.one_of(&parts), time: LONGER_THAN_LEASES + dice.below(15) }
}

fn broker(dice: &mut Dice, _: u64) -> Fault {
    let down = 1 + dice.below(10);
    if dice.percent(50) { Fault::BrokerKill { down } } else { Fault::BrokerStop { down } }
}

fn disk_full(dice: &mut Dice, long: u64) -> Fault {
    let first = CREW.len() - RUNNERS;
    let part = first + usize::try_from(dice.below(RUNNERS as u64)).unwrap_or(0);
    Fault::DiskFull { part, time: long.min(30) }
}

fn lost_answers(dice: &mut Dice, _: u64) -> Fault {
    let route = dice.one_of(&[
        Route::StatusPost,
        Route::NoteCreate,
        Route::NoteUpdate,
        Route::DeploymentCreate,
        Route::DeploymentUpdate,
    ]);
    Fault::LostAnswers { route, times: 1 + u32::try_from(dice.below(3)).unwrap_or(0) }
}

/// In any order, with even gaps, none at the very beginning or end.
fn spread(mut faults: Vec<Fault>, deliveries: u64, dice: &mut Dice) -> Vec<Planned> {
    dice.shuffle(&mut faults);
    let count = faults.len() as u64;
    let placed = faults.into_iter().zip(1..);
    placed.map(|(fault, n)| Planned { at: deliveries * n / (count + 2), fault }).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::fault::Link;
    use crate::kind::Kind;

    const DELIVERIES: u64 = 1000;

    /// A plan of what a long day is to show.
    fn plan(seed: u64) -> Vec<Planned> {
        Kind::Outages.mix(DELIVERIES).plan(seed)
    }

    /// What `wanted` says of each fault of a plan.
    fn all<T: Ord>(wanted: impl Fn(Fault) -> Option<T>) -> BTreeSet<T> {
        plan(1).into_iter().filter_map(|planned| wanted(planned.fault)).collect()
    }

    #[test]
    fn the_same_seed_is_the_same_plan_and_another_is_not() {
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
    }

    #[test]
    fn every_role_is_killed_and_every_point_is_met_from_both_sides() {
        let killed = all(|fault| match fault {
            Fault::Kill { part, .. } => Some(CREW[part]),
            _ => None,
        });
        assert_eq!(killed.len(), 6, "{killed:?}");
        let points = all(|fault| match fault {
            Fault::KillAt { point, .. } => Some(point),
            _ => None,
        });
        let kinds = points::POINTS.iter().map(|(_, kinds)| kinds.len()).sum::<usize>();
        assert_eq!(points.len(), 2 * (kinds + points::STEPS.len()));
    }

    #[test]
    fn faults_come_one_by_one_and_end_before_the_day_does() {
        let plan = plan(1);
        assert!(plan.is_sorted_by_key(|planned| planned.at));
        assert!(plan.last().is_some_and(|last| last.at < DELIVERIES));
    }

    #[test]
    fn every_way_goes_dark_once_and_breaks_once() {
        let every: BTreeSet<_> = ways().into_iter().collect();
        let dark = all(|fault| match fault {
            Fault::BlackHole { part, link, .. } => Some((part, link)),
            _ => None,
        });
        assert_eq!(dark, every);
        let broken = all(|fault| match fault {
            Fault::Reset { part, link } => Some((part, link)),
            _ => None,
        });
        assert_eq!(broken, every);
        let faults = plan(1).into_iter().map(|planned| planned.fault.kind());
        let faults = faults.filter(|kind| ["black holes", "resets"].contains(kind));
        assert_eq!(faults.count(), 2 * every.len(), "none does so twice");
    }

    #[test]
    fn whoever_calls_gitlab_has_a_way_of_its_own_there() {
        let to_gitlab = ways().into_iter().filter(|(_, link)| *link == Link::GitLab);
        let roles: Vec<Role> = to_gitlab.map(|(part, _)| CREW[part]).collect();
        let two = |role| [role, role];
        let four = [two(Role::Runner), two(Role::Runner)].concat();
        assert_eq!(roles, [&two(Role::Planner)[..], &two(Role::Feedback), &four].concat());
    }

    #[test]
    fn each_process_is_restarted_and_each_shared_queue_deleted() {
        let restarted = all(|fault| match fault {
            Fault::Restart { part } => Some(part),
            _ => None,
        });
        assert_eq!(restarted.len(), CREW.len());
        let deleted = all(|fault| match fault {
            Fault::QueueDeleted { queue } => Some(queue),
            _ => None,
        });
        assert_eq!(deleted, QUEUES.into_iter().collect());
    }

    #[test]
    fn who_takes_leases_is_frozen_for_longer_than_they_last() {
        let frozen = all(|fault| match fault {
            Fault::Freeze { part, time } if time >= LONGER_THAN_LEASES => Some(CREW[part]),
            _ => None,
        });
        assert!(HOLDERS.iter().all(|role| frozen.contains(role)), "{frozen:?}");
    }
}
