//! A run queue in a directory of its own.

use std::time::Duration;

use aldis_bus::Bus;
use aldis_dispatch::{Dispatch, GitAccess};
use aldis_domain::event::change::ProjectObserved;
use aldis_domain::event::run::{Audience, RunRequested};
use aldis_domain::event::{EndReason, Event};
use aldis_domain::id::{ProjectKey, RunId};
use aldis_domain::report::{Outcome, Report};
use aldis_domain::run::{Run, RunCommand, decide};
use aldis_domain::stream;
use aldis_domain::touch::WorkKind;
use aldis_protocol::{Assignment, ClaimRequest, DispatchError, Dispatcher, Finish, Ticket};
use aldis_store::{Clock, Expected, Meta, NewEvent, Settings, Store, StoreError, transact};
use tempfile::TempDir;

pub(crate) struct Queue {
    pub(crate) store: Store,
    pub(crate) bus: Bus,
    pub(crate) dispatch: Dispatch,
    clock: Clock,
    dir: TempDir,
}

fn project() -> ProjectKey {
    ProjectKey::new(1, 42)
}

fn dispatch(store: &Store, bus: &Bus) -> Dispatch {
    let git = GitAccess {
        gitlab: "https://git.example/gitlab".to_owned(),
        user: "oauth2".to_owned(),
        token: "glpat-sesame".into(),
        only_reads: true,
        ca_file: None,
        verify_tls: true,
    };
    Dispatch::new(store.clone(), bus.clone(), git, "https://aldis.example".to_owned())
}

/// A run of its own for each number.
pub(crate) fn run(number: u8) -> RunId {
    RunId::from_digest(&[number; 32])
}

/// What a run of this number is asked to be.
pub(crate) fn request(number: u8, tracked: bool) -> RunRequested {
    let environment =
        serde_json::json!({"name": "prod", "url": null, "tier": null, "tracked_branch": null});
    let deploys = serde_json::json!({"environment": environment, "branch": "main"});
    let definition = serde_json::json!({
        "dir": ".", "steps": [], "on": {"push": null, "tag": null, "merge_request": null},
        "paths": [], "paths_ignore": [], "env": {}, "timeout": 60, "needs": [],
        "reports": {"junit": [], "terraform_plan": []}, "environment": null,
        "concurrency": {"cancel_superseded": true}, "executor": null, "network": "default"
    });
    let audience = Audience { change: "mr-1.42-7".parse().unwrap(), posting_project: project() };
    let text = serde_json::json!({
        "run": run(number), "project": project(), "sha": "a".repeat(40), "stack": "web",
        "definition": definition, "trust": "member", "round": 0, "git_ref": "refs/heads/fix",
        "audience": audience, "deploys": tracked.then_some(deploys), "needs": {},
        "needed": false, "why": "", "delivery": null,
    });
    serde_json::from_value(text).unwrap()
}

impl Queue {
    /// A queue that knows where the project is.
    pub(crate) async fn start() -> Self {
        let queue = Self::without_project().await;
        let observed = ProjectObserved {
            project: project(),
            path: "works/pump".to_owned(),
            default_branch: Some("main".to_owned()),
            configured: true,
            aggregate: Some("aldis".to_owned()),
        };
        queue.append(&stream::project(project()), observed).await;
        queue
    }

    pub(crate) async fn without_project() -> Self {
        let (dir, clock, bus) = (tempfile::tempdir().unwrap(), Clock::manual(), Bus::in_process());
        let settings = Settings { clock: clock.clone(), ..Settings::in_dir(dir.path()) };
        let store = Store::open(&settings).await.unwrap();
        let dispatch = dispatch(&store, &bus);
        Self { store, bus, dispatch, clock, dir }
    }

    /// The process ends and starts again.
    pub(crate) async fn restart(&mut self) {
        self.store.close().await;
        let settings = Settings { clock: self.clock.clone(), ..Settings::in_dir(self.dir.path()) };
        self.store = Store::open(&settings).await.unwrap();
        self.dispatch = dispatch(&self.store, &self.bus);
    }

    pub(crate) async fn append(&self, stream: &str, event: impl Into<Event>) {
        let append = aldis_store::Append::new(Meta::from_source("test"));
        let append = append.write(stream, Expected::Any, vec![NewEvent::new(event)]);
        let answer = self.store.append(append).await.unwrap();
        assert!(matches!(answer, aldis_store::Answer::Appended { .. }), "{answer:?}");
    }

    /// Asks for a run; a little later than what was asked for before.
    pub(crate) async fn ask(&self, request: RunRequested) {
        self.wait(Duration::from_millis(10));
        self.append(&stream::run(&request.run), request.clone()).await;
    }

    /// Ends the run as planner and commands do.
    pub(crate) async fn cancel(&self, number: u8) {
        let name = stream::run(&run(number));
        let done: Result<(), StoreError> = transact!(self.store, Meta::from_source("test"), unit => {
            let run: Run = unit.fold(&name).await?;
            let cancel = RunCommand::Cancel { reason: EndReason::Asked { by: 4 } };
            for event in decide(&run, cancel).unwrap() {
                unit.append(&name, event);
            }
            Ok(())
        });
        done.unwrap();
    }

    pub(crate) fn wait(&self, time: Duration) {
        self.clock.advance(time);
    }

    pub(crate) fn wait_seconds(&self, seconds: u64) {
        self.wait(Duration::from_secs(seconds));
    }

    pub(crate) async fn claim(&self) -> Option<Assignment> {
        self.ask_for("", false).await
    }

    /// Claims under an id of the test's own, perhaps not for the first time.
    pub(crate) async fn ask_for(&self, id: &str, again: bool) -> Option<Assignment> {
        let request = ClaimRequest { runner: "runner/1".to_owned(), id: id.to_owned(), again };
        self.dispatch.claim(request).await.unwrap()
    }

    /// The ticket of the next run, which there must be.
    pub(crate) async fn ticket(&self) -> Ticket {
        self.claim().await.unwrap().ticket
    }

    pub(crate) async fn finish(
        &self,
        ticket: &Ticket,
        outcome: Outcome,
    ) -> Result<(), DispatchError> {
        let finish = Finish { ticket: ticket.clone(), outcome, report: Report::default() };
        self.dispatch.finish(finish).await
    }

    /// What happened to a run, one word or two for each event.
    pub(crate) async fn story(&self, number: u8) -> String {
        let events = self.store.load(&stream::run(&run(number))).await.unwrap();
        let told = events.iter().map(|envelope| match envelope.event().unwrap() {
            Event::AttemptStarted(started) => format!("attempt {}", started.attempt),
            Event::AttemptLost(lost) if !lost.counts => "lost through no fault".to_owned(),
            Event::AttemptLost(_) => "lost".to_owned(),
            Event::RunFinished(finished) => format!("ended {:?}", finished.outcome).to_lowercase(),
            other => other.kind().to_owned(),
        });
        told.collect::<Vec<_>>().join(", ")
    }

    /// How many rows of runs there are: due, leased.
    pub(crate) async fn rows(&self) -> (u64, u64) {
        let backlog = self.store.backlog(WorkKind::Run).await.unwrap();
        assert_eq!(backlog.later, 0);
        (backlog.due, backlog.leased)
    }
}
