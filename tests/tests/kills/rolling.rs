//! Every process of the bot is restarted politely in turn, as for an update, while people go on.
//!
//! A balancer stands before the two who take webhooks, as GitLab sends nothing twice. Never here: a
//! kill, or a delivery that is sent again.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use aldis_domain::event::Event;
use aldis_domain::report::Outcome;
use aldis_gitlab_sim::{Attempt, Commented, JobState, MergeRequestRef};

use crate::crew::{Crew, Hand, RUNNERS, SERVERS, TAKERS, in_hand};
use crate::half::{HalfSent, Knocking, taken_while_it_leaves, until_unreachable};
use crate::world::{BOT, World};

const ROUNDS: usize = SERVERS.len() + RUNNERS.len();
/// In this round there is a deployment, which the runner that is restarted has in hand.
const DEPLOYS: usize = SERVERS.len();
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Longest wait for one moment of the story.
const PATIENCE: Duration = Duration::from_mins(1);
/// For a process to end by itself: a run of [`LONG`], what it tells of it, and a slow machine.
const ENDS_WITHIN: Duration = Duration::from_secs(30);
/// Of a test that goes on while a server is restarted, in seconds.
const SHORT: u64 = 3;
/// Of what a runner has in hand when it must stop.
const LONG: u64 = 8;

#[tokio::test(flavor = "multi_thread")]
async fn restarted_politely_in_turn_nothing_is_lost_and_no_run_begins_twice() {
    let expected = undisturbed().await;
    let mut crew = Crew::gather().await;
    crew.world.configure(LONG);
    let mut runners = BTreeSet::from(RUNNERS);
    let (mut last, mut in_hand) = (None, Vec::new());
    for round in 0..ROUNDS {
        crew.world.until_passed(last).await;
        let (place, hand) = crew.busy(round, &mut runners).await;
        in_hand.push(hand);
        last = Some(crew.restart(place, round, last).await);
    }
    let mut world = crew.world;
    world.settle().await;

    world.nothing_lost_or_doubled().await;
    each_delivery_was_taken_when_it_was_sent(&world);
    what_was_half_sent_is_in_the_log(&world).await;
    each_run_was_begun_once_and_passed(&world, &in_hand).await;
    one_comment_on_each_merge_request(&world);
    let seen = world.seen();
    assert!(seen == expected, "{}", world.describe(&format!("a person should see\n{expected}")));
    world.stop().await;
}

/// What stands at the end when people do the same, and nothing is restarted.
async fn undisturbed() -> String {
    let mut world = World::build("nothing is restarted", &[]).await;
    world.configure(0);
    let mut last = None;
    for round in 0..ROUNDS {
        world.begin(round, [0, 0]);
        world.push_late(round);
        let late = world.propose(&late(round));
        world.until_passed(last).await;
        world.ask_again(last.replace(late));
    }
    world.settle().await;
    world.nothing_lost_or_doubled().await;
    let seen = world.seen();
    world.stop().await;
    seen
}

fn slow(round: usize) -> String {
    format!("slow-{round}")
}

fn late(round: usize) -> String {
    format!("late-{round}")
}

