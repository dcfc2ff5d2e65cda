//! One delivery: what it means, what is planned because of it, and the record of that.

use std::time::Duration;

use aldis_domain::change::{Change, asks_to_skip};
use aldis_domain::event::delivery::{
    DeliveryDecided, DeliveryPlan, DeliveryReceived, DeliveryVerdict,
};
use aldis_domain::event::resource::PipelinesSeen;
use aldis_domain::event::{EndReason, Event};
use aldis_domain::fold::Fold;
use aldis_domain::id::{ChangeKey, Sha};
use aldis_domain::planning::{self, Asked, Ledger};
use aldis_domain::statuses::Statuses;
use aldis_domain::stream;
use aldis_domain::trigger::{
    MergeRequestAction, MergeRequestTrigger, PipelineTrigger, Push, Trigger,
};
use aldis_gitlab::{MergeRequestQuery, MergeRequestState};
use aldis_store::{Claimed, Envelope, Meta, Release, StoreError, transact};

use crate::admit::announced;
use crate::glance::{Glance, events};
use crate::plan::{Known, Source};
use crate::{PlanError, Planner};

/// How soon a merge request is looked at again whose head GitLab has not filled in yet.
const PREPARING: Duration = Duration::from_secs(1);

/// How often a delivery is decided anew at once when somebody else was faster.
const OUTRUN: usize = 3;

/// A delivery as its stream tells it.
#[derive(Default)]
struct Delivery {
    received: Option<DeliveryReceived>,
    decided: bool,
}

impl Fold for Delivery {
    fn apply(&mut self, event: &Event) {
        match event {
            Event::DeliveryReceived(received) => self.received = Some(received.clone()),
            Event::DeliveryDecided(_) => self.decided = true,
            _ => {}
        }
    }
}

/// What a delivery came to.
type Decided = (DeliveryVerdict, Vec<DeliveryPlan>);

/// Why a delivery asks for no work.
pub(crate) fn ignored(reason: impl Into<String>) -> Decided {
    (DeliveryVerdict::Ignored { reason: reason.into() }, Vec::new())
}

/// The delivery of a stream, unless it is decided already.
pub(crate) fn undecided(envelopes: &[Envelope]) -> Option<(DeliveryReceived, Meta)> {
    let delivery = Delivery::of(&events(envelopes));
    let meta = envelopes.first().map(|first| Meta::caused_by("planner", first));
    delivery.received.zip(meta).filter(|_| !delivery.decided)
}

impl Planner {
    /// Announces the commit, and puts the delivery behind those that are not announced yet.
    /// Returns how its lease is to end, unless that has happened.
    pub(crate) async fn announce_delivery(
        &self,
        claimed: &Claimed,
        glance: &Glance,
    ) -> Result<Option<Release>, PlanError> {
        let name = stream::planned(&claimed.key.key);
        let envelopes = glance.load(&self.store, name).await?;
        let Some((received, meta)) = undecided(&envelopes) else { return Ok(Some(Release::Done)) };
        self.admit(&received.trigger, claimed, meta, glance).await?;
        Ok(None)
    }

    /// Plans the delivery. Returns how its lease is to end, unless that has happened.
    pub(crate) async fn plan_delivery(
        &self,
        claimed: &Claimed,
    ) -> Result<Option<Release>, PlanError> {
        let name = stream::planned(&claimed.key.key);
        let envelopes = self.store.load(name).await?;
        let Some((received, meta)) = undecided(&envelopes) else { return Ok(Some(Release::Done)) };
        let tries = claimed.attempts;
        let delivery = Some(name.to_owned());
        let source = Source { meta: meta.clone(), delivery, command: None, tries };
        let (verdict, plans) = match self.decide_afresh(&received.trigger, &source).await {
            Ok(decided) => decided,
            Err(PlanError::GitLab(
                error @ (aldis_gitlab::Error::NotFound(_) | aldis_gitlab::Error::Forbidden { .. }),
            )) => {
                self.retract(&received.trigger, None, &meta).await?;
                let project = received.trigger.project();
                (DeliveryVerdict::Unreadable { project, reason: error.to_string() }, Vec::new())
            }
            Err(error) => return Err(error),
        };
        self.record(name, meta, claimed, DeliveryDecided { verdict, plans }).await?;
        Ok(None)
    }

    /// Nobody else decides it while the lease stands, and the lease ends with that.
    async fn record(
        &self,
        name: &str,
        meta: Meta,
        claimed: &Claimed,
        decided: DeliveryDecided,
    ) -> Result<(), PlanError> {
        transact!(self.store, meta, unit => {
            unit.fence(claimed.fence());
            unit.finish(claimed.key.clone());
            unit.append(name, decided.clone());
            Ok(())
        })
    }

    /// Decides anew, by what GitLab says then, if somebody else was faster.
    async fn decide_afresh(
        &self,
        trigger: &Trigger,
        source: &Source,
    ) -> Result<Decided, PlanError> {
        for _ in 0..OUTRUN {
            match self.decide(trigger, source).await {
                Err(PlanError::Outrun) => {}
                decided => return decided,
            }
        }
        self.decide(trigger, source).await
    }

