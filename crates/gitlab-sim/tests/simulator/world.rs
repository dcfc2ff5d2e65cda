//! A running simulator with one project, one person, one bot, and a client.

use std::process::Command;
use std::time::Duration;

use aldis_gitlab_sim::{
    AccessLevel, MergeRequestRef, Options, Person, ProjectId, Scope, Simulator, UserId,
};
use serde_json::Value;

pub(crate) struct World {
    pub(crate) sim: Simulator,
    pub(crate) http: reqwest::Client,
    pub(crate) alice: UserId,
    pub(crate) bot: UserId,
    pub(crate) token: String,
    pub(crate) project: ProjectId,
    /// Tip of `main`, called A in texts.
    pub(crate) a: String,
}

/// Status and body; `None` when the connection closed without an answer.
pub(crate) type Answered = Option<(u16, Value)>;

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    pub(crate) async fn start_with(options: Options) -> Self {
        let sim = Simulator::start(options).await.unwrap();
        let alice = sim.create_user("alice");
        let bot = sim.create_bot("project_1_bot");
        let token = sim.create_token(bot, &[Scope::Api], None).unwrap();
        let project = sim.create_project("group/demo", alice).unwrap();
        sim.set_member(project, bot, AccessLevel::Developer).unwrap();
        let files = [("README.md", Some("hello\n")), ("src/old.txt", Some("1\n2\n3\n4\n"))];
        let a = sim.by(alice).commit_and_push(project, "main", &files, "Begin").unwrap();
        sim.name_sha(&a, "A");
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(20))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self { sim, http, alice, bot, token, project, a }
    }

    pub(crate) fn alice(&self) -> Person<'_> {
        self.sim.by(self.alice)
    }

    /// A branch `feature` with a commit called B, and its merge request.
    pub(crate) fn feature(&self) -> (MergeRequestRef, String) {
        let files = [("src/new.txt", Some("new\n"))];
        let b = self.alice().commit_and_push(self.project, "feature", &files, "Add new").unwrap();
        self.sim.name_sha(&b, "B");
        (self.alice().propose(self.project, "feature", "Add new").unwrap(), b)
    }

    /// Calls the API as the bot; `call` is `POST projects/1/…`.
    pub(crate) async fn api(&self, call: &str, body: Value) -> (u16, Value) {
        self.try_api(&self.token, call, body).await.expect("an answer")
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.api(&format!("GET {path}"), Value::Null).await
    }

    pub(crate) async fn try_api(&self, token: &str, call: &str, body: Value) -> Answered {
        let response = self.request(token, call, &body).send().await.ok()?;
        let status = response.status().as_u16();
        let text = response.text().await.ok()?;
        Some((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    pub(crate) fn request(&self, token: &str, call: &str, body: &Value) -> reqwest::RequestBuilder {
        let (method, path) = call.split_once(' ').unwrap();
        let url = format!("{}/api/v4/{path}", self.sim.url());
        let request = self.http.request(method.parse().unwrap(), url);
        let request = request.header("PRIVATE-TOKEN", token);
        if body.is_null() { request } else { request.json(body) }
    }

    /// Posts a status as the bot and says what came of it, in one line.
    pub(crate) async fn status(&self, sha: &str, body: Value) -> String {
        self.status_as(&self.token, self.project, sha, body).await
    }

    pub(crate) async fn status_as(
        &self,
        token: &str,
        project: ProjectId,
        sha: &str,
        body: Value,
    ) -> String {
        let call = format!("POST projects/{project}/statuses/{sha}");
        let (status, answer) = self.try_api(token, &call, body).await.expect("an answer");
        match status {
            201 => format!(
                "201 {} {} on {}",
                answer["name"].as_str().unwrap(),
                answer["status"].as_str().unwrap(),
                answer["ref"].as_str().unwrap()
            ),
            other => format!("{other} {answer}"),
        }
    }
}

/// Runs git as a person would on a laptop; the text is its output, errors included.
pub(crate) fn git(dir: &std::path::Path, args: &[&str]) -> Result<String, String> {
    let output = Command::new("git")
        .current_dir(dir)
        .args(["-c", "user.name=T", "-c", "user.email=t@example.test"])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .output()
        .expect("git must be installed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}
