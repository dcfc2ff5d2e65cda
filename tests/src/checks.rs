//! What must hold at the end of every story, whatever it told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use aldis_domain::event::Event;
use aldis_domain::id::{ChangeKey, ProjectKey};
use aldis_domain::stream;
use aldis_domain::touch::WorkKind;
use aldis_gitlab_sim::{Call, DeliveryId, ProjectId};
use aldis_store::{Append, Meta, WorkKey, WorkTouch};
use aldis_web::PROJECTIONS;

use crate::setup::{HOOK_SECRET, Hooks};
use crate::story::Story;

/// Largest page that a check asks for; no story has that many documents.
const ALL: usize = 10_000;

impl Story {
    /// Settles, checks what must always hold, and stops everything.
    pub async fn finish(self) {
        self.finish_leaving(&[]).await;
    }

    /// As [`Story::finish`], where GitLab does not let the bot end these lines.
    pub async fn finish_leaving(self, open: &[&str]) {
        self.settle().await;
        let left = self.unfinished().await;
        assert_eq!(left, open, "left unfinished:\n{}", self.timeline());
        self.at_most_one_comment();
        self.again_posts_nothing(1).await;
        self.log_and_documents_agree().await;
        self.stop().await;
    }

    /// As [`Story::finish`], and every delivery comes once more under a new key, in an order that
    /// follows from `seed`: all is planned again from what GitLab says now, and nothing follows.
    pub async fn finish_doubled(self, seed: u64) {
        assert_eq!(self.setup.hooks, Hooks::Token, "only token hooks can be doubled here");
        self.settle().await;
        let (writes, timeline, runs) = self.written().await;
        for id in shuffled(self.sim.deliveries().iter().map(|d| d.id).collect(), seed) {
            self.post_under_a_new_key(id, seed).await;
        }
        self.settle().await;
        let (again, timeline_again, runs_again) = self.written().await;
        assert_unchanged("deliveries under new keys made runs", &runs, &runs_again);
        assert_unchanged("deliveries under new keys changed something", &timeline, &timeline_again);
        assert_unchanged("deliveries under new keys led to writes", &writes, &again);
        self.finish().await;
    }

    async fn written(&self) -> (String, String, String) {
        let line = |call: Call| format!("{} {} {}", call.method, call.path, call.params);
        let writes: Vec<String> = self.sim.writes().into_iter().map(line).collect();
        (writes.join("\n"), self.timeline(), self.runs().await)
    }

    async fn post_under_a_new_key(&self, id: DeliveryId, seed: u64) {
        let deliveries = self.sim.deliveries();
        let delivery = deliveries.iter().find(|d| d.id == id).expect("a delivery of this number");
        let url = format!("{}/api/webhooks/gitlab", self.bot.base_url);
        let client = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        let answer = client
            .post(url)
            .header("content-type", "application/json")
            .header("x-gitlab-event", delivery.trigger.event())
            .header("x-gitlab-token", HOOK_SECRET)
            .header("idempotency-key", format!("again-{seed}-{}", delivery.key))
            .body(delivery.body.to_vec())
            .send()
            .await
            .expect("the bot answers");
        assert_eq!(answer.status().as_u16(), 200, "the bot takes the delivery");
    }

    /// Redelivers everything and makes the bot look at every object of its own once more.
    async fn again_posts_nothing(&self, seed: u64) {
        let before = self.written().await;
        let held: BTreeSet<DeliveryId> = self.sim.held_deliveries().iter().map(|d| d.id).collect();
        let sent = self.sim.deliveries().into_iter().filter(|d| !d.attempts.is_empty());
        let ids: Vec<DeliveryId> = sent.map(|d| d.id).filter(|id| !held.contains(id)).collect();
        for id in shuffled(ids, seed) {
            self.sim.redeliver(id).expect("a delivery of this number");
        }
        self.touch_everything().await;
        self.settle().await;
        let after = self.written().await;
        assert_unchanged("redelivery made runs", &before.2, &after.2);
        assert_unchanged("settling again changed something", &before.1, &after.1);
        assert_unchanged("settling again led to writes", &before.0, &after.0);
    }

    async fn touch_everything(&self) {
        let mut keys = BTreeSet::new();
        for (_, event) in self.log().await {
            keys.extend(match event {
                Event::LanePlanned(lane) => {
                    let key = stream::statuses_key(lane.project, &lane.sha);
                    Some(WorkKey::new(WorkKind::Statuses, key))
                }
                Event::LaneAdmitted(lane) => {
                    let key = stream::statuses_key(lane.project, &lane.sha);
                    Some(WorkKey::new(WorkKind::Statuses, key))
                }
                Event::RunRequested(run) if run.deploys.is_some() => {
                    Some(WorkKey::new(WorkKind::Deployment, run.run.as_str()))
                }
                _ => None,
            });
        }
        keys.extend(self.changes().await.iter().flat_map(|change| {
            let note =
                change.merge_request().map(|_| WorkKey::new(WorkKind::Note, change.to_string()));
            [Some(WorkKey::new(WorkKind::Plan, stream::change(change))), note].into_iter().flatten()
        }));
        let mut append = Append::new(Meta::from_source("story"));
        append.touches = keys.into_iter().map(|key| WorkTouch::now(key, 0)).collect();
        self.bot.store.append(append).await.expect("work can be touched");
    }

