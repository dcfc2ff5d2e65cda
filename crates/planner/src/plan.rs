//! The plan of one head: facts from GitLab, decided by `aldis_domain::planning`, in one append.

use aldis_bus::Topic;
use aldis_domain::change::{Change, ConfigFound};
use aldis_domain::config::StatusConfig;
use aldis_domain::event::Event;
use aldis_domain::event::change::CommandHandled;
use aldis_domain::event::delivery::DeliveryPlan;
use aldis_domain::fold::Fold;
use aldis_domain::id::{ChangeKey, Sha};
use aldis_domain::planning::{self, Asked, Facts, Ledger, Undecided, Wish, told};
use aldis_domain::stream;
use aldis_gitlab::MergeRequest;
use aldis_store::{Meta, sha256, transact};

use crate::glance::events;
use crate::project::Project;
use crate::{PlanError, Planner};

/// Tries after which a merge request whose diff GitLab does not finish is planned as if everything
/// had changed.
const DIFF_TRIES: u32 = 12;

/// On whose behalf something is planned.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) meta: Meta,
    pub(crate) delivery: Option<String>,
    /// The comment command that is carried out.
    pub(crate) command: Option<CommandHandled>,
    /// Failed tries before this one.
    pub(crate) tries: u32,
}

/// A change as the log told of it before GitLab was asked. Whoever decides by what GitLab said must
/// find it so still: a planner that was held up would move the head back.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) key: ChangeKey,
    pub(crate) change: Change,
    events: usize,
}

impl Known {
    /// Whether somebody has told of it since.
    fn is_outrun(&self, stream: &str, events: &[Event]) -> bool {
        stream == stream::change(&self.key) && events.len() != self.events
    }
}

impl Planner {
    /// To be read before GitLab is asked.
    pub(crate) async fn known(&self, key: ChangeKey) -> Result<Known, PlanError> {
        let told = events(&self.store.load(&stream::change(&key)).await?);
        Ok(Known { change: Change::of(&told), events: told.len(), key })
    }

    pub(crate) async fn plan_ref(
        &self,
        known: &Known,
        project: &Project,
        head: &Sha,
        asked: Asked,
        skip: bool,
        source: &Source,
    ) -> Result<DeliveryPlan, PlanError> {
        let ChangeKey::Ref { name, .. } = &known.key else {
            return Err(PlanError::NotReady(std::time::Duration::ZERO));
        };
        let before = match &asked {
            Asked::Push { before } => before.clone(),
            _ => None,
        };
        let facts = self.ref_facts(project, name, head, before.as_ref(), skip).await?;
        self.commit_plan(known, project, &facts, &asked, source).await
    }

    pub(crate) async fn plan_opened(
        &self,
        known: &Known,
        project: &Project,
        mr: &MergeRequest,
        head: &Sha,
        asked: Asked,
        source: &Source,
    ) -> Result<DeliveryPlan, PlanError> {
        let known_plan = known.change.plan_for(head).filter(|_| matches!(asked, Asked::HeadMoved));
        if let Some(plan) = known_plan {
            return Ok(told(&known.key, plan, false));
        }
        let ready = mr.diff_refs.is_some();
        if !ready && source.tries < DIFF_TRIES {
            return Err(PlanError::NotReady(std::time::Duration::from_secs(1)));
        }
        let facts = self.merge_request_facts(project, mr, head, ready).await?;
        self.commit_plan(known, project, &facts, &asked, source).await
    }

    /// Lets `decide` look at whatever streams it asks for, and appends what follows, all or nothing.
    pub(crate) async fn decide_by<T>(
        &self,
        meta: &Meta,
        decide: impl Fn(&mut Ledger) -> Result<T, Undecided>,
    ) -> Result<T, PlanError> {
        self.decide_with(meta, &[], None, decide).await
    }

    /// The same, with the streams that it will probably ask for, and the change as it was when GitLab
    /// was asked about it.
    pub(crate) async fn decide_with<T>(
        &self,
        meta: &Meta,
        likely: &[String],
        known: Option<&Known>,
        decide: impl Fn(&mut Ledger) -> Result<T, Undecided>,
    ) -> Result<T, PlanError> {
        let mut ends_runs = false;
        let decided = transact!(self.store, meta.clone(), unit => {
            unit.read_ahead(likely).await?;
            let mut ledger = Ledger::default();
            loop {
                match decide(&mut ledger) {
                    Ok(value) => {
                        for (stream, event) in ledger.into_events() {
                            ends_runs |= matches!(event, Event::CancelRequested(_));
                            unit.append(&stream, event);
                        }
                        return Ok(value);
                    }
                    Err(Undecided::Missing(stream)) => {
                        let events = unit.events(&stream).await?;
                        if known.is_some_and(|known| known.is_outrun(&stream, &events)) {
                            return Err(PlanError::Outrun);
                        }
                        // What was looked at must still be so when the decision lands.
                        unit.guard(&stream);
                        ledger.load(stream, events);
                    }
                    Err(Undecided::Rejected(no)) => return Err(PlanError::Run(no)),
                }
            }
        });
        if ends_runs {
            self.bus.hint(Topic::Cancel);
        }
        decided
    }

    async fn commit_plan(
        &self,
        known: &Known,
        project: &Project,
        facts: &Facts,
        asked: &Asked,
        source: &Source,
    ) -> Result<DeliveryPlan, PlanError> {
        let status = match &facts.config {
            ConfigFound::Valid(config) => config.status.clone(),
            _ => self.known_status(project).await?,
        };
        let configured = !matches!(facts.config, ConfigFound::Missing);
        self.observe(project, configured, status.aggregate.clone()).await?;
        let delivery = source.delivery.as_deref();
        let command = source.command.as_ref();
        let key = &known.key;
        let wish = Wish { key, facts, asked, command, delivery, status: &status, sha256 };
        let statuses = stream::statuses(facts.posting_project, &facts.head);
        let likely = [stream::change(key), statuses];
        let plan = |ledger: &mut Ledger| planning::plan(ledger, &wish);
        self.decide_with(&source.meta, &likely, Some(known), plan).await
    }

    /// Where there is no valid config, the names of the last one.
    async fn known_status(&self, project: &Project) -> Result<StatusConfig, PlanError> {
        let known = self.known_project(project.key).await?.0;
        let aggregate = known.map_or(Some(DEFAULT_STATUS.to_owned()), |known| known.aggregate);
        Ok(StatusConfig { prefix: DEFAULT_STATUS.to_owned(), aggregate })
    }
}

/// Prefix and aggregate name without a config.
pub(crate) const DEFAULT_STATUS: &str = "aldis";
