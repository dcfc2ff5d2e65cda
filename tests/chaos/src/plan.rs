//! What goes wrong and when: everything follows from the seed.

use std::fmt;

use aldis_gitlab_sim::Route;

use crate::dice::Dice;

/// A part of the bot that is a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Ingress,
    Planner,
    Dispatch,
    Feedback,
    Web,
    Runner,
}

/// The processes. Those of the same role share its work.
pub(crate) const CREW: [Role; 12] = [
    Role::Ingress,
    Role::Ingress,
    Role::Planner,
    Role::Planner,
    Role::Dispatch,
    Role::Feedback,
    Role::Feedback,
    Role::Web,
    Role::Runner,
    Role::Runner,
    Role::Runner,
    Role::Runner,
];

/// The last of them, each with a disk of its own.
pub(crate) const RUNNERS: usize = 4;

/// Commits around which processes of a role can be killed: the kinds of their events.
const POINTS: [(Role, &[&str]); 4] = [
    (Role::Ingress, &["delivery_received"]),
    (
        Role::Planner,
        &[
            "lane_admitted",
            "delivery_decided",
            "change_planned",
            "lane_planned",
            "run_requested",
            "run_released",
            "lane_ended",
        ],
    ),
    (Role::Dispatch, &["attempt_started", "run_finished"]),
    (
        Role::Feedback,
        &[
            "statuses_intended",
            "statuses_settled",
            "note_intended",
            "note_confirmed",
            "deployment_intended",
            "deployment_confirmed",
        ],
    ),
];

/// Queues that may be deleted.
const QUEUES: [&str; 4] = ["aldis.plan", "aldis.announce", "aldis.statuses", "aldis.notes"];

/// Something that a process talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    Database,
    Broker,
    /// A runner's way to the run queue.
    Server,
    /// Everybody's way to GitLab.
    GitLab,
}

/// Something that goes wrong. Times are in seconds; members of the crew go by their place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `kill -9`, and started again after a while.
    Kill {
        part: usize,
        down: u64,
    },
    /// Killed around the commit of an event.
    KillAt {
        part: usize,
        point: String,
    },
    /// SIGSTOP, and SIGCONT.
    Freeze {
        part: usize,
        time: u64,
    },
    /// `-m immediate`.
    DatabaseCrash {
        down: u64,
    },
    BrokerKill {
        down: u64,
    },
    /// `stop_app`.
    BrokerStop {
        down: u64,
    },
    QueueDeleted {
        queue: &'static str,
    },
    /// Nothing comes through, and nothing breaks.
    BlackHole {
        part: usize,
        link: Link,
        time: u64,
    },
    /// All connections break.
    Reset {
        part: usize,
        link: Link,
    },
    /// Nothing more fits on the disk that a runner works on.
    DiskFull {
        part: usize,
        time: u64,
    },
    /// GitLab does it and does not say so.
    LostAnswers {
        route: Route,
        times: u32,
    },
}

/// How much of what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mix {
    /// Webhooks that GitLab sends, at least.
    pub(crate) deliveries: u64,
    /// At random moments, besides each point once before and once after.
    pub(crate) kills: u64,
    pub(crate) points: bool,
    pub(crate) freezes: u64,
    pub(crate) database_crashes: u64,
    pub(crate) broker_crashes: u64,
    pub(crate) queues_deleted: u64,
    pub(crate) black_holes: u64,
    pub(crate) resets: u64,
    pub(crate) disks_full: u64,
    pub(crate) lost_answers: u64,
    /// Seconds of a long fault: longer than a lease, or short for a short run.
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
    /// Spreads all faults over the time in which webhooks come.
    pub(crate) fn plan(&self, seed: u64) -> Vec<Planned> {
        let mut dice = Dice::new(seed, 1);
        let mut faults = if self.points { points() } else { Vec::new() };
        // Everybody once before anybody twice.
        let mut victims: Vec<usize> = (0..CREW.len()).collect();
        dice.shuffle(&mut victims);
        faults.extend(
            victims.iter().cycle().zip(0..self.kills).map(|(part, _)| kill(*part, &mut dice)),
        );
        let mut add = |count: u64, make: fn(&mut Dice, u64) -> Fault| {
            for _ in 0..count {
                faults.push(make(&mut dice, self.long));
            }
        };
        add(self.freezes, freeze);
        add(self.database_crashes, |dice, _| Fault::DatabaseCrash { down: 1 + dice.below(5) });
        add(self.broker_crashes, broker);
        add(self.queues_deleted, |dice, _| Fault::QueueDeleted { queue: dice.one_of(&QUEUES) });
        add(self.black_holes, black_hole);
        add(self.resets, |dice, _| {
            let (part, link) = link(dice);
            Fault::Reset { part, link }
        });
        add(self.disks_full, disk_full);
        add(self.lost_answers, |dice, _| Fault::LostAnswers {
            route: dice.one_of(&[
                Route::StatusPost,
                Route::NoteCreate,
                Route::NoteUpdate,
                Route::DeploymentCreate,
                Route::DeploymentUpdate,
            ]),
            times: 1 + u32::try_from(dice.below(3)).unwrap_or(0),
        });
        spread(faults, self.deliveries, &mut dice)
    }
}