/// What people do.
impl World {
    /// Deployments take so many seconds.
    fn configure(&mut self, seconds: u64) {
        let deploy = format!("test -z $ALDIS_ENVIRONMENT || sleep {seconds}");
        let config = format!(
            "\
version: 1
stacks:
  app:
    steps:
      - {{ name: test, run: sh ./test.sh }}
  deploy:
    needs: [app]
    steps:
      - {{ name: deploy, run: '{deploy}' }}
    environment: {{ name: production, url: https://app.example.org, tier: production }}
"
        );
        let files = [(".aldis.yml", Some(config.as_str()))];
        let pushed =
            self.sim.by(self.developer).commit_and_push(self.project, "main", &files, "configure");
        self.name_commit("configure", pushed.expect("a push"));
    }

    /// What goes on while a process is restarted: a test that takes some seconds, and beside it,
    /// in the last rounds, a deployment or a second test.
    fn begin(&mut self, round: usize, seconds: [u64; 2]) {
        let test = |seconds: u64| format!("sleep {seconds}; echo {round}\n");
        let name = slow(round);
        self.push(&name, &name, &test(seconds[0]));
        self.propose(&name);
        if round == DEPLOYS {
            self.push("direct", "main", "echo direct\n");
        } else if round > DEPLOYS {
            self.push("slower", "slower", &test(seconds[1]));
            self.propose("slower");
        }
    }

    fn push_late(&mut self, round: usize) {
        let name = late(round);
        self.push(&name, &name, &format!("echo {name}\n"));
    }

    fn propose(&self, branch: &str) -> MergeRequestRef {
        let proposed = self.sim.by(self.developer).propose(self.project, branch, branch);
        proposed.expect("a proposal")
    }

    fn ask_again(&self, mr: Option<MergeRequestRef>) {
        let Some(mr) = mr else { return };
        let said = self.sim.by(self.developer).comment(mr, "/test app");
        assert!(matches!(said, Ok(Commented::Note(_))), "GitLab takes it for a comment");
    }

    /// Until this merge request has passed and people are told, so that it can be tested again.
    async fn until_passed(&self, mr: Option<MergeRequestRef>) {
        let Some(mr) = mr else { return };
        let passed = self.sim.wait_until(|sim| {
            let page = sim.merge_request_page(mr).expect("the merge request");
            let mut jobs = page.pipeline.iter().flat_map(|p| &p.jobs);
            let mut notes = page.notes.iter().filter(|note| note.author == BOT);
            jobs.any(|job| job.name == BOT && job.state == JobState::Success)
                && notes.any(|note| note.body.contains("2 stacks passed"))
        });
        let passed = tokio::time::timeout(PATIENCE, passed).await;
        assert!(passed.is_ok(), "{}", self.describe(&format!("!{} has not passed", mr.iid)));
    }
}

impl Crew {
    /// Begins what is to go on during the round, and tells whose turn it is and what goes on: of
    /// a runner what it has in hand itself.
    async fn busy(&mut self, round: usize, runners: &mut BTreeSet<&'static str>) -> (usize, Hand) {
        let seconds = if round < DEPLOYS { SHORT } else { LONG };
        self.world.begin(round, [seconds; 2]);
        let begun = Instant::now();
        loop {
            let log = self.world.log().await;
            let found = in_hand(&log).into_iter().find(|hand| {
                let sleeps = [slow(round), "slower".to_owned()].iter().any(|name| {
                    hand.stack == "app" && self.world.commits.get(name) == Some(&hand.sha)
                });
                match round.cmp(&DEPLOYS) {
                    Ordering::Less => sleeps,
                    Ordering::Equal => hand.tracked,
                    Ordering::Greater => sleeps && runners.contains(hand.runner.as_str()),
                }
            });
            if let Some(hand) = found {
                if round < DEPLOYS {
                    return (round, hand);
                }
                let place = RUNNERS.iter().position(|name| *name == hand.runner);
                runners.remove(hand.runner.as_str());
                return (SERVERS.len() + place.expect("a runner of ours"), hand);
            }
            assert!(begun.elapsed() < PATIENCE, "{}", self.world.describe("nothing is in hand"));
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Stops a process politely and starts it anew. Webhooks come before it knows, while it ends
    /// and while it is away.
    async fn restart(
        &mut self,
        place: usize,
        round: usize,
        last: Option<MergeRequestRef>,
    ) -> MergeRequestRef {
        if place < TAKERS {
            self.leave_the_balancer(place, round).await;
        } else {
            self.world.push_late(round);
            self.process(place).1.terminate();
        }
        let begun = Instant::now();
        let late = self.world.propose(&late(round));
        let status = self.process(place).1.end().await;
        let (took, name) = (begun.elapsed(), self.process(place).0.name());
        let problem = format!("{name} ends with {status} after {took:?}");
        assert!(status.success() && took <= ENDS_WITHIN, "{}", self.world.describe(&problem));
        self.world.ask_again(last);
        self.until_delivered().await;
        each_delivery_was_taken_when_it_was_sent(&self.world);
        let (site, process) = self.process(place);
        *process = site.start(None).await;
        site.told(&["healthy"]).await;
        late
    }

    /// Asks one to stop that takes webhooks, while ever more come. The balancer sends it nothing new
    /// once it has said that it stops, and what it has begun to read is taken.
    async fn leave_the_balancer(&mut self, place: usize, round: usize) {
        let knocking = Knocking::at(self.door.url());
        let (site, process) = self.process(place);
        let half = HalfSent::to(site, &format!("half-{round}")).await;
        process.terminate();
        let last = tokio::time::timeout(PATIENCE, taken_while_it_leaves(site)).await;
        assert_eq!(last.as_deref(), Ok("200 OK, close"), "{}", process.said());
        let gone = tokio::time::timeout(PATIENCE, until_unreachable(site)).await;
        assert!(gone.is_ok(), "{} listens on: {}", site.name(), process.said());
        assert_eq!(process.ended(), None, "it waits for what is on its way");
        self.world.push_late(round);
        let answer = half.end().await;
        assert_eq!(answer, "HTTP/1.1 200 OK", "{}", self.world.describe("half a delivery"));
        let (taken, lost) = knocking.end().await;
        assert!(taken > 0 && lost.is_empty(), "of {taken} and more: {lost:#?}");
    }

    async fn until_delivered(&self) {
        let idle = tokio::time::timeout(PATIENCE, self.world.sim.deliveries_idle()).await;
        assert!(idle.is_ok(), "{}", self.world.describe("deliveries do not come to an end"));
    }
}

/// Those that were sent: what is fired just now waits for its turn.
fn each_delivery_was_taken_when_it_was_sent(world: &World) {
    let taken = |attempts: &[Attempt]| attempts.len() <= 1 && attempts.iter().all(Attempt::ok);
    let deliveries = world.sim.deliveries();
    let lost: Vec<_> = deliveries.iter().filter(|d| !taken(&d.attempts)).collect();
    assert!(lost.is_empty(), "{}", world.describe(&format!("not taken: {lost:#?}")));
}

async fn what_was_half_sent_is_in_the_log(world: &World) {
    let kept = world.log().await.into_iter().filter_map(|(_, event)| match event {
        Event::DeliveryQuarantined(odd) => odd.key.filter(|key| key.starts_with("half-")),
        _ => None,
    });
    let right: Vec<_> = (0..TAKERS).map(|round| format!("half-{round}")).collect();
    assert_eq!(kept.collect::<Vec<_>>(), right, "{}", world.describe("half-sent deliveries"));
}

/// Nobody took up what another had begun, nor was anything handed back; what was `in_hand` before
/// a restart has passed all the same.
async fn each_run_was_begun_once_and_passed(world: &World, in_hand: &[Hand]) {
    let log = world.log().await;
    let mut attempts: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let mut passed = BTreeSet::new();
    for (stream, event) in &log {
        match event {
            Event::RunRequested(_) => drop(attempts.insert(stream, Vec::new())),
            Event::AttemptStarted(a) => attempts.entry(stream).or_default().push(a.epoch),
            Event::AttemptLost(lost) => {
                panic!("{}", world.describe(&format!("{stream} was begun again: {lost:?}")))
            }
            Event::RunFinished(ended) if ended.outcome == Outcome::Passed => {
                passed.insert((stream.as_str(), ended.epoch));
            }
            _ => {}
        }
    }
    let once = attempts.values().all(|epochs| epochs.len() == 1);
    assert!(once, "{}", world.describe(&format!("attempts of runs: {attempts:?}")));
    for hand in in_hand {
        let has_passed = passed.contains(&(hand.run.as_str(), Some(hand.epoch)));
        assert!(has_passed, "{}", world.describe(&format!("{hand:?} has not passed")));
    }
}

fn one_comment_on_each_merge_request(world: &World) {
    // One that goes on and a late one each round, and a slower one in the last.
    for iid in 1..=2 * ROUNDS as u64 + 1 {
        let mr = MergeRequestRef { project: world.project, iid };
        let page = world.sim.merge_request_page(mr).expect("the merge request");
        let notes = page.notes.iter().filter(|note| note.author == BOT).count();
        assert_eq!(notes, 1, "{}", world.describe(&format!("comments on !{iid}")));
    }
}