    async fn decide(&self, trigger: &Trigger, source: &Source) -> Result<Decided, PlanError> {
        match trigger {
            Trigger::Push(push) => self.decide_push(push, source).await,
            Trigger::Tag(push) => self.decide_tag(push, source).await,
            Trigger::MergeRequest(mr) => self.decide_merge_request(mr, source).await,
            Trigger::Note(note) => self.decide_note(note, source).await,
            Trigger::Pipeline(pipeline) => self.decide_pipeline(pipeline, source).await,
            Trigger::Other { event } => Ok(ignored(format!("nothing is done for {event}"))),
        }
    }

    /// A branch moved. Its head as it is now is planned, and every open merge request from it.
    async fn decide_push(&self, push: &Push, source: &Source) -> Result<Decided, PlanError> {
        let change = ChangeKey::Ref { project: push.project, name: push.name.clone() };
        let branch = aldis_domain::stream::short_name(&push.name);
        let (project, known) = tokio::join!(self.project(push.project), self.known(change));
        let (project, known) = (project?, known?);
        let api = self.gitlab.project(push.project.id);
        let query = MergeRequestQuery {
            source_branch: Some(branch),
            state: Some(MergeRequestState::Opened),
            source_project: None,
        };
        let (commit, opened, ()) =
            tokio::join!(api.branch(branch), api.merge_requests(&query), self.look_ahead(push));
        let commit = commit?.map(|branch| branch.commit);
        let Some(head) = commit.as_ref().and_then(|commit| commit.id.parse::<Sha>().ok()) else {
            self.end_change(&known, EndReason::Deleted, source).await?;
            self.retract(&Trigger::Push(push.clone()), None, &source.meta).await?;
            return Ok((DeliveryVerdict::Ended, Vec::new()));
        };
        let before = if push.after.as_ref() == Some(&head) { push.before.clone() } else { None };
        let message = commit.map(|commit| commit.message).unwrap_or_default();
        let skip = push.skip_ci || asks_to_skip(&message);
        let asked = Asked::Push { before };
        // Merge requests first: what the branch alone would say must not end the aggregate that
        // they are about to wait for.
        let mut plans = Vec::new();
        for mr in opened? {
            if mr.source_project_id == Some(push.project.id) {
                let change = ChangeKey::MergeRequest { project: push.project, iid: mr.iid };
                plans.extend(self.plan_merge_request(&change, Asked::HeadMoved, source).await?);
            }
        }
        plans.push(self.plan_ref(&known, &project, &head, asked, skip, source).await?);
        self.retract(&Trigger::Push(push.clone()), Some(&head), &source.meta).await?;
        Ok((DeliveryVerdict::Planned, plans))
    }

    /// Reads what the plan will ask for if the branch still is where the push says.
    async fn look_ahead(&self, push: &Push) {
        if let Some(sha) = &push.after {
            // Whoever needs the file is told why it cannot be read.
            let _ = self.config_file(push.project, sha.as_str()).await;
        }
    }

    async fn decide_tag(&self, push: &Push, source: &Source) -> Result<Decided, PlanError> {
        let change = ChangeKey::Ref { project: push.project, name: push.name.clone() };
        let known = self.known(change).await?;
        let Some(told) = push.after.clone() else {
            self.end_change(&known, EndReason::Deleted, source).await?;
            return Ok((DeliveryVerdict::Ended, Vec::new()));
        };
        let project = self.project(push.project).await?;
        let commit =
            crate::error::found(self.gitlab.project(push.project.id).commit(&push.name).await)?;
        let message = commit.as_ref().map(|commit| commit.message.clone()).unwrap_or_default();
        let Some(head) = commit.and_then(|c| c.id.parse::<Sha>().ok()) else {
            self.end_change(&known, EndReason::Deleted, source).await?;
            self.retract(&Trigger::Tag(push.clone()), None, &source.meta).await?;
            return Ok((DeliveryVerdict::Ended, Vec::new()));
        };
        let skip = asks_to_skip(&message);
        let plan = self.plan_ref(&known, &project, &head, Asked::Tag, skip, source).await?;
        if head != told {
            self.retract(&Trigger::Tag(push.clone()), Some(&head), &source.meta).await?;
        }
        Ok((DeliveryVerdict::Planned, vec![plan]))
    }

    async fn decide_merge_request(
        &self,
        mr: &MergeRequestTrigger,
        source: &Source,
    ) -> Result<Decided, PlanError> {
        if matches!(mr.action, MergeRequestAction::Edited | MergeRequestAction::Labeled) {
            return Ok(ignored("the code, the target and the draft state are as before"));
        }
        let change = ChangeKey::MergeRequest { project: mr.project, iid: mr.iid };
        let asked = match mr.action {
            // Late news of an end, and it is open again: what counts is its head, not this action.
            MergeRequestAction::Closed | MergeRequestAction::Merged => Asked::HeadMoved,
            action => Asked::MergeRequest(action),
        };
        let plan = self.plan_merge_request(&change, asked, source).await?;
        let head = plan.as_ref().map(|plan| plan.sha.clone());
        self.retract(&Trigger::MergeRequest(mr.clone()), head.as_ref(), &source.meta).await?;
        Ok(match plan {
            Some(plan) => (DeliveryVerdict::Planned, vec![plan]),
            None => (DeliveryVerdict::Ended, Vec::new()),
        })
    }

