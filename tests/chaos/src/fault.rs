//! What there is to break, and the ways in which it breaks.

use std::fmt;

use aldis_gitlab_sim::Route;

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

/// Queues that processes share.
pub(crate) const QUEUES: [&str; 6] = [
    "aldis.announce",
    "aldis.plan",
    "aldis.urgent-statuses",
    "aldis.statuses",
    "aldis.notes",
    "aldis.deployments",
];

/// Something that a process talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Link {
    Database,
    Broker,
    /// A runner's way to the run queue.
    Server,
    GitLab,
    /// GitLab's way to those who take webhooks.
    Door,
}

/// Every way there is. The one that many share stands here once, with the first of them.
pub(crate) fn ways() -> Vec<(usize, Link)> {
    let mut ways = vec![(0, Link::Door)];
    for (part, role) in CREW.into_iter().enumerate() {
        if role == Role::Runner {
            ways.push((part, Link::Server));
        } else {
            ways.extend([(part, Link::Database), (part, Link::Broker)]);
        }
        if role.calls_gitlab() {
            ways.push((part, Link::GitLab));
        }
    }
    ways
}

/// Something that goes wrong. Times are in seconds; members of the crew go by their place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `kill -9`, and started again after a while.
    Kill {
        part: usize,
        down: u64,
    },
    /// Killed around the commit of an event, or around a step of a run.
    KillAt {
        part: usize,
        point: String,
    },
    /// SIGSTOP, and SIGCONT.
    Freeze {
        part: usize,
        time: u64,
    },
    /// SIGTERM, upon which it ends by itself, and started anew.
    Restart {
        part: usize,
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

impl Role {
    /// Or fetches from it. Webhooks go the other way.
    pub(crate) fn calls_gitlab(self) -> bool {
        matches!(self, Self::Planner | Self::Feedback | Self::Runner)
    }
}

impl Fault {
    /// What it is counted as.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Kill { .. } => "kills",
            Self::KillAt { .. } => "kills at points",
            Self::Freeze { .. } => "freezes",
            Self::Restart { .. } => "restarts",
            Self::DatabaseCrash { .. } => "crashes of the database",
            Self::BrokerKill { .. } | Self::BrokerStop { .. } => "crashes of the broker",
            Self::QueueDeleted { .. } => "deleted queues",
            Self::BlackHole { .. } => "black holes",
            Self::Reset { .. } => "resets",
            Self::DiskFull { .. } => "full disks",
            Self::LostAnswers { .. } => "lost answers",
        }
    }
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
        let way = |part: &usize, link: &Link| match link {
            Link::Door => "GitLab and everybody who takes webhooks".to_owned(),
            link => format!("{} and {link:?}", name(part)),
        };
        match self {
            Self::Kill { part, down } => write!(f, "kill {}, {down} s", name(part)),
            Self::KillAt { part, point } => write!(f, "kill {} at {point}", name(part)),
            Self::Freeze { part, time } => write!(f, "freeze {} for {time} s", name(part)),
            Self::Restart { part } => write!(f, "restart {}", name(part)),
            Self::DatabaseCrash { down } => write!(f, "crash the database, {down} s"),
            Self::BrokerKill { down } => write!(f, "kill the broker, {down} s"),
            Self::BrokerStop { down } => write!(f, "stop the broker's app, {down} s"),
            Self::QueueDeleted { queue } => write!(f, "delete queue {queue}"),
            Self::BlackHole { part, link, time } => {
                write!(f, "black hole between {}, {time} s", way(part, link))
            }
            Self::Reset { part, link } => write!(f, "reset between {}", way(part, link)),
            Self::DiskFull { part, time } => {
                write!(f, "fill the disk of {}, {time} s", name(part))
            }
            Self::LostAnswers { route, times } => write!(f, "{times} lost answers to {route:?}"),
        }
    }
}
