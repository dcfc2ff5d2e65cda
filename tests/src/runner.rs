//! A second runner, which the story plays by hand: it takes runs, ends them, or is not heard of any
//! more. Nothing is executed.

use std::time::Duration;

use aldis_bus::Bus;
use aldis_dispatch::{Dispatch, GitAccess};
use aldis_domain::report::{Outcome, Report};
use aldis_domain::touch::WorkKind;
use aldis_protocol::{Assignment, ClaimRequest, DispatchError, Dispatcher, Finish, Ticket};
use aldis_runner::{Remote, Server, Stop};
use aldis_store::{Fence, WorkKey, sha256};

use crate::story::Story;

/// Longer than any story.
const KEPT: Duration = Duration::from_mins(10);

impl Story {
    /// The bot's own runner ends what it runs and takes nothing more: what comes is for the second.
    pub async fn own_runner_stops(&self) {
        let runs = self.bot.runs();
        runs.send_replace(Stop::Drain);
        // A slot that has looked already may still take a run; only when all are gone none does.
        runs.closed().await;
    }

    /// The second runner takes the next run, as soon as there is one, and keeps it for long: it
    /// sends no heartbeats.
    pub async fn take_run(&self) -> Assignment {
        let taken = self.until_some("there is a run to take", async || self.claim().await).await;
        self.lease_lasts(&taken.ticket, KEPT).await;
        taken
    }

    /// The second runner looks for a run and there is none. What it finds lost is ended by that.
    pub async fn no_run_is_left(&self) {
        let run = self.claim().await.map(|assignment| assignment.ticket.run);
        assert_eq!(run, None, "there is a run to take");
    }

    /// The second runner tells how a run ended.
    pub async fn end_run(&self, ticket: &Ticket, outcome: Outcome) -> Result<(), DispatchError> {
        let finish = Finish { ticket: ticket.clone(), outcome, report: Report::default() };
        self.queue().finish(finish).await
    }

    /// The second runner has not been heard of for as long as the lease on the run lasts.
    pub async fn runner_vanishes(&self, ticket: &Ticket) {
        self.lease_lasts(ticket, Duration::ZERO).await;
    }

    /// The lease on a run that some runner holds ends so much later than now.
    pub async fn lease_lasts(&self, ticket: &Ticket, time: Duration) {
        let key = WorkKey::new(WorkKind::Run, ticket.run.as_str());
        let fence = Fence { key, epoch: ticket.epoch };
        let is_held = self.bot.store.extend(&fence, time).await.expect("the lease");
        assert!(is_held, "the runner holds the run");
    }

    /// The way that a runner on another machine has to the bot.
    pub async fn runner_elsewhere(&self, name: &str, pools: &[&str]) -> Remote {
        let token = format!("token of {name}");
        let pools: Vec<String> = pools.iter().map(|pool| (*pool).to_owned()).collect();
        let added = self.bot.store.add_runner(name, &sha256(token.as_bytes()), &pools).await;
        assert!(added.expect("the store takes it"), "there is a runner {name}");
        let url = self.bot.base_url.parse().expect("the bot's URL");
        let server = Server { url, token: token.into(), ca_file: None };
        Remote::new(&server).expect("an HTTP client")
    }

    async fn claim(&self) -> Option<Assignment> {
        let request =
            ClaimRequest { runner: "second".to_owned(), id: "only".to_owned(), again: false };
        self.queue().claim(request).await.expect("the run queue answers")
    }

    /// The run queue over the bot's store.
    fn queue(&self) -> Dispatch {
        let git = GitAccess {
            gitlab: self.sim.url().to_owned(),
            user: "oauth2".to_owned(),
            token: "nothing is cloned".into(),
            only_reads: true,
            ca_file: None,
            verify_tls: true,
        };
        Dispatch::new(self.bot.store.clone(), Bus::in_process(), git, self.bot.base_url.clone())
    }
}
