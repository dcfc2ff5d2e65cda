//! The services of `docker-compose.yml` as processes of this machine. They get the commands and the
//! environment that the file gives them, and secrets that were made as `docs/compose.md` says; only
//! what names another container or a place inside one is translated.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use aldis_gitlab_sim::Secret;
use aldis_test_servers::{RabbitMq, postgres};
use aldis_tests::compose::{Compose, Service, image_environment, text_of};
use aldis_tests::process::Site;
use tempfile::TempDir;

use crate::play::Play;
use crate::world::{GitLab, World};

/// Where the image keeps data, and so where volumes belong.
const DATA_DIR: &str = "/var/lib/aldis";

#[tokio::test(flavor = "multi_thread")]
async fn the_services_of_the_compose_file_do_what_one_process_does() {
    let gitlab = GitLab::start().await;
    let place = Place::prepared(&gitlab).await;
    let compose = Compose::read(&[
        ("GITLAB_URL", gitlab.sim.url()),
        ("ALDIS_BASE_URL", "http://ingress:8080"),
    ]);
    let sites = place.sites(&compose);
    place.let_runners_in(&sites).await;
    let mut crew = BTreeMap::new();
    for (name, site) in sites {
        let process = site.start(None).await;
        crew.insert(name, (site, process));
    }
    let mut without_volume = Vec::new();
    for (name, (site, _)) in &crew {
        let service = &compose.services[name];
        let check: Vec<&str> = service.healthcheck.test.iter().map(String::as_str).collect();
        assert_eq!(check[..2], ["CMD", "aldis"], "{name}");
        site.told(&check[2..]).await;
        if service.volumes.is_empty() {
            without_volume.push((name.clone(), site.dir().to_owned()));
        }
    }
    pages_ask_for_the_token(&crew["web"].0.base_url(), &place).await;

    let hook_token = place.secret("webhook_secret");
    let ingress = crew.remove("ingress").expect("the service that GitLab calls");
    gitlab.call(&ingress.0, Secret::Token(hook_token.clone()));
    let mut world = World::around("compose", gitlab, ingress, &hook_token);
    world.parts = crew.into_values().collect();
    world.play(Play::Merge).await;
    world.ends_like(Play::Merge).await;
    for (site, part) in &world.parts {
        let refused = part.said().contains("ACCESS_REFUSED");
        assert!(!refused, "{}: the broker does not let it in: {}", site.name(), part.said());
    }
    for (name, dir) in without_volume {
        let mut kept = dir.read_dir().expect("our own directory");
        assert!(kept.next().is_none(), "{name} keeps data and has no volume for it");
    }
    world.stop().await;
}

async fn pages_ask_for_the_token(web: &str, place: &Place) {
    let client = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
    let asked = async |token: &str| {
        let request = client.get(format!("{web}/")).header("x-forwarded-for", "192.0.2.1");
        request.bearer_auth(token).send().await.expect("an answer").status().as_u16()
    };
    assert_eq!((asked("wrong").await, asked(&place.secret("page_token")).await), (401, 200));
}

/// The directory of the compose file, and the servers beside it.
struct Place {
    dir: TempDir,
    broker: RabbitMq,
}

