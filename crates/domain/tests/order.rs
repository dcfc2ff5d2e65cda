//! Deliveries of one merge request in any order, doubled, or lost and sent again: what GitLab
//! should show in the end is the same.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::collections::BTreeMap;

use aldis_domain::change::{Change, ConfigFound};
use aldis_domain::config::read;
use aldis_domain::event::change::{ConfigBasis, MergeRequestFacts, Trust};
use aldis_domain::event::resource::LaneAdmitted;
use aldis_domain::event::{EndReason, Event};
use aldis_domain::fold::Fold;
use aldis_domain::id::{ChangeKey, ProjectKey, RunId, Sha};
use aldis_domain::note::{Links, Shown, body};
use aldis_domain::planning::{Asked, Facts, Ledger, Undecided, Wish, end_change, end_lane, plan};
use aldis_domain::report::{Outcome, Report};
use aldis_domain::run::{Phase, RunCommand, decide};
use aldis_domain::statuses::{Runs, Statuses, lines};
use aldis_domain::stream;
use aldis_domain::trigger::MergeRequestAction;
use proptest::prelude::*;

const FILE: &str = "
version: 1
stacks:
  api: { steps: [{ run: make test }] }
  web: { needs: [api], steps: [{ run: make web }] }
  docs: { on: { merge_request: { actions: [opened] } }, steps: [{ run: make docs }] }
";

/// What a webhook told: an action, and the head at that time.
#[derive(Debug, Clone, PartialEq)]
struct Delivery {
    action: MergeRequestAction,
    sha: Sha,
}

/// The log, and GitLab's truth about the merge request.
struct World {
    log: BTreeMap<String, Vec<Event>>,
    head: Sha,
    open: bool,
}

fn project() -> ProjectKey {
    ProjectKey::new(1, 42)
}

fn key() -> ChangeKey {
    ChangeKey::MergeRequest { project: project(), iid: 7 }
}

fn sha(number: usize) -> Sha {
    char::from_digit(u32::try_from(number).unwrap() + 1, 16)
        .unwrap()
        .to_string()
        .repeat(40)
        .parse()
        .unwrap()
}

