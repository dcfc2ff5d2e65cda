//! The run's stream, as what its events add up to.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use aldis_domain::event::Event;
use aldis_domain::event::run::RunRequested;
use aldis_domain::fold::Fold;
use aldis_domain::report::Outcome;
use aldis_domain::run::{Run, RunCommand, decide};
use serde_json::json;

use super::Kind;

/// A run, to be compared and hashed by what changes in this model.
#[derive(Clone)]
pub struct Log(Arc<Run>);

/// Released, attempts, epoch, running, canceled, finished.
type Essence = (bool, u32, Option<u64>, bool, bool, Option<(Outcome, Option<u64>)>);

impl Log {
    /// A run that somebody wants and nobody has begun.
    pub(super) fn requested(kind: Kind) -> Self {
        let deploys = json!({"environment": {"name": "production"}, "branch": "main"});
        let request: RunRequested = serde_json::from_value(json!({
            "run": "0".repeat(26), "project": "1.42", "sha": "a".repeat(40), "stack": "web",
            "definition": {
                "dir": ".", "steps": [], "on": {}, "paths": [], "paths_ignore": [], "env": {},
                "timeout": 60, "needs": [], "reports": {"junit": [], "terraform_plan": []},
                "concurrency": {"cancel_superseded": true}, "network": "default"
            },
            "trust": "member", "round": 0, "git_ref": "refs/heads/main",
            "audience": {"change": "ref-1.42-refs/heads/main", "posting_project": "1.42"},
            "deploys": (kind == Kind::Tracked).then_some(deploys),
            "needs": {}, "needed": false, "why": "",
        }))
        .expect("this is a request");
        Self(Arc::new(Run::of(&[request.into()])))
    }

    pub(super) fn run(&self) -> &Run {
        &self.0
    }

    pub(super) fn append(&mut self, events: &[Event]) {
        let run = Arc::make_mut(&mut self.0);
        for event in events {
            run.apply(event);
        }
    }

    /// Decides and appends what follows.
    pub(super) fn decide(&mut self, command: RunCommand) {
        if let Ok(events) = decide(&self.0, command) {
            self.append(&events);
        }
    }

    fn essence(&self) -> Essence {
        // What is passed over here stays as it is, or follows from the rest.
        let Run {
            request: _,
            audience: _,
            released,
            attempts,
            epoch,
            runner: _,
            running,
            cancel,
            finished,
            needed: _,
        } = &*self.0;
        let finished = finished.as_ref().map(|finished| (finished.outcome, finished.epoch));
        (*released, *attempts, *epoch, *running, cancel.is_some(), finished)
    }
}

impl PartialEq for Log {
    fn eq(&self, other: &Self) -> bool {
        self.essence() == other.essence()
    }
}

impl Eq for Log {}

impl Hash for Log {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.essence().hash(state);
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.essence().fmt(f)
    }
}
