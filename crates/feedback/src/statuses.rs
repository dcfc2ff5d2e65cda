//! The statuses of one commit: one writer at a time, in the order that the barrier asks for.

use std::collections::BTreeMap;
use std::slice;
use std::time::Duration;

use aldis_domain::event::Event;
use aldis_domain::event::resource::{
    PipelineSeen, PipelinesSeen, RefusalClass, StatusOutcome, StatusState, StatusWrite,
    StatusesIntended, StatusesSettled,
};
use aldis_domain::fold::Fold as _;
use aldis_domain::id::ChangeKey;
use aldis_domain::statuses::{Next, Statuses, Visible, compare, next, settle};
use aldis_gitlab::{Error, PipelineQuery, StatusPost, StatusQuery};
use aldis_store::{Claimed, Release};

use crate::failure::{Failure, failure};
use crate::view::{Commit, View};
use crate::{Feedback, FeedbackError, may_send, since_boot};

/// Steps after which somebody else gets a turn.
const MOST_STEPS: usize = 12;

impl Feedback {
    /// `known`: the item's commit, if it was just read.
    pub(crate) async fn statuses(
        &self,
        claimed: &Claimed,
        mut known: Option<View>,
    ) -> Result<Release, FeedbackError> {
        let Some(commit) = Commit::of(claimed) else { return Ok(Release::Done) };
        let mut written = false;
        for _ in 0..MOST_STEPS {
            let has_written = std::mem::take(&mut written);
            if known.is_none() {
                known = self.views(slice::from_ref(claimed)).await?.remove(&claimed.key);
            }
            let Some(mut view) = known.take() else { return Ok(Release::Done) };
            let mut knowledge = view.knowledge;
            let mut step = next(&view.statuses, &view.runs, knowledge);
            if has_written && !matches!(step, Next::Rest { .. }) {
                if claimed.more {
                    // Other commits may not have any status yet.
                    return Ok(Release::Later(Duration::ZERO));
                }
                continue;
            }
            // Told together with what follows from it.
            let mut seen = None;
            if let Next::ReadPipelines = step {
                let pipelines = Event::from(self.read_pipelines(&commit).await?);
                view.statuses.apply(&pipelines);
                knowledge.pipelines_read = true;
                step = next(&view.statuses, &view.runs, knowledge);
                seen = Some(pipelines);
            }
            match step {
                Next::Write(writes) => {
                    self.write(&commit, &mut view, seen, writes).await?;
                    (known, written) = (Some(view), true);
                }
                Next::Resolve => self.resolve(&commit, &view.statuses).await?,
                Next::Compare => {
                    let compared = compare(&view.statuses, &self.visible(&commit).await?);
                    let events = seen.into_iter().chain([compared.into()]);
                    self.tell_all(claimed, &commit.stream, events).await?;
                }
                Next::ReadPipelines => self.tell_all(claimed, &commit.stream, seen).await?,
                Next::Rest { look_again } => {
                    self.tell_all(claimed, &commit.stream, seen).await?;
                    let later = |seconds| Release::Later(Duration::from_secs(seconds));
                    return Ok(look_again.map_or(Release::Done, later));
                }
            }
        }
        Ok(Release::Later(Duration::ZERO))
    }

