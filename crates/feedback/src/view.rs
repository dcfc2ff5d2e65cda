//! Commits as the log tells them. Those that are claimed together are read together: in a burst a read
//! for each would cost more than what is written.

use std::collections::{BTreeSet, HashMap, HashSet};

use aldis_domain::event::Event;
use aldis_domain::event::resource::StatusOutcome;
use aldis_domain::id::{ProjectKey, RunId, Sha};
use aldis_domain::statuses::{Knowledge, Runs, Statuses};
use aldis_domain::stream;
use aldis_domain::touch::WorkKind;
use aldis_store::{Claimed, Envelope, StoreError, WorkKey};

use crate::capability::Capabilities;
use crate::{Feedback, age, age_of, fold};

/// The commit a work item is about, and the lease on it.
pub(crate) struct Commit<'a> {
    pub(crate) claimed: &'a Claimed,
    pub(crate) stream: String,
    pub(crate) project: ProjectKey,
    pub(crate) sha: Sha,
}

impl<'a> Commit<'a> {
    /// `None`: the item is not about a commit's statuses.
    pub(crate) fn of(claimed: &'a Claimed) -> Option<Self> {
        let key = Some(&claimed.key).filter(|key| key.kind == WorkKind::Statuses)?;
        let (project, sha) = stream::parse_statuses_key(&key.key)?;
        Some(Self { claimed, stream: stream::statuses(project, &sha), project, sha })
    }
}

/// A commit as it was when it was read, and after what was written since: enough to see that nothing is
/// left to do. What others told of it meanwhile makes its work item due again.
pub(crate) struct View {
    pub(crate) statuses: Statuses,
    pub(crate) runs: Runs,
    pub(crate) knowledge: Knowledge,
    pub(crate) capabilities: Capabilities,
}

impl Feedback {
    /// The commits of work items, by item. Items that are about none are left out.
    pub(crate) async fn views(
        &self,
        claimed: &[Claimed],
    ) -> Result<HashMap<WorkKey, View>, StoreError> {
        let commits: Vec<Commit<'_>> = claimed.iter().filter_map(Commit::of).collect();
        let capabilities = |commit: &Commit<'_>| stream::capabilities(commit.project);
        let names = commits.iter().flat_map(|commit| [commit.stream.clone(), capabilities(commit)]);
        let names: HashSet<String> = names.collect();
        let streams = self.store.load_many(&Vec::from_iter(names)).await?;
        let events = |name: &str| streams.get(name).map(Vec::as_slice).unwrap_or_default();
        let statuses = commits.iter().map(|commit| fold(events(&commit.stream)));
        let statuses: Vec<Statuses> = statuses.collect();
        let ids: BTreeSet<RunId> = statuses.iter().flat_map(Statuses::runs).collect();
        let runs = self.load_runs(ids).await?;
        let views = commits.iter().zip(statuses).map(|(commit, statuses)| {
            let view = View {
                runs: of_those(&runs, statuses.runs()),
                statuses,
                knowledge: knowledge(events(&commit.stream)),
                capabilities: Capabilities::of(events(&capabilities(commit))),
            };
            (commit.claimed.key.clone(), view)
        });
        Ok(views.collect())
    }
}

fn of_those(runs: &Runs, ids: BTreeSet<RunId>) -> Runs {
    let runs = ids.into_iter().map(|id| (runs.get(&id).cloned(), id));
    runs.filter_map(|(run, id)| Some((id, run?))).collect()
}

fn knowledge(envelopes: &[Envelope]) -> Knowledge {
    let read = |event: &Event| matches!(event, Event::StatusesSettled(settled) if settled.read);
    Knowledge {
        first_status_age: first_status_age(envelopes),
        doubt_age: age_of(envelopes, read).map(|age| age.as_secs()),
        ..Knowledge::default()
    }
}

fn first_status_age(envelopes: &[Envelope]) -> Option<u64> {
    let confirmed = |event: &Event| match event {
        Event::StatusesSettled(settled) => {
            settled.outcomes.iter().any(|o| matches!(o, StatusOutcome::Confirmed { .. }))
        }
        _ => false,
    };
    let first = envelopes.iter().find(|e| e.event().is_ok_and(|event| confirmed(&event)))?;
    Some(age(first).as_secs())
}
