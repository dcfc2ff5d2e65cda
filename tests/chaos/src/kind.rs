//! Mixes of faults.

use clap::ValueEnum;

use crate::fault::ways;
use crate::plan::Mix;
use crate::points;

/// A mix of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A bit of everything, over in minutes.
    Short,
    /// 94 kills, among them one before and one after each commit on the way of a delivery and each
    /// step of a runner; each process is restarted, and who takes leases frozen for longer than they
    /// last.
    Kills,
    /// The same with restarts of database and broker, a black hole and a reset on each way, frozen
    /// processes, full disks, and answers of GitLab that get lost.
    Outages,
    /// The broker says nothing from the beginning to the end.
    NoBroker,
}

impl Kind {
    pub(crate) fn mix(self, deliveries: u64) -> Mix {
        let none = Mix { deliveries, ..Mix::NOTHING };
        let steps = points::kills_of_runners().len() as u64;
        let kills =
            Mix { kills: 18, points: true, steps, long_freezes: true, restarts: 12, ..none };
        let ways = ways().len() as u64;
        match self {
            Self::NoBroker => Mix { broker_away: true, ..none },
            Self::Kills => kills,
            Self::Outages => Mix {
                freezes: 5,
                database_crashes: 10,
                broker_crashes: 10,
                queues_deleted: 6,
                black_holes: ways,
                resets: ways,
                disks_full: 5,
                lost_answers: 10,
                ..kills
            },
            Self::Short => Mix {
                kills: 6,
                steps: 3,
                freezes: 1,
                restarts: 4,
                database_crashes: 1,
                broker_crashes: 1,
                queues_deleted: 1,
                black_holes: 2,
                resets: 4,
                disks_full: 1,
                lost_answers: 3,
                long: 10,
                ..none
            },
        }
    }

    /// Whether the day is long enough for shares of it to be even.
    pub(crate) fn is_long(self) -> bool {
        self != Self::Short
    }
}
