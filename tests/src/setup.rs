//! How a story begins: the simulated GitLab, its people and projects, and the bot's settings.

use std::collections::BTreeMap;
use std::sync::Mutex;

use aldis::bot::Bot;
use aldis::settings::Settings;
use aldis_gitlab_sim::{
    AccessLevel, Options, ProjectId, Scope, Secret, Simulator, Trigger, UserId,
};

use crate::story::Story;

/// The hooks' secret token.
pub const HOOK_SECRET: &str = "story-secret";
/// The hooks' signing token: 32 bytes.
pub const SIGNING_TOKEN: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// One stack that runs `ci.sh`, for the default branch and for merge requests.
const CONFIG: &str = "\
version: 1
stacks:
  ci:
    steps:
      - { name: test, run: sh ci.sh }
";

/// How the hooks say that they are genuine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hooks {
    Token,
    Signing,
    Both,
}

impl Hooks {
    /// The secret that the bot knows.
    pub fn secret(self) -> Secret {
        let (token, signing) = (HOOK_SECRET.to_owned(), SIGNING_TOKEN.to_owned());
        match self {
            Self::Token => Secret::Token(token),
            Self::Signing => Secret::Signing(signing),
            Self::Both => Secret::Both { token, signing },
        }
    }
}

/// What differs from the usual beginning.
#[derive(Debug, Clone)]
pub struct Setup {
    /// GitLab's sub-path, such as `/gitlab`.
    pub base_path: &'static str,
    pub hooks: Hooks,
    /// A group hook beside the project's own.
    pub group_hook: bool,
    /// How many runs go on at once.
    pub slots: u16,
    /// Whether the bot has a token of its own for cloning.
    pub git_token: bool,
    /// The bot's role in the project.
    pub bot_role: AccessLevel,
    /// `.aldis.yml` on the default branch; `None`: there is none.
    pub config: Option<&'static str>,
    /// Further files on the default branch.
    pub files: &'static [(&'static str, &'static str)],
}

impl Setup {
    /// One stack that passes at once.
    pub const USUAL: Self = Self {
        base_path: "",
        hooks: Hooks::Token,
        group_hook: false,
        slots: 4,
        git_token: true,
        bot_role: AccessLevel::Maintainer,
        config: Some(CONFIG),
        files: &[("ci.sh", "true\n")],
    };

    /// One stack that does not end by itself within a story.
    pub const SLOW: Self = Self { files: &[("ci.sh", "sleep 600\n")], ..Self::USUAL };

    /// The same beginning with another config file.
    pub const fn with(self, config: &'static str) -> Self {
        Self { config: Some(config), ..self }
    }

    /// Starts GitLab with a project whose default branch has one commit, and the bot beside it.
    pub async fn start(self) -> Story {
        let options = Options { base_path: self.base_path.to_owned(), ..Options::default() };
        let sim = Simulator::start(options).await.expect("the simulator starts; it needs git");
        let alice = sim.create_user("alice");
        let user = sim.create_bot("aldis");
        let token = sim.create_token(user, &[Scope::Api], None).expect("a token");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let git_token = if self.git_token {
            sim.create_token(user, &[Scope::ReadRepository], None).expect("a token")
        } else {
            String::new()
        };
        let settings = settings(&sim, [&token, &git_token], dir.path(), self.slots);
        let bot = Bot::start(settings).await.expect("the bot starts; it needs git and bwrap");
        let mut story = Story {
            bot,
            bot_user: user,
            api_token: token,
            alice,
            project: ProjectId(0),
            setup: self,
            names: Mutex::default(),
            own_comments: 0.into(),
            dir,
            sim,
        };
        story.project = story.add_project("group/demo");
        story
    }
}

/// With this variable set to `postgres` the bots of all stories share a throw-away server, each with
/// a database of its own; else each has SQLite.
const STORIES_ON: &str = "ALDIS_STORIES_ON";

fn database() -> String {
    match std::env::var(STORIES_ON).as_deref() {
        Err(_) | Ok("sqlite") => String::new(),
        Ok("postgres") => aldis_test_servers::postgres().database(),
        Ok(other) => panic!("{STORIES_ON}: `{other}` should be sqlite or postgres"),
    }
}

fn settings(
    sim: &Simulator,
    [token, git_token]: [&str; 2],
    dir: &std::path::Path,
    slots: u16,
) -> Settings {
    let values = BTreeMap::from([
        ("ALDIS_DATABASE_URL", database()),
        ("GITLAB_URL", sim.url().to_owned()),
        ("GITLAB_TOKEN", token.to_owned()),
        ("GIT_AUTH_TOKEN", git_token.to_owned()),
        ("GITLAB_WEBHOOK_SECRET", HOOK_SECRET.to_owned()),
        ("GITLAB_WEBHOOK_SIGNING_TOKEN", SIGNING_TOKEN.to_owned()),
        ("GITLAB_API_BUDGET", "60000".to_owned()),
        ("ALDIS_LISTEN", "127.0.0.1:0".to_owned()),
        ("ALDIS_DATA_DIR", dir.display().to_string()),
        ("ALDIS_SLOTS", slots.to_string()),
    ]);
    Settings::read(&|name| values.get(name).cloned()).expect("the settings are right")
}

impl Story {
    /// Another project with the same files, people and hooks as the first.
    pub fn add_project(&self, path: &str) -> ProjectId {
        let project = self.sim.create_project(path, self.alice).expect("a new project");
        self.sim.set_member(project, self.bot_user, self.setup.bot_role).expect("the project");
        let config = self.setup.config.map(|config| (".aldis.yml", Some(config)));
        let others = self.setup.files.iter().map(|(path, text)| (*path, Some(*text)));
        let files: Vec<_> =
            [("README.md", Some("Demo\n"))].into_iter().chain(config).chain(others).collect();
        let sha = self.sim.by(self.alice).commit_and_push(project, "main", &files, "Begin");
        self.name(&sha.expect("the first commit"), &format!("begin of {path}"));
        self.add_hook(project, false);
        if self.setup.group_hook {
            self.add_hook(project, true);
        }
        project
    }

    fn add_hook(&self, project: ProjectId, group: bool) {
        let url = format!("{}/api/webhooks/gitlab", self.bot.base_url);
        let secret = self.setup.hooks.secret();
        let added = if group {
            self.sim.add_group_hook(project, &url, secret, Trigger::ALL)
        } else {
            self.sim.add_hook(project, &url, secret, Trigger::ALL)
        };
        added.expect("a hook of the project");
    }

    /// Another person with a role in the project.
    pub fn add_person(&self, name: &str, role: AccessLevel) -> UserId {
        let user = self.sim.create_user(name);
        self.sim.set_member(self.project, user, role).expect("the project");
        user
    }
}
