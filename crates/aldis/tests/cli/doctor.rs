//! `aldis doctor` against the simulated GitLab

use std::fs;
use std::os::unix::fs::PermissionsExt;

use aldis_domain::event::change::ProjectObserved;
use aldis_domain::id::ProjectKey;
use aldis_gitlab_sim::{
    AccessLevel, Options, ProjectId, Scope, Secret, Simulator, Trigger, UserId,
};
use aldis_store::{Append, Expected, Meta, NewEvent, Settings, Store};
use insta::assert_snapshot;
use jiff::civil::Date;
use tempfile::TempDir;

use crate::support::{Said, aldis};

const BASE: &str = "https://aldis.example.org";
const HOOK: &str = "https://aldis.example.org/api/webhooks/gitlab";
const SECRET: &str = "hook-secret-value";
const CONFIG: &str = "version: 1
stacks:
  api:
    steps:
      - run: make test
";
/// What does not depend on this machine.
const OF_GITLAB: [&str; 17] = [
    "settings",
    "TLS",
    "GitLab",
    "token",
    "token owner",
    "token scopes",
    "clone token",
    "projects",
    "project",
    "role",
    "writing",
    "default branch",
    "config",
    "hook",
    "hook events",
    "hook state",
    "hook secret",
];

/// A project with a config file, and a bot that is a Maintainer of it.
struct World {
    sim: Simulator,
    person: UserId,
    bot: UserId,
    project: ProjectId,
    dir: TempDir,
}

impl World {
    async fn start() -> Self {
        let sim = Simulator::start(Options::default()).await.unwrap();
        let person = sim.create_user("developer");
        let bot = sim.create_bot("project_1_bot_0a1b");
        let project = sim.create_project("demo/service", person).unwrap();
        sim.set_member(project, bot, AccessLevel::Maintainer).unwrap();
        let files = [(".aldis.yml", Some(CONFIG))];
        sim.by(person).commit_and_push(project, "main", &files, "Begin").unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self { sim, person, bot, project, dir }
    }

    fn token(&self, scopes: &[Scope]) -> String {
        self.sim.create_token(self.bot, scopes, None).unwrap()
    }

    fn hook(&self, triggers: &[Trigger]) {
        let secret = Secret::Token(SECRET.to_owned());
        self.sim.add_hook(self.project, HOOK, secret, triggers).unwrap();
    }

    /// `aldis doctor --project N ARGS`, and that it neither wrote anything nor told a secret.
    fn doctor(&self, token: &str, args: &[&str], more: &[(&str, &str)]) -> Said {
        let project = self.project.to_string();
        self.call(token, &[&["--project", &project], args].concat(), more)
    }

    fn call(&self, token: &str, args: &[&str], more: &[(&str, &str)]) -> Said {
        let data = self.dir.path().join("data");
        let mut variables = vec![
            ("GITLAB_URL", self.sim.url()),
            ("GITLAB_TOKEN", token),
            ("GITLAB_WEBHOOK_SECRET", SECRET),
            ("ALDIS_BASE_URL", BASE),
            ("ALDIS_DATA_DIR", data.to_str().unwrap()),
            ("ALDIS_EXECUTOR", "shell"),
        ];
        variables.extend(more);
        let said = aldis(self.dir.path(), &[&["doctor"], args].concat(), &variables);
        assert_eq!(self.sim.writes().len(), 0, "it wrote to GitLab");
        for text in [&said.out, &said.err] {
            assert!(!text.contains(token) && !text.contains(SECRET), "it told a secret: {text}");
        }
        said
    }

    /// The lines about GitLab, with the URL made the same each time.
    fn lines(&self, said: &Said) -> String {
        let mut lines: Vec<String> = Vec::new();
        for check in said.json().as_array().unwrap() {
            let field = |name: &str| check[name].as_str().unwrap_or_default();
            if OF_GITLAB.contains(&field("check")) {
                let line = format!("{} {}: {}", field("mark"), field("check"), field("found"));
                lines.push(line.replace(self.sim.url(), "GITLAB"));
            }
        }
        lines.push(format!("exit {}", said.code));
        lines.join("\n")
    }