    /// Plans a merge request as GitLab describes it now; `None`: it is over, and was ended here.
    pub(crate) async fn plan_merge_request(
        &self,
        change: &ChangeKey,
        asked: Asked,
        source: &Source,
    ) -> Result<Option<DeliveryPlan>, PlanError> {
        let (key, Some(iid)) = (change.project(), change.merge_request()) else { return Ok(None) };
        let (project, known) = tokio::join!(self.project(key), self.known(change.clone()));
        let (project, known) = (project?, known?);
        let answer = self.gitlab.project(key.id).merge_request(iid).get().await;
        let Some(mr) = crate::error::found(answer)? else {
            self.end_change(&known, EndReason::Deleted, source).await?;
            return Ok(None);
        };
        if mr.state != MergeRequestState::Opened.as_str() {
            let merged = mr.state == MergeRequestState::Merged.as_str();
            let reason = if merged { EndReason::Merged } else { EndReason::Closed };
            self.end_change(&known, reason, source).await?;
            return Ok(None);
        }
        let Some(head) = mr.sha.as_deref().and_then(|sha| sha.parse::<Sha>().ok()) else {
            return Err(PlanError::NotReady(PREPARING));
        };
        let plan = self.plan_opened(&known, &project, &mr, &head, asked, source).await?;
        Ok(Some(plan))
    }

    async fn end_change(
        &self,
        known: &Known,
        reason: EndReason,
        source: &Source,
    ) -> Result<(), PlanError> {
        let end = |ledger: &mut Ledger| planning::end_change(ledger, &known.key, &reason);
        self.decide_with(&source.meta, &[], Some(known), end).await
    }

    /// A commit that was promised a status and is not the head after all: its lane ends.
    pub(crate) async fn retract(
        &self,
        trigger: &Trigger,
        head: Option<&Sha>,
        meta: &Meta,
    ) -> Result<(), PlanError> {
        let Some(announced) = announced(trigger).filter(|a| head != Some(&a.sha)) else {
            return Ok(());
        };
        let reason = head.map_or(EndReason::Stale, |by| EndReason::Superseded { by: by.clone() });
        self.decide_by(meta, |ledger| {
            planning::end_lane(
                ledger,
                announced.project,
                &announced.sha,
                &announced.change,
                &reason,
            )
        })
        .await
    }

    /// GitLab made or moved a pipeline: the statuses of its commit look for their home again.
    async fn decide_pipeline(
        &self,
        seen: &PipelineTrigger,
        source: &Source,
    ) -> Result<Decided, PlanError> {
        if seen.source == "external" {
            return Ok(ignored("the pipeline is made of commit statuses"));
        }
        if let Some(plan) = self.plan_for_pipeline(seen, source).await? {
            return Ok((DeliveryVerdict::Planned, vec![plan]));
        }
        let name = stream::statuses(seen.project, &seen.sha);
        let ours = transact!(self.store, source.meta.clone(), unit => {
            let statuses: Statuses = unit.fold(&name).await?;
            let known = statuses.lanes.values().any(|lane| {
                lane.home == Some(seen.pipeline) || lane.former.contains(&seen.pipeline)
            });
            let ours = !statuses.lanes.is_empty() && !known;
            if ours && !statuses.pipelines_stale {
                let (project, sha) = (seen.project, seen.sha.clone());
                let news = PipelinesSeen { project, sha, read: false, pipelines: Vec::new() };
                unit.append(&name, news);
            }
            Ok::<_, StoreError>(ours)
        })?;
        if ours {
            Ok((DeliveryVerdict::Noted, Vec::new()))
        } else {
            Ok(ignored("no status of ours looks for another home"))
        }
    }

    /// A merge request from a fork may find a place for its statuses only now.
    async fn plan_for_pipeline(
        &self,
        seen: &PipelineTrigger,
        source: &Source,
    ) -> Result<Option<DeliveryPlan>, PlanError> {
        let Some(iid) = seen.merge_request else { return Ok(None) };
        let key = ChangeKey::MergeRequest { project: seen.project, iid };
        let homeless =
            self.change(&key).await?.plan_for(&seen.sha).is_some_and(|p| p.lane.is_empty());
        if !homeless {
            return Ok(None);
        }
        let asked = Asked::MergeRequest(MergeRequestAction::Updated);
        self.plan_merge_request(&key, asked, source).await
    }

    /// The change as the log knows it.
    pub(crate) async fn change(&self, key: &ChangeKey) -> Result<Change, StoreError> {
        self.store.fold(&stream::change(key)).await
    }
}
