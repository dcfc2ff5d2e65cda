//! Numbers by which tests and the demo name things in the simulator.
//! They are the same numbers that the API shows as `id` (or `iid`).

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// A person or bot.
    UserId
);
number!(
    /// A project; stays the same when the project is renamed.
    ProjectId
);
number!(
    /// A pipeline, unique in the instance.
    PipelineId
);
number!(
    /// A hook registration.
    HookId
);
number!(
    /// A comment, unique in the instance.
    NoteId
);
number!(
    /// One event for one hook; a redelivery keeps it.
    DeliveryId
);

/// A merge request by its target project and its number there. Displays as `!7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MergeRequestRef {
    /// The target project.
    pub project: ProjectId,
    /// The number that people see.
    pub iid: u64,
}

impl fmt::Display for MergeRequestRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "!{}", self.iid)
    }
}