/// Good enough to tell keys apart.
fn digest(bytes: &[u8]) -> [u8; 32] {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    let mut digest = [0; 32];
    for round in 0..4_u8 {
        for byte in bytes.iter().chain([&round]) {
            state = (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        digest[usize::from(round) * 8..][..8].copy_from_slice(&state.to_be_bytes());
    }
    digest
}

impl World {
    fn new(head: Sha, open: bool) -> Self {
        Self { log: BTreeMap::new(), head, open }
    }

    fn fold<S: Fold>(&self, name: &str) -> S {
        S::of(self.log.get(name).into_iter().flatten())
    }

    fn drive<T>(&mut self, decide: impl Fn(&mut Ledger) -> Result<T, Undecided>) -> T {
        let mut ledger = Ledger::default();
        loop {
            match decide(&mut ledger) {
                Ok(value) => {
                    for (name, event) in ledger.into_events() {
                        self.log.entry(name).or_default().push(event);
                    }
                    return value;
                }
                Err(Undecided::Missing(name)) => {
                    let events = self.log.get(&name).cloned().unwrap_or_default();
                    ledger.load(name, events);
                }
                Err(rejected) => panic!("{rejected}"),
            }
        }
    }

    /// As the planner does: admit on the payload's word, then plan what GitLab says now.
    fn deliver(&mut self, delivery: &Delivery) {
        if delivery.action != MergeRequestAction::Closed {
            self.admit(&delivery.sha);
        }
        if self.open {
            let facts = self.facts();
            let asked = Asked::MergeRequest(delivery.action);
            let status = match &facts.config {
                ConfigFound::Valid(config) => config.status.clone(),
                _ => unreachable!("the file above is valid"),
            };
            let key = key();
            let wish = Wish {
                key: &key,
                facts: &facts,
                asked: &asked,
                command: None,
                delivery: None,
                status: &status,
                sha256: digest,
            };
            self.drive(|ledger| plan(ledger, &wish));
        } else {
            self.drive(|ledger| end_change(ledger, &key(), &EndReason::Closed));
        }
        if !self.open || delivery.sha != self.head {
            let reason = EndReason::Superseded { by: self.head.clone() };
            self.drive(|ledger| end_lane(ledger, project(), &delivery.sha, &key(), &reason));
        }
    }

    fn admit(&mut self, sha: &Sha) {
        let name = stream::statuses(project(), sha);
        let statuses: Statuses = self.fold(&name);
        let lane = statuses.lanes.get("topic").and_then(|lane| lane.subscribers.get(&key()));
        if lane.is_none_or(|subscriber| subscriber.ended.is_some()) {
            let admitted = LaneAdmitted {
                project: project(),
                sha: sha.clone(),
                lane: "topic".into(),
                change: key(),
                aggregate: "aldis".into(),
            };
            self.log.entry(name).or_default().push(admitted.into());
        }
    }

    fn facts(&self) -> Facts {
        Facts {
            head: self.head.clone(),
            merge_request: Some(MergeRequestFacts {
                source_project: Some(42),
                source_branch: "topic".into(),
                target_branch: "main".into(),
                draft: false,
                author: 3,
            }),
            trust: Trust::Member,
            access_level: 30,
            config: ConfigFound::Valid(Box::new(read(FILE.as_bytes()).unwrap().0)),
            basis: ConfigBasis { at: None, digest: None },
            changed: Some(vec!["src/main.rs".into()]),
            skip: false,
            posting_project: project(),
            lane: "topic".into(),
            git_ref: "refs/merge-requests/7/head".into(),
            default_branch: "main".into(),
        }
    }

    /// Executes every queued run to its end, and releases what waited.
    fn work_off(&mut self) {
        for epoch in 1..20 {
            let queued = self.runs().into_iter().find(|(_, run)| run.phase() == Phase::Queued);
            let Some((id, run)) = queued else { break };
            let finish =
                RunCommand::Finish { epoch, outcome: Outcome::Passed, report: Report::default() };
            let mut state = run;
            for command in [RunCommand::Start { epoch, runner: "slot".into() }, finish] {
                for event in decide(&state, command).unwrap() {
                    state.apply(&event);
                    self.log.entry(stream::run(&id)).or_default().push(event);
                }
            }
            self.drive(|ledger| aldis_domain::planning::look_at_needs(ledger, &key()));
        }
    }

    fn runs(&self) -> Runs {
        let ids =
            self.log.keys().filter_map(|name| name.strip_prefix("run-")?.parse::<RunId>().ok());
        ids.map(|id| (id.clone(), self.fold(&stream::run(&id)))).collect()
    }

    /// What GitLab should show: the lines of the head, the note, and whatever is left unfinished.
    fn desired(&self) -> String {
        let runs = self.runs();
        let mut told = Vec::new();
        let mut unfinished = Vec::new();
        for (name, _) in self.log.iter().filter(|(name, _)| name.starts_with("statuses-")) {
            let statuses: Statuses = self.fold(name);
            for line in statuses.lanes.values().flat_map(|lane| lines(lane, &runs, true)) {
                let text = format!("{} {:?} {}", line.name, line.state, line.description);
                if !line.state.terminal() {
                    unfinished.push(format!("{name}: {text}"));
                }
                if self.open && name.ends_with(self.head.as_str()) {
                    told.push(text);
                }
            }
        }
        let change: Change = self.fold(&stream::change(&key()));
        let statuses = self.fold(&stream::statuses(project(), &self.head));
        let shown = Shown { runs: &runs, statuses: &statuses };
        let note = body(&key(), &change, shown, false, Links { base: "http://bot" });
        let note = note.filter(|_| self.open).unwrap_or_default();
        format!("{}\nunfinished: {unfinished:?}\n{note}", told.join("\n"))
    }
}

fn settled(head: &Sha, open: bool, deliveries: &[Delivery]) -> String {
    let mut world = World::new(head.clone(), open);
    for delivery in deliveries {
        world.deliver(delivery);
    }
    world.work_off();
    world.desired()
}

#[test]
fn the_undisturbed_story() {
    let deliveries = [
        Delivery { action: MergeRequestAction::Opened, sha: sha(0) },
        Delivery { action: MergeRequestAction::Updated, sha: sha(1) },
    ];
    let told = settled(&sha(1), true, &deliveries);
    insta::assert_snapshot!(told.split("\n|").next().unwrap_or_default(), @r"
    aldis/api Success passed in 0 ms
    aldis/docs Success passed in 0 ms
    aldis/web Success passed in 0 ms
    aldis Success 3 stacks passed
    unfinished: []
    <!-- aldis:note mr-1.42-7 -->
    ### ✓ 3 stacks passed
    ");
}

proptest! {
    #[test]
    fn order_doubling_and_loss_change_nothing(
        pushes in 0..4_usize,
        closed_and_reopened in any::<bool>(),
        open in any::<bool>(),
        order in Just((0..16_usize).collect::<Vec<_>>()).prop_shuffle(),
        doubled in prop::collection::vec(any::<bool>(), 16),
        work_between in prop::collection::vec(any::<bool>(), 32),
    ) {
        let mut history = vec![Delivery { action: MergeRequestAction::Opened, sha: sha(0) }];
        history.extend((1..=pushes).map(|n| Delivery { action: MergeRequestAction::Updated, sha: sha(n) }));
        if closed_and_reopened {
            history.push(Delivery { action: MergeRequestAction::Closed, sha: sha(pushes) });
            history.push(Delivery { action: MergeRequestAction::Reopened, sha: sha(pushes) });
        }
        if !open {
            history.push(Delivery { action: MergeRequestAction::Closed, sha: sha(pushes) });
        }
        let head = sha(pushes);
        let undisturbed = settled(&head, open, &history);
        let mut world = World::new(head, open);
        let shuffled = order.iter().filter_map(|place| history.get(*place));
        let again = shuffled.clone().zip(&doubled).filter(|(_, twice)| **twice).map(|(d, _)| d);
        for (delivery, work) in shuffled.clone().chain(again).zip(&work_between) {
            world.deliver(delivery);
            if *work {
                world.work_off();
            }
        }
        world.work_off();
        prop_assert_eq!(world.desired(), undisturbed);
    }
}