    async fn changes(&self) -> BTreeSet<ChangeKey> {
        let log = self.log().await;
        let names = log.iter().filter_map(|(stream, _)| stream.strip_prefix("change-"));
        names.map(|name| name.parse().expect("a change's stream")).collect()
    }

    /// The log is whole, and folding it anew gives the same documents.
    async fn log_and_documents_agree(&self) {
        let store = &self.bot.store;
        store.verify(|_| {}).await.expect("the log's chain is whole");
        let head = store.head().await.expect("the log's head").position;
        let mut documents = 0;
        for name in PROJECTIONS {
            self.until("the documents are up to date", async || {
                let checkpoint = store.checkpoint(name).await.expect("a checkpoint");
                checkpoint.map_or(0, |at| at.position) == head
            })
            .await;
            let live = self.documents(name).await;
            aldis_web::rebuild(store, name, |_| {}).await.expect("a rebuild");
            assert_eq!(self.documents(name).await, live, "{name} rebuilt is not what it was");
            documents += live.len();
        }
        assert!(documents > 0, "there are no documents: the check saw nothing");
    }

    async fn documents(&self, projection: &str) -> BTreeMap<String, String> {
        let mut scopes = BTreeSet::from(["all".to_owned()]);
        scopes.extend(self.changes().await.iter().map(|change| change.project().to_string()));
        let store = &self.bot.store;
        let kept = store.documents(projection, "", ALL).await.expect("the documents");
        let mut found: BTreeMap<_, _> = kept.into_iter().map(|d| (d.key, d.body)).collect();
        for scope in scopes {
            let listed = store.entries(projection, &scope, None, ALL).await.expect("a list");
            found.extend(
                listed.into_iter().map(|e| (format!("{scope} {} {}", e.sort_key, e.key), e.body)),
            );
        }
        found
    }

    /// Lines of ours that are pending or running in any pipeline of any commit of the story,
    /// deployments that run, runs that have not ended.
    async fn unfinished(&self) -> Vec<String> {
        let mut commits: BTreeSet<(ProjectId, String)> = BTreeSet::new();
        let mut projects = BTreeSet::from([self.project]);
        for (_, event) in self.log().await {
            if let Event::LaneAdmitted(aldis_domain::event::resource::LaneAdmitted {
                project,
                sha,
                ..
            })
            | Event::LanePlanned(aldis_domain::event::resource::LanePlanned {
                project,
                sha,
                ..
            }) = event
            {
                // A project that was deleted shows nothing any more.
                if self.sim.project_path(in_simulator(project)).is_err() {
                    continue;
                }
                projects.insert(in_simulator(project));
                commits.insert((in_simulator(project), sha.as_str().to_owned()));
            }
        }
        let mut open = Vec::new();
        for (project, sha) in commits {
            for pipeline in self.sim.pipeline_views(project, &sha) {
                let ours = |name: &str| name == "aldis" || name.starts_with("aldis/");
                let lines = pipeline.jobs.iter().filter(|job| ours(&job.name));
                let lines = lines.filter(|job| !job.state.is_final());
                open.extend(
                    lines.map(|job| format!("{} {}: {}", pipeline.git_ref, job.name, job.state)),
                );
            }
        }
        for project in projects {
            let Ok(page) = self.sim.environment_page(project) else { continue };
            for environment in page.environments {
                let running = environment.deployments.iter().filter(|d| d.status == "running");
                open.extend(
                    running.map(|d| format!("deployment to {}: {}", environment.name, d.status)),
                );
            }
        }
        let runs = self.runs().await;
        open.extend(runs.lines().filter(|line| line.ends_with(": open")).map(str::to_owned));
        open
    }

    /// Nobody ever saw two comments of the bot on one merge request.
    fn at_most_one_comment(&self) {
        let mut standing: BTreeMap<String, i32> = BTreeMap::new();
        for line in self.sim.timeline() {
            let Some((mr, what)) = line.split_once(" note by aldis: ") else { continue };
            let count = standing.entry(mr.to_owned()).or_default();
            *count += match what {
                "created" => 1,
                "deleted" => -1,
                _ => 0,
            };
            let allowed = 1 + self.own_comments.load(Ordering::Relaxed);
            assert!(*count <= allowed, "{mr} had {count} comments at once:\n{}", self.timeline());
        }
    }
}

/// Fails with the lines that came new.
fn assert_unchanged(what: &str, before: &str, after: &str) {
    let (old, new): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    assert!(
        before == after,
        "{what}; before\n{}\nand now\n{}",
        old[same..].join("\n"),
        new[same..].join("\n")
    );
}

fn in_simulator(project: ProjectKey) -> ProjectId {
    ProjectId(project.id)
}

/// The same seed gives the same order.
fn shuffled(mut left: Vec<DeliveryId>, seed: u64) -> Vec<DeliveryId> {
    let mut drawn = Vec::with_capacity(left.len());
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    while !left.is_empty() {
        // An xorshift step; zero is its only fixed point, and an odd number never gets there.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let at = usize::try_from(state % left.len() as u64).unwrap_or(0);
        drawn.push(left.swap_remove(at));
    }
    drawn
}