/// Each commit of each role, from both sides.
fn points() -> Vec<Fault> {
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

fn part(dice: &mut Dice) -> usize {
    usize::try_from(dice.below(CREW.len() as u64)).unwrap_or(0)
}

fn kill(part: usize, dice: &mut Dice) -> Fault {
    // Most come back at once, as a service manager has it.
    let down = if dice.percent(80) { dice.below(2) } else { dice.below(20) };
    Fault::Kill { part, down }
}

fn freeze(dice: &mut Dice, long: u64) -> Fault {
    Fault::Freeze { part: part(dice), time: long + dice.below(long) }
}

fn broker(dice: &mut Dice, _: u64) -> Fault {
    let down = 1 + dice.below(10);
    if dice.percent(50) { Fault::BrokerKill { down } } else { Fault::BrokerStop { down } }
}

fn link(dice: &mut Dice) -> (usize, Link) {
    let part = part(dice);
    let link = match (CREW[part], dice.below(3)) {
        (_, 0) => Link::GitLab,
        (Role::Runner, _) => Link::Server,
        (_, 1) => Link::Broker,
        _ => Link::Database,
    };
    (part, link)
}

fn black_hole(dice: &mut Dice, long: u64) -> Fault {
    let (part, link) = link(dice);
    Fault::BlackHole { part, link, time: long.min(30) }
}

fn disk_full(dice: &mut Dice, long: u64) -> Fault {
    let first = CREW.len() - RUNNERS;
    let part = first + usize::try_from(dice.below(RUNNERS as u64)).unwrap_or(0);
    Fault::DiskFull { part, time: long.min(30) }
}

/// In any order, with even gaps, none at the very beginning or end.
fn spread(mut faults: Vec<Fault>, deliveries: u64, dice: &mut Dice) -> Vec<Planned> {
    dice.shuffle(&mut faults);
    let count = faults.len() as u64;
    let placed = faults.into_iter().zip(1..);
    placed.map(|(fault, n)| Planned { at: deliveries * n / (count + 2), fault }).collect()
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ingress => "ingress",
            Self::Planner => "planner",
            Self::Dispatch => "dispatch",
            Self::Feedback => "feedback",
            Self::Web => "web",
            Self::Runner => "runner",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |part: &usize| format!("{} {part}", CREW[*part]);
        match self {
            Self::Kill { part, down } => write!(f, "kill {}, {down} s", name(part)),
            Self::KillAt { part, point } => write!(f, "kill {} at {point}", name(part)),
            Self::Freeze { part, time } => write!(f, "freeze {} for {time} s", name(part)),
            Self::DatabaseCrash { down } => write!(f, "crash the database, {down} s"),
            Self::BrokerKill { down } => write!(f, "kill the broker, {down} s"),
            Self::BrokerStop { down } => write!(f, "stop the broker's app, {down} s"),
            Self::QueueDeleted { queue } => write!(f, "delete queue {queue}"),
            Self::BlackHole { part, link, time } => {
                write!(f, "black hole between {} and {link:?}, {time} s", name(part))
            }
            Self::Reset { part, link } => write!(f, "reset {} and {link:?}", name(part)),
            Self::DiskFull { part, time } => {
                write!(f, "fill the disk of {}, {time} s", name(part))
            }
            Self::LostAnswers { route, times } => write!(f, "{times} lost answers to {route:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const ALL: Mix = Mix {
        deliveries: 1000,
        kills: 30,
        points: true,
        freezes: 5,
        database_crashes: 5,
        broker_crashes: 5,
        queues_deleted: 2,
        black_holes: 10,
        resets: 10,
        disks_full: 5,
        lost_answers: 10,
        long: 60,
        broker_away: false,
    };

    #[test]
    fn the_same_seed_is_the_same_plan_and_another_is_not() {
        assert_eq!(ALL.plan(7), ALL.plan(7));
        assert_ne!(ALL.plan(7), ALL.plan(8));
    }

    #[test]
    fn every_role_is_killed_and_every_point_is_met_from_both_sides() {
        let plan = ALL.plan(1);
        let killed: BTreeSet<Role> = plan
            .iter()
            .filter_map(|planned| match planned.fault {
                Fault::Kill { part, .. } => Some(CREW[part]),
                _ => None,
            })
            .collect();
        assert_eq!(killed.len(), 6, "{killed:?}");
        let points: BTreeSet<&String> = plan
            .iter()
            .filter_map(|planned| match &planned.fault {
                Fault::KillAt { point, .. } => Some(point),
                _ => None,
            })
            .collect();
        assert_eq!(points.len(), 2 * POINTS.iter().map(|(_, kinds)| kinds.len()).sum::<usize>());
        assert!(plan.is_sorted_by_key(|planned| planned.at));
        assert!(plan.last().is_some_and(|last| last.at < ALL.deliveries));
    }
}