    /// Writes the lines, and lets the view be as it is after that.
    async fn write(
        &self,
        commit: &Commit<'_>,
        view: &mut View,
        seen: Option<Event>,
        writes: Vec<StatusWrite>,
    ) -> Result<(), FeedbackError> {
        let intended_at = since_boot();
        let intended = StatusesIntended { writes: writes.clone(), epoch: commit.claimed.epoch };
        let intended = Event::from(intended);
        let told = seen.into_iter().chain([intended.clone()]);
        self.tell_all(commit.claimed, &commit.stream, told).await?;
        view.statuses.apply(&intended);
        let View { statuses, capabilities, .. } = view;
        let mut outcomes: Vec<StatusOutcome> = Vec::with_capacity(writes.len());
        let mut put_off = None;
        for write in &writes {
            if !may_send(intended_at) {
                put_off = Some(FeedbackError::HeldUp);
            }
            if put_off.is_some() {
                outcomes.push(StatusOutcome::NotDone);
                continue;
            }
            if let Some(message) = capabilities.refuses(&write.lane) {
                let class = RefusalClass::Forbidden;
                outcomes.push(StatusOutcome::Refused { class, message });
                continue;
            }
            match self.post(commit, statuses, write).await {
                Ok(outcome) => outcomes.push(outcome),
                Err(Failure::NotDone(error)) => {
                    outcomes.push(StatusOutcome::NotDone);
                    put_off = Some(error.into());
                }
                // What GitLab shows tells of this write and of those before it.
                Err(Failure::InDoubt(error)) => return Err(error.into()),
                Err(Failure::Differs(_)) => outcomes.push(self.after_refusal(commit, write).await?),
                Err(Failure::Refused(class, message)) => {
                    if class == RefusalClass::Forbidden {
                        self.forbid(commit.project, &write.lane, &message).await?;
                        capabilities.forbid(&write.lane, &message);
                    }
                    outcomes.push(StatusOutcome::Refused { class, message });
                }
            }
        }
        let tell = listeners(statuses, &writes, &outcomes);
        let is_shown = outcomes.iter().any(|o| matches!(o, StatusOutcome::Confirmed { .. }));
        let settled = Event::from(StatusesSettled { outcomes, tell, read: false });
        self.tell(commit.claimed, &commit.stream, settled.clone()).await?;
        view.statuses.apply(&settled);
        let first_status = &mut view.knowledge.first_status_age;
        *first_status = first_status.or(is_shown.then_some(0));
        put_off.map_or(Ok(()), Err)
    }

    async fn post(
        &self,
        commit: &Commit<'_>,
        statuses: &Statuses,
        write: &StatusWrite,
    ) -> Result<StatusOutcome, Failure> {
        let url = self.target_url(statuses, write);
        let post = StatusPost {
            state: to_gitlab(write.state),
            name: &write.name,
            // A pinned pipeline has a ref of its own; another one beside it is 404.
            ref_: if write.pipeline.is_none() { Some(&write.lane) } else { None },
            target_url: Some(&url),
            description: Some(&write.description),
            pipeline_id: write.pipeline,
            coverage: None,
        };
        let project = self.gitlab.project(commit.project.id);
        match project.statuses(commit.sha.as_str()).create(&post).await {
            Ok(status) => Ok(StatusOutcome::Confirmed {
                pipeline: status.pipeline_id.or(write.pipeline).unwrap_or_default(),
                job: status.id,
            }),
            Err(Error::NotFound(_)) if write.pipeline.is_some() => Ok(StatusOutcome::HomeGone),
            Err(error) => Err(failure(error)),
        }
    }

    /// A stack's line leads to its run, the aggregate to the change that was decided.
    fn target_url(&self, statuses: &Statuses, write: &StatusWrite) -> String {
        let base = &self.base_url;
        if let Some(run) = &write.run {
            return format!("{base}/runs/{run}");
        }
        let subscribers = statuses.lanes.get(&write.lane).map(|lane| &lane.subscribers);
        let mut changes: Vec<_> =
            subscribers.into_iter().flatten().map(|(change, _)| change).collect();
        changes.sort_by_key(|change| change.merge_request().is_none());
        match changes.first() {
            Some(change) => format!("{base}/changes/{}", change.to_string().replace('/', "%2F")),
            None => base.clone(),
        }
    }

    async fn resolve(&self, commit: &Commit<'_>, statuses: &Statuses) -> Result<(), FeedbackError> {
        let writes = statuses.in_doubt.as_deref().unwrap_or_default();
        let visible = self.visible(commit).await?;
        let settled = StatusesSettled {
            outcomes: settle(writes, &visible, &statuses.rows),
            tell: Vec::new(),
            read: true,
        };
        Ok(self.tell(commit.claimed, &commit.stream, settled).await?)
    }

