//! Taking the next run: the lease first, then the attempt, fenced by the lease.

use aldis_domain::report::{Outcome, Report};
use aldis_domain::run::{Phase, Rejection, Run, RunCommand, decide};
use aldis_domain::stream;
use aldis_domain::touch::WorkKind;
use aldis_protocol::{Assignment, ClaimRequest, Finish, Ticket};
use aldis_store::{Claimed, Meta, Release, StoreError, transact};

use crate::{Dispatch, LEASE, Trouble, lease};

/// The end of an attempt that cannot be handed to a runner.
fn unfit(run: &Run, epoch: u64) -> Result<Finish, Trouble> {
    let request = run.request.as_ref().ok_or(Rejection::Absent)?;
    let trouble = Some("the log does not say where the project's commits are".to_owned());
    Ok(Finish {
        ticket: Ticket { run: request.run.clone(), epoch },
        outcome: Outcome::Broken,
        report: Report { trouble, ..Report::default() },
    })
}

/// What became of a claimed row.
enum Taken {
    Started(Box<Run>),
    /// Nothing to execute any more.
    Over,
}

impl Dispatch {
    /// The next due run with a new attempt; rows whose run is over are cleared away on the way.
    pub(crate) async fn next_assignment(
        &self,
        request: &ClaimRequest,
    ) -> Result<Option<Assignment>, Trouble> {
        let ClaimRequest { runner, id, again } = request;
        let owner = format!("{runner} {id}");
        let mut asked_before =
            if *again { self.store.held(WorkKind::Run, &owner).await? } else { None };
        loop {
            let is_held = asked_before.is_some();
            let claimed = match asked_before.take() {
                Some(held) => Some(held),
                None => self.store.claim(WorkKind::Run, &owner, LEASE, 1).await?.pop(),
            };
            let Some(claimed) = claimed else { return Ok(None) };
            match self.start(&claimed, runner, is_held).await {
                Ok(Taken::Started(run)) => match self.assignment(&run, claimed.epoch).await? {
                    Some(assignment) => return Ok(Some(assignment)),
                    None => self.end(&unfit(&run, claimed.epoch)?).await?,
                },
                Ok(Taken::Over) => self.store.release(&claimed, Release::Done).await?,
                Err(Trouble::Store(StoreError::FencedOff)) => {}
                Err(trouble) => return Err(trouble),
            }
        }
    }

    /// Begins an attempt. One that was under way is lost by that: its lease has run out, or the
    /// process that held it is gone; the latter does not count. `is_held`: the lease was given
    /// before, to whoever asks again.
    async fn start(
        &self,
        claimed: &Claimed,
        runner: &str,
        is_held: bool,
    ) -> Result<Taken, Trouble> {
        let Ok(id) = claimed.key.key.parse() else { return Ok(Taken::Over) };
        let name = stream::run(&id);
        transact!(self.store, Meta::from_source("dispatch"), unit => {
            let mut run: Run = unit.fold(&name).await?;
            unit.fence(claimed.fence());
            // Whoever asks again counts its lease from now. A tracked run's is long before its attempt
            // begins: between the two a short one could run out.
            if (run.tracked() || is_held)
                && !self.store.extend(&claimed.fence(), lease(run.tracked())).await?
            {
                return Err(StoreError::FencedOff.into());
            }
            if run.running && run.epoch == Some(claimed.epoch) {
                return Ok(Taken::Started(Box::new(run)));
            }
            if let (true, Some(epoch)) = (run.running, run.epoch) {
                // What a lease replaced is told only the first time.
                let counts = is_held || claimed.took_over.is_some();
                for event in decide(&run, RunCommand::Lose { epoch, counts })? {
                    aldis_domain::fold::Fold::apply(&mut run, &event);
                    unit.append(&name, event);
                }
            }
            if matches!(run.phase(), Phase::Finished(_)) {
                unit.finish(claimed.key.clone());
                return Ok(Taken::Over);
            }
            let start = RunCommand::Start { epoch: claimed.epoch, runner: runner.to_owned() };
            let events = match decide(&run, start) {
                Ok(events) => events,
                Err(Rejection::Absent | Rejection::Over) => return Ok(Taken::Over),
                Err(stale) => return Err(stale.into()),
            };
            for event in events {
                aldis_domain::fold::Fold::apply(&mut run, &event);
                unit.append(&name, event);
            }
            Ok(Taken::Started(Box::new(run)))
        })
    }
}