    /// Only what is not ok.
    fn troubles(&self, said: &Said) -> String {
        let lines = self.lines(said);
        lines.lines().filter(|line| !line.starts_with("ok ")).collect::<Vec<_>>().join("\n")
    }
}

const GOOD: [Trigger; 5] =
    [Trigger::Push, Trigger::TagPush, Trigger::MergeRequests, Trigger::Note, Trigger::Pipeline];

#[tokio::test]
async fn a_good_project_is_good() {
    let world = World::start().await;
    world.hook(&GOOD);
    let clone = world.token(&[Scope::ReadRepository]);
    let said =
        world.doctor(&world.token(&[Scope::Api]), &["--json"], &[("GIT_AUTH_TOKEN", &clone)]);
    assert!(!said.out.contains(&clone), "{said:?}");
    assert_snapshot!(world.lines(&said), @"
    ok settings: all can be read
    ok TLS: none, and none is needed on this machine
    ok GitLab: 19.5.0-ee at GITLAB
    ok token owner: project_1_bot_0a1b, of a project access token
    ok token scopes: api
    ok clone token: of its own, scopes read_repository
    ok project: demo/service, number 1
    ok role: project_1_bot_0a1b is Maintainer (40)
    ok writing: statuses, notes and deployments are allowed, by Maintainer (40) and scope `api`; nothing was written to see it
    ok default branch: main is not protected
    ok config: .aldis.yml on main is good; stacks: api
    ok hook events: hook 1: push, tag push, merge request, comment, pipeline
    ok hook state: hook 1 is enabled
    ok hook secret: hook 1 has a secret token
    exit 0
    ");
}

#[tokio::test]
async fn people_get_lines_with_advice() {
    let world = World::start().await;
    let said = world.doctor(&world.token(&[Scope::Api]), &[], &[]);
    assert_eq!((said.code, said.err.as_str()), (1, ""));
    let shown = said.out.replace(world.sim.url(), "GITLAB");
    let of_project = shown.split("\nproject ").nth(1).unwrap();
    let of_project = of_project.rsplit_once("\n\n").unwrap().0;
    assert_snapshot!(of_project, @"
    1
    ok    project         demo/service, number 1
    ok    role            project_1_bot_0a1b is Maintainer (40)
    ok    writing         statuses, notes and deployments are allowed, by Maintainer (40) and scope `api`; nothing was written to see it
    ok    default branch  main is not protected
    ok    config          .aldis.yml on main is good; stacks: api
    FAIL  hook            none leads to https://aldis.example.org/api/webhooks/gitlab
                          -> add one in Settings > Webhooks: push, tag push, merge request, comment and pipeline events, and the secret from the settings
    ");
    assert!(shown.contains("\nwarn  clone token "), "{shown}");
    assert!(shown.trim_end().ends_with(" failed"), "{shown}");
}

#[tokio::test]
async fn a_token_without_the_scope_is_found() {
    let world = World::start().await;
    world.hook(&GOOD);
    let said = world.doctor(&world.token(&[Scope::ReadApi]), &["--json"], &[]);
    assert_snapshot!(world.troubles(&said), @"
    fail token scopes: read_api: nothing can be written without `api`
    warn clone token: none of its own: runs are cloned with the API token
    fail writing: statuses, notes and deployments will be refused: Maintainer (40) is enough, but the token lacks scope `api`
    exit 1
    ");
    let said = world.doctor(&world.token(&[Scope::ReadRepository]), &["--json"], &[]);
    assert_snapshot!(world.troubles(&said), @"
    fail token: its scopes allow no API calls
    exit 1
    ");
}

#[tokio::test]
async fn an_expired_token_is_found() {
    let world = World::start().await;
    let past = Date::constant(2020, 1, 1);
    let token = world.sim.create_token(world.bot, &[Scope::Api], Some(past)).unwrap();
    assert_snapshot!(world.troubles(&world.doctor(&token, &["--json"], &[])), @"
    fail token: GitLab does not accept it: invalid_token: Token is expired. You can either do re-authorization or token refresh.
    exit 1
    ");
    assert_snapshot!(world.troubles(&world.doctor("glpat-wrong", &["--json"], &[])), @"
    fail token: GitLab does not accept it: 401 Unauthorized
    exit 1
    ");
}

#[tokio::test]
async fn a_persons_token_and_a_shared_one_are_told() {
    let world = World::start().await;
    world.hook(&GOOD);
    let token = world.sim.create_token(world.person, &[Scope::Api], None).unwrap();
    let shared = [("GIT_AUTH_TOKEN", token.as_str())];
    assert_snapshot!(world.troubles(&world.doctor(&token, &["--json"], &shared)), @"
    warn token owner: developer is a person: what the bot writes stands under this name, and ends with the account
    warn clone token: the same as the API token
    exit 0
    ");
}

#[tokio::test]
async fn clone_tokens_are_tried() {
    let world = World::start().await;
    world.hook(&GOOD);
    let token = world.token(&[Scope::Api]);
    let narrow = world.token(&[Scope::ReadUser]);
    let clone = |value: &str, user: &str| {
        let more = [("GIT_AUTH_TOKEN", value), ("GIT_AUTH_USER", user)];
        let said = world.doctor(&token, &["--json"], &more);
        let lines = world.lines(&said);
        lines.lines().find(|line| line.contains("clone token")).unwrap().to_owned()
    };
    let said = [clone(&narrow, ""), clone("gldt-deploy", ""), clone("gldt-deploy", "deployer")];
    assert_snapshot!(said.join("\n"), @"
    fail clone token: its scopes do not allow cloning: read_user
    fail clone token: GitLab does not accept it: 401 Unauthorized
    ok clone token: of its own; the API does not know it, which is right for a deploy token
    ");
}

#[tokio::test]
async fn a_low_role_is_found() {
    let world = World::start().await;
    world.hook(&GOOD);
    world.sim.set_member(world.project, world.bot, AccessLevel::Reporter).unwrap();
    let token = world.token(&[Scope::Api]);
    assert_snapshot!(world.troubles(&world.doctor(&token, &["--json"], &[])), @"
    warn clone token: none of its own: runs are cloned with the API token
    fail writing: statuses, notes and deployments will be refused: Reporter (20) is too low
    warn hook: cannot be looked at: GitLab shows hooks to Maintainers only
    exit 1
    ");
    world.sim.remove_member(world.project, world.bot).unwrap();
    assert_snapshot!(world.troubles(&world.doctor(&token, &["--json"], &[])), @"
    warn clone token: none of its own: runs are cloned with the API token
    fail project: there is none, or project_1_bot_0a1b may not see it
    exit 1
    ");
}

#[tokio::test]
async fn a_protected_branch_asks_for_a_maintainer() {
    let world = World::start().await;
    world.hook(&GOOD);
    world.sim.protect_branch(world.project, "main").unwrap();
    let token = world.token(&[Scope::Api]);
    let good = world.doctor(&token, &["--json"], &[]);
    assert!(world.lines(&good).contains("main is protected, and the bot is Maintainer"));
    world.sim.set_member(world.project, world.bot, AccessLevel::Developer).unwrap();
    assert_snapshot!(world.troubles(&world.doctor(&token, &["--json"], &[])), @"
    warn clone token: none of its own: runs are cloned with the API token
    warn default branch: main is protected: statuses on protected branches will be refused (403), unless the bot may push there
    warn hook: cannot be looked at: GitLab shows hooks to Maintainers only
    exit 0
    ");
}

#[tokio::test]
async fn hooks_are_looked_at_one_by_one() {
    let world = World::start().await;
    let token = world.token(&[Scope::Api]);
    assert_snapshot!(world.troubles(&world.doctor(&token, &["--json"], &[])), @"
    warn clone token: none of its own: runs are cloned with the API token
    fail hook: none leads to https://aldis.example.org/api/webhooks/gitlab
    exit 1
    ");
    world.hook(&[Trigger::Push, Trigger::MergeRequests, Trigger::Note]);
    let other = "http://other.example.org/api/webhooks/gitlab/";
    world.sim.add_hook(world.project, other, Secret::None, &GOOD).unwrap();
    assert_snapshot!(world.troubles(&world.doctor(&token, &["--json"], &[])), @"
    warn clone token: none of its own: runs are cloned with the API token
    fail hook events: hook 1: tag push is off (on: push, merge request, comment)
    warn hook events: hook 1: pipeline is off: statuses find a later pipeline only by chance
    exit 1
    ");
    let any_host = [("ALDIS_BASE_URL", "")];
    assert_snapshot!(world.troubles(&world.doctor(&token, &["--json"], &any_host)), @"
    warn clone token: none of its own: runs are cloned with the API token
    warn hook: 2 lead to a URL that ends with /api/webhooks/gitlab: each event comes 2 times
    fail hook events: hook 1: tag push is off (on: push, merge request, comment)
    warn hook events: hook 1: pipeline is off: statuses find a later pipeline only by chance
    fail hook secret: hook 2 has none: its deliveries are refused (401)
    exit 1
    ");
    let named = [
        "--json",
        "--hook-url",
        "http://me:my-word@other.example.org/api/webhooks/gitlab?key=my-word",
    ];
    assert!(!world.doctor(&token, &named, &[]).out.contains("my-word"));
    assert_snapshot!(world.troubles(&world.doctor(&token, &named, &[])), @"
    warn clone token: none of its own: runs are cloned with the API token
    fail hook secret: hook 2 has none: its deliveries are refused (401)
    exit 1
    ");
}

#[tokio::test]
async fn a_secret_that_the_settings_do_not_know_is_found() {
    let world = World::start().await;
    let key = format!("whsec_{}=", "A".repeat(43));
    world.sim.add_hook(world.project, HOOK, Secret::Signing(key), &GOOD).unwrap();
    let said = world.doctor(&world.token(&[Scope::Api]), &["--json"], &[]);
    assert_snapshot!(world.troubles(&said), @"
    warn clone token: none of its own: runs are cloned with the API token
    fail hook secret: hook 1 has a signing token, which these settings do not know: it is refused (401)
    exit 1
    ");
}

#[tokio::test]
async fn a_config_with_errors_is_found() {
    let world = World::start().await;
    world.hook(&GOOD);
    let token = world.token(&[Scope::Api]);
    let person = world.sim.by(world.person);
    let bad = [(".aldis.yml", Some("version: 1\nstacks:\n  api:\n    step: []\n"))];
    person.commit_and_push(world.project, "main", &bad, "Break it").unwrap();
    assert_snapshot!(world.troubles(&world.doctor(&token, &["--json"], &[])), @"
    warn clone token: none of its own: runs are cloned with the API token
    fail config: on main: .aldis.yml:3:3: stacks.api: a stack without steps; say under `steps` what it runs (and 1 more)
    exit 1
    ");
    person.commit_and_push(world.project, "main", &[(".aldis.yml", None)], "Drop it").unwrap();
    assert_snapshot!(world.troubles(&world.doctor(&token, &["--json"], &[])), @"
    warn clone token: none of its own: runs are cloned with the API token
    warn config: there is no .aldis.yml on main: nothing runs and nothing is posted
    exit 0
    ");
}

#[tokio::test]
async fn a_wrong_url_is_found() {
    let world = World::start().await;
    let token = world.token(&[Scope::Api]);
    let elsewhere = format!("{}/elsewhere", world.sim.url());
    let said = world.doctor(&token, &["--json"], &[("GITLAB_URL", &elsewhere)]);
    let lines = world.troubles(&said);
    assert_eq!(said.code, 1, "{lines}");
    assert!(lines.contains("fail GitLab: GITLAB/elsewhere: GET /version: 404"), "{lines}");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let said = world.doctor(&token, &["--json"], &[("GITLAB_URL", &closed)]);
    let lines = world.troubles(&said).replace(&closed, "CLOSED");
    assert!(lines.contains("fail GitLab: CLOSED: GET /version: "), "{lines}");
    let unsafe_tls =
        [("GITLAB_URL", closed.replace("http:", "https:")), ("GIT_SSL_VERIFY", "false".to_owned())];
    let unsafe_tls = unsafe_tls.each_ref().map(|(name, value)| (*name, value.as_str()));
    let lines = world.troubles(&world.doctor(&token, &["--json"], &unsafe_tls));
    assert!(lines.starts_with("warn TLS: NOT VERIFIED"), "{lines}");
    let said = world.doctor(&token, &["--json"], &[("GITLAB_URL", "gitlab")]);
    assert!(world.troubles(&said).starts_with("fail settings: GITLAB_URL should be"));
}

#[tokio::test]
async fn a_running_server_is_no_error() {
    let world = World::start().await;
    let token = world.token(&[Scope::Api]);
    let database = |said: &Said| {
        let checks = said.json();
        let mut found = checks.as_array().unwrap().iter().filter(|c| c["check"] == "database");
        let found = found.next().unwrap();
        format!("{} {}", found["mark"].as_str().unwrap(), found["found"].as_str().unwrap())
    };
    let mut seen = vec![database(&world.call(&token, &["--json"], &[]))];
    let store = Store::open(&Settings::in_dir(world.dir.path().join("data"))).await.unwrap();
    seen.push(database(&world.call(&token, &["--json"], &[])));
    store.close().await;
    seen.push(database(&world.call(&token, &["--json"], &[])));
    fs::write(world.dir.path().join("data/aldis.db"), "no database at all").unwrap();
    let broken = database(&world.call(&token, &["--json"], &[]));
    assert!(broken.starts_with("fail "), "{broken}");
    assert_snapshot!(seen.join("\n"), @"
    ok there is none yet; `aldis serve` makes it
    ok 0 events, in use by a running Aldis
    ok 0 events
    ");
}

#[tokio::test]
async fn projects_that_have_sent_something_need_no_naming() {
    let world = World::start().await;
    let token = world.token(&[Scope::Api]);
    let said = world.call(&token, &["--json"], &[]);
    assert_snapshot!(world.troubles(&said), @"
    warn clone token: none of its own: runs are cloned with the API token
    warn projects: none was looked at: none is named and none has sent anything yet
    exit 0
    ");
    let store = Store::open(&Settings::in_dir(world.dir.path().join("data"))).await.unwrap();
    let instance = store.ensure_instance(world.sim.url()).await.unwrap();
    let event = ProjectObserved {
        project: ProjectKey { instance, id: world.project.0 },
        path: "demo/old-name".to_owned(),
        default_branch: None,
        configured: true,
        aggregate: None,
    };
    let append = Append::new(Meta::from_source("test")).write(
        "project-1.1",
        Expected::NoStream,
        vec![NewEvent::new(event)],
    );
    store.append(append).await.unwrap();
    store.close().await;
    assert_snapshot!(world.troubles(&world.call(&token, &["--json"], &[])), @"
    warn clone token: none of its own: runs are cloned with the API token
    warn hook: none of this project leads to https://aldis.example.org/api/webhooks/gitlab, but deliveries have come from it
    exit 0
    ");
    let by_path = ["--json", "--project", "demo/old-name", "--project", "demo/unknown"];
    assert_snapshot!(world.troubles(&world.call(&token, &by_path, &[])), @"
    warn clone token: none of its own: runs are cloned with the API token
    warn hook: none of this project leads to https://aldis.example.org/api/webhooks/gitlab, but deliveries have come from it
    warn project: it was called demo/old-name when it last sent something
    fail project: there is none, or project_1_bot_0a1b may not see it
    exit 1
    ");
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_is_told_once() {
    let world = World::start().await;
    let nowhere = [("ALDIS_DATA_DIR", "/proc/nowhere")];
    let said = world.doctor(&world.token(&[Scope::Api]), &["--json"], &nowhere);
    let checks = said.json();
    let of = |name: &str| checks.as_array().unwrap().iter().filter(|c| c["check"] == name).count();
    assert_eq!((said.code, of("data directory"), of("runner")), (1, 1, 0), "{said:?}");
}

#[tokio::test]
async fn a_hook_url_must_be_one() {
    let world = World::start().await;
    let said = aldis(world.dir.path(), &["doctor", "--hook-url", "aldis"], &[]);
    assert_snapshot!(said.all(), @"
    error: invalid value 'aldis' for '--hook-url <URL>': write it as https://aldis.example.org/api/webhooks/gitlab

    For more information, try '--help'.
    exit 2
    ");
}