    async fn after_refusal(
        &self,
        commit: &Commit<'_>,
        write: &StatusWrite,
    ) -> Result<StatusOutcome, FeedbackError> {
        let visible = self.visible(commit).await?;
        // GitLab has refused the write: what it shows counts, also if we knew it.
        let outcome = settle(std::slice::from_ref(write), &visible, &BTreeMap::new());
        let outcome = outcome.into_iter().next();
        Ok(outcome.unwrap_or(StatusOutcome::NotDone))
    }

    /// Our own lines of the commit as GitLab shows them now.
    async fn visible(&self, commit: &Commit<'_>) -> Result<Vec<Visible>, FeedbackError> {
        let project = self.gitlab.project(commit.project.id);
        let listed = project.statuses(commit.sha.as_str()).list(&StatusQuery::default()).await;
        let listed = match listed {
            Err(Error::NotFound(_)) => Vec::new(),
            other => other?,
        };
        let own =
            listed.into_iter().filter(|s| s.author.as_ref().is_some_and(|a| a.id == self.own_user));
        Ok(own
            .filter_map(|status| {
                Some(Visible {
                    job: status.id,
                    pipeline: status.pipeline_id?,
                    lane: status.ref_.unwrap_or_default(),
                    name: status.name,
                    state: from_gitlab(&status.status)?,
                    description: status.description.unwrap_or_default(),
                })
            })
            .collect())
    }

    async fn read_pipelines(&self, commit: &Commit<'_>) -> Result<PipelinesSeen, FeedbackError> {
        let query = PipelineQuery { sha: Some(commit.sha.as_str()), ref_: None };
        let listed = match self.gitlab.project(commit.project.id).pipelines(&query).await {
            Err(Error::NotFound(_) | Error::Forbidden { .. }) => Vec::new(),
            other => other?,
        };
        let pipelines = listed
            .into_iter()
            .map(|p| PipelineSeen { id: p.id, name: p.ref_, source: p.source.unwrap_or_default() })
            .collect();
        let (project, sha) = (commit.project, commit.sha.clone());
        Ok(PipelinesSeen { project, sha, read: true, pipelines })
    }
}

/// Merge requests that look at a lane where a line was refused.
fn listeners(
    statuses: &Statuses,
    writes: &[StatusWrite],
    outcomes: &[StatusOutcome],
) -> Vec<ChangeKey> {
    let refused =
        writes.iter().zip(outcomes).filter(|(_, o)| matches!(o, StatusOutcome::Refused { .. }));
    let lanes = refused.filter_map(|(write, _)| statuses.lanes.get(&write.lane));
    let mut changes: Vec<ChangeKey> = lanes
        .flat_map(|lane| lane.subscribers.keys())
        .filter(|change| change.merge_request().is_some())
        .cloned()
        .collect();
    changes.sort();
    changes.dedup();
    changes
}

fn to_gitlab(state: StatusState) -> aldis_gitlab::StatusState {
    use aldis_gitlab::StatusState as Theirs;
    match state {
        StatusState::Pending => Theirs::Pending,
        StatusState::Running => Theirs::Running,
        StatusState::Success => Theirs::Success,
        StatusState::Failed => Theirs::Failed,
        StatusState::Canceled => Theirs::Canceled,
        StatusState::Skipped => Theirs::Skipped,
    }
}

/// `None`: a state that no status of ours can have.
fn from_gitlab(state: &str) -> Option<StatusState> {
    Some(match state {
        "pending" | "created" | "waiting_for_resource" | "preparing" => StatusState::Pending,
        "running" => StatusState::Running,
        "success" => StatusState::Success,
        "failed" => StatusState::Failed,
        "canceled" => StatusState::Canceled,
        "skipped" => StatusState::Skipped,
        _ => return None,
    })
}