impl Place {
    /// Makes the secrets as the documentation says; database and broker know their passwords.
    async fn prepared(gitlab: &GitLab) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let making = documented("openssl rand");
        let made = Command::new("sh").args(["-ec", &making]).current_dir(dir.path()).status();
        assert!(made.expect("a shell").success(), "docs/compose.md, making secrets:\n{making}");
        let broker = tokio::task::spawn_blocking(RabbitMq::start).await.expect("a broker");
        let place = Self { dir, broker };
        place.keep("gitlab_token", &gitlab.token);
        place.keep("git_token", &gitlab.git_token);
        place.serve_database().await;
        place.serve_broker();
        place
    }

    /// What the image of Postgres does with the password file.
    async fn serve_database(&self) {
        let password = self.secret("postgres_password");
        let url = tokio::task::spawn_blocking(move || {
            let role = format!("CREATE ROLE aldis LOGIN PASSWORD '{password}'");
            postgres().sql("postgres", &role);
            postgres().sql("postgres", "CREATE DATABASE aldis OWNER aldis");
            postgres().url("aldis", &password, "aldis")
        });
        self.lead("database_url", "postgres:5432", &url.await.expect("a database"));
    }

    /// What the image of RabbitMQ does with the password that its entry point reads.
    fn serve_broker(&self) {
        let password = self.secret("rabbitmq_password");
        for words in [
            &["delete_user", "guest"][..],
            &["add_user", "aldis", &password],
            &["set_permissions", "aldis", ".*", ".*", ".*"],
        ] {
            assert!(self.broker.ctl(words), "rabbitmqctl {}", words[0]);
        }
        let url = self.broker.url().replace("guest:guest", &format!("aldis:{password}"));
        self.lead("amqp_url", "rabbitmq:5672", &url);
    }

    /// The URL in the secret leads to this server, and has everything else in common with `url`.
    fn lead(&self, secret: &str, container: &str, url: &str) {
        let (_, server) = url.split_once('@').expect("a URL with a password");
        let server = server.split('/').next().unwrap_or_default();
        let translated = self.secret(secret).replace(container, server);
        assert_eq!(translated, url, "{secret}, as docs/compose.md makes it");
        self.keep(secret, &translated);
    }

    fn secret(&self, name: &str) -> String {
        let path = self.dir.path().join("secrets").join(name);
        let text = std::fs::read_to_string(&path);
        text.unwrap_or_else(|error| panic!("secrets/{name}: {error}")).trim().to_owned()
    }

    fn keep(&self, name: &str, text: &str) {
        let path = self.dir.path().join("secrets").join(name);
        std::fs::write(path, text).expect("the directory of secrets");
    }

    /// A place for each service that is Aldis, with its command and its environment.
    fn sites(&self, compose: &Compose) -> BTreeMap<String, Site> {
        let sites = compose
            .aldis()
            .map(|(name, service)| (name.to_owned(), Site::new(&[]).called(&service.command)));
        let sites: BTreeMap<String, Site> = sites.collect();
        let addresses: Vec<(String, String)> = sites
            .iter()
            .map(|(name, site)| (format!("http://{name}:8080"), site.base_url()))
            .collect();
        let given = |(name, site): (String, Site)| {
            let service = &compose.services[&name];
            let environment = self.environment(compose, service, &addresses);
            (name, site.given(environment))
        };
        sites.into_iter().map(given).collect()
    }

    fn environment(
        &self,
        compose: &Compose,
        service: &Service,
        addresses: &[(String, String)],
    ) -> BTreeMap<String, String> {
        let mut environment = image_environment();
        environment.extend(service.environment.clone());
        // A site has both of its own.
        assert_eq!(environment.remove("ALDIS_LISTEN").as_deref(), Some("0.0.0.0:8080"));
        assert_eq!(environment.remove("ALDIS_DATA_DIR").as_deref(), Some(DATA_DIR));
        for value in environment.values_mut() {
            if let Some(mount) = service.secrets.iter().find(|mount| mount.path() == *value) {
                let file = &compose.secrets[mount.source()].file;
                *value = self.dir.path().join(file).display().to_string();
            }
            if let Some((_, address)) = addresses.iter().find(|(name, _)| name == value) {
                value.clone_from(address);
            }
        }
        environment
    }

    /// Does what the documentation says: `docker compose run … SERVICE COMMAND > FILE`.
    async fn let_runners_in(&self, sites: &BTreeMap<String, Site>) {
        const RUN: &str = "docker compose run --rm -T ";
        let text = documented(RUN);
        for line in text.lines().filter_map(|line| line.strip_prefix(RUN)) {
            let (command, file) = line.split_once(" > ").expect("what it prints goes to a file");
            let words: Vec<&str> = command.split(' ').collect();
            let said = sites[words[0]].told(&words[1..]).await;
            std::fs::write(self.dir.path().join(Path::new(file)), said).expect("a secret");
        }
    }
}

/// The commands in `docs/compose.md` that hold this text.
fn documented(text: &str) -> String {
    let guide = text_of("docs/compose.md");
    let blocks = guide.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let block = blocks.into_iter().find(|block| block.contains(text));
    block.unwrap_or_else(|| panic!("docs/compose.md: no commands with `{text}`")).to_owned()
}
