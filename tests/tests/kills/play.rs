//! What people do, act by act; the bot may die at any moment of it.

use std::time::{Duration, SystemTime};

use aldis_gitlab_sim::{Call, Commented, MergeRequestRef, NewMergeRequest};

use crate::world::World;

/// A story to be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Play {
    /// A failing merge request, its fix, a command, and the merge, which deploys.
    Merge,
    /// Two merge requests of one branch; their run goes on and on until a new head comes.
    Supersede,
}

const BRANCH: &str = "faster";
/// Longest wait for one moment of a story.
const PATIENCE: Duration = Duration::from_mins(1);

impl World {
    /// Plays the whole story, each act to its end.
    pub(crate) async fn play(&mut self, play: Play) {
        match play {
            Play::Merge => {
                self.strangers().await;
                for act in [Self::open, Self::fix, Self::test_again, Self::merge] {
                    let begun = SystemTime::now();
                    act(self);
                    self.lose_parts().await;
                    self.settle().await;
                    let took = self.last_written().duration_since(begun);
                    self.took.push(took.expect("every act is answered"));
                }
            }
            Play::Supersede => {
                self.open_twice();
                self.until_running("slow").await;
                self.fix();
                self.settle().await;
            }
        }
    }

    /// When the bot last wrote to GitLab.
    fn last_written(&self) -> SystemTime {
        let written = self.sim.calls().into_iter().filter(Call::is_write);
        written.map(|call| call.at.into()).max().unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Kills those parts whose turn it is, as soon as GitLab hears of what was done.
    async fn lose_parts(&mut self) {
        let Some(losing) = self.losing.pop_front() else { return };
        self.until_gitlab_hears().await;
        for part in losing {
            self.parts[part].1.kill().await;
        }
    }

    /// Waits for the next call.
    pub(crate) async fn until_gitlab_hears(&self) {
        let calls = self.sim.calls().len();
        let heard = async {
            while self.sim.calls().len() == calls {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let heard = tokio::time::timeout(PATIENCE, heard).await;
        assert!(heard.is_ok(), "{}", self.describe("GitLab hears nothing"));
    }

    /// Somebody without the secret is turned away; GitLab sends what nobody can read.
    pub(crate) async fn strangers(&mut self) {
        self.post("wrong", "{}").await;
        while !self.post(&self.hook_token, "{").await {
            self.revive().await;
        }
    }

    /// True: the bot has taken it.
    async fn post(&self, token: &str, body: &'static str) -> bool {
        let client = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        let request = client
            .post(self.site.webhook_url())
            .header("content-type", "application/json")
            .header("x-gitlab-event", "Push Hook")
            .header("x-gitlab-token", token)
            .header("idempotency-key", "unreadable")
            .body(body);
        request.send().await.is_ok_and(|answer| answer.status().is_success())
    }

    pub(crate) fn open(&mut self) {
        self.push("slip", BRANCH, "false\n");
        self.sim.by(self.developer).propose(self.project, BRANCH, "Faster").expect("a proposal");
    }

    pub(crate) fn fix(&mut self) {
        self.push("fix", BRANCH, "echo fine\n");
    }

    pub(crate) fn test_again(&mut self) {
        let said = self.sim.by(self.developer).comment(self.merge_request(), "/test app");
        assert!(matches!(said, Ok(Commented::Note(_))), "GitLab takes it for a comment");
    }

    pub(crate) fn merge(&mut self) {
        let merged = self.sim.by(self.developer).merge(self.merge_request());
        self.name_commit("merge", merged.expect("it can be merged"));
    }

    fn open_twice(&mut self) {
        let developer = self.sim.by(self.developer);
        developer.push(self.project, "release", "main").expect("a branch");
        self.push("slow", BRANCH, &format!("{}\n", self.long_sleep()));
        let developer = self.sim.by(self.developer);
        developer.propose(self.project, BRANCH, "Faster").expect("a proposal");
        let second = NewMergeRequest {
            source_project: self.project,
            source_branch: BRANCH.to_owned(),
            project: self.project,
            target_branch: "release".to_owned(),
            title: "Faster release".to_owned(),
        };
        developer.open_merge_request(second).expect("a proposal");
    }

    /// A command that takes longer than any test, and that no other test runs.
    pub(crate) fn long_sleep(&self) -> String {
        format!("sleep 600.{}", self.site.base_url().rsplit(':').next().unwrap_or_default())
    }

    /// Waits until the commit's test is shown as running, and its deliveries are planned.
    pub(crate) async fn until_running(&mut self, name: &str) {
        let sha = self.commits[name].clone();
        let shown = async {
            loop {
                self.revive().await;
                self.send_again();
                let pipelines = self.sim.pipeline_views(self.project, &sha);
                let jobs = pipelines.iter().flat_map(|p| &p.jobs);
                let runs = jobs
                    .into_iter()
                    .any(|j| j.name == "aldis/app" && j.state.to_string() == "running");
                if runs && self.all_planned().await {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let shown = tokio::time::timeout(PATIENCE, shown).await;
        assert!(shown.is_ok(), "{}", self.describe("no run begins"));
    }

    pub(crate) fn push(&mut self, name: &str, branch: &str, test: &str) {
        let files = [("test.sh", Some(test))];
        let pushed =
            self.sim.by(self.developer).commit_and_push(self.project, branch, &files, name);
        self.name_commit(name, pushed.expect("a push"));
    }

    pub(crate) fn merge_request(&self) -> MergeRequestRef {
        MergeRequestRef { project: self.project, iid: 1 }
    }
}
