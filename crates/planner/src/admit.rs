//! The first status, from the log alone: a project whose last plan found a config gets its
//! aggregate status before GitLab is asked anything.

use aldis_bus::Topic;
use aldis_domain::config::read;
use aldis_domain::event::resource::LaneAdmitted;
use aldis_domain::fold::Fold;
use aldis_domain::id::{ChangeKey, ProjectKey, Sha};
use aldis_domain::statuses::Statuses;
use aldis_domain::stream;
use aldis_domain::touch::NORMAL;
use aldis_domain::trigger::{MergeRequestAction, Trigger};
use aldis_store::{Claimed, Meta, Unit, WorkTouch, transact};

use crate::glance::{Glance, events};
use crate::plan::DEFAULT_STATUS;
use crate::project::KnownProject;
use crate::{PlanError, Planner};

/// What a delivery announces: a commit that will probably be planned.
pub(crate) struct Announced {
    pub(crate) change: ChangeKey,
    pub(crate) project: ProjectKey,
    pub(crate) sha: Sha,
    pub(crate) lane: String,
}

/// The commit a trigger is about, if a status may be posted on its word. A fork's may not: where
/// its statuses go takes looking.
pub(crate) fn announced(trigger: &Trigger) -> Option<Announced> {
    let change = trigger.change()?;
    match trigger {
        Trigger::Push(push) | Trigger::Tag(push) => Some(Announced {
            change,
            project: push.project,
            sha: push.after.clone()?,
            lane: stream::short_name(&push.name).to_owned(),
        }),
        Trigger::MergeRequest(mr) => {
            let asks = !matches!(
                mr.action,
                MergeRequestAction::Closed
                    | MergeRequestAction::Merged
                    | MergeRequestAction::Edited
                    | MergeRequestAction::Labeled
            );
            let own = mr.source_project == Some(mr.project.id);
            let sha = mr.head.clone().filter(|_| asks && own)?;
            Some(Announced { change, project: mr.project, sha, lane: mr.source_branch.clone() })
        }
        _ => None,
    }
}

impl Planner {
    /// The aggregate's name, if the project has a config: by the log, on first contact by one read.
    async fn promised(
        &self,
        announced: &Announced,
        glance: &Glance,
    ) -> Result<Option<String>, PlanError> {
        let project = glance.load(&self.store, &stream::project(announced.project)).await?;
        if let Some(known) = KnownProject::of(&events(&project)).0 {
            return Ok(known.aggregate.filter(|_| known.configured));
        }
        let file = match self.config_file(announced.project, announced.sha.as_str()).await {
            Ok(file) => file,
            // Whether the project can be read at all is told when it is planned.
            Err(PlanError::GitLab(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(match file.map(|file| read(&file)) {
            None => None,
            Some(Ok((config, _))) => config.status.aggregate,
            Some(Err(_)) => Some(DEFAULT_STATUS.to_owned()),
        })
    }

    /// Lets the aggregate status be posted at once, if the project is known to have a config. The
    /// claimed delivery becomes a new item, which is due to be planned: its lease ends with that.
    pub(crate) async fn admit(
        &self,
        trigger: &Trigger,
        claimed: &Claimed,
        meta: Meta,
        glance: &Glance,
    ) -> Result<(), PlanError> {
        let promise = match announced(trigger) {
            Some(announced) => {
                self.promised(&announced, glance).await?.map(|name| (announced, name))
            }
            None => None,
        };
        let Some((announced, aggregate)) = promise else {
            return transact!(self.store, meta, unit => {
                to_plan(unit, claimed);
                Ok(())
            });
        };
        let name = stream::statuses(announced.project, &announced.sha);
        let mut is_new = glance.is_new(&name);
        let admitted = transact!(self.store, meta, unit => {
            to_plan(unit, claimed);
            // If somebody was faster, this is done again, with what they wrote.
            if std::mem::take(&mut is_new) {
                unit.expect_new(&name);
            } else {
                let statuses: Statuses = unit.fold(&name).await?;
                let lane = statuses.lanes.get(&announced.lane);
                // A commit that was dealt with before is no news: showing its lane again is for
                // the plan to say, which knows whether it is the head once more.
                if lane.is_some_and(|lane| lane.subscribers.contains_key(&announced.change)) {
                    return Ok(false);
                }
            }
            unit.append(
                &name,
                LaneAdmitted {
                    project: announced.project,
                    sha: announced.sha.clone(),
                    lane: announced.lane.clone(),
                    change: announced.change.clone(),
                    aggregate: aggregate.clone(),
                },
            );
            Ok::<_, PlanError>(true)
        })?;
        if admitted {
            self.bus.hint(Topic::Commit);
        }
        Ok(())
    }
}

fn to_plan(unit: &mut Unit, claimed: &Claimed) {
    unit.fence(claimed.fence());
    unit.finish(claimed.key.clone());
    unit.touch(WorkTouch::now(claimed.key.clone(), NORMAL));
}
