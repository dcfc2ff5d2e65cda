//! `docker-compose.yml` and `Dockerfile` name only what there is, and keep what they must: secrets in
//! files, runners away from the database, no root. That the services work is shown elsewhere.

use std::collections::BTreeSet;
use std::time::Duration;

use aldis::cli::Cli;
use aldis::roles::Role;
use aldis::settings::TABLE;
use aldis_tests::compose::{Compose, Service, duration, image_environment, text_of};
use clap::{Parser, ValueEnum};

use super::assert_none;

/// Settings that no container may have by its environment.
const SECRET: [&str; 7] = [
    "GITLAB_TOKEN",
    "GITLAB_WEBHOOK_SECRET",
    "GIT_AUTH_TOKEN",
    "ALDIS_BOOTSTRAP_TOKEN",
    "ALDIS_DATABASE_URL",
    "ALDIS_AMQP_URL",
    "ALDIS_RUNNER_TOKEN",
];

fn compose() -> Compose {
    Compose::read(&[
        ("GITLAB_URL", "https://gitlab.test"),
        ("ALDIS_BASE_URL", "https://aldis.test"),
    ])
}

fn is_setting(name: &str) -> bool {
    let is = |name: &str| TABLE.iter().any(|setting| setting.name == name);
    is(name) || name.strip_suffix("_FILE").is_some_and(is)
}

#[test]
fn every_variable_is_a_setting_and_no_secret_is_among_them() {
    let compose = compose();
    let services = compose.aldis().flat_map(|(name, service)| {
        service.environment.keys().map(move |variable| format!("{name}: {variable}"))
    });
    let image = image_environment().into_keys().map(|variable| format!("Dockerfile: {variable}"));
    let wrong = |line: &String| {
        let variable = line.rsplit(' ').next().unwrap_or_default();
        !is_setting(variable) || SECRET.contains(&variable)
    };
    let offenders: Vec<String> = services.chain(image).filter(wrong).collect();
    assert_none("variables that are no settings, or secrets by value:", &offenders);
}

#[test]
fn every_role_has_a_service_and_every_command_is_one() {
    let compose = compose();
    let mut roles = BTreeSet::new();
    for (name, service) in compose.aldis() {
        let command = ["aldis"].into_iter().chain(service.command.iter().map(String::as_str));
        assert!(Cli::try_parse_from(command).is_ok(), "{name}: {:?}", service.command);
        // `aldis runner`, or `aldis serve --role ROLE`.
        let role = service.command.last().expect("a command has words");
        roles.insert(Role::from_str(role, false).unwrap_or_else(|why| panic!("{name}: {why}")));
    }
    assert_eq!(roles, Role::value_variants().iter().copied().collect());
    let runners = compose.aldis().filter(|(_, service)| service.command == ["runner"]);
    assert_eq!(runners.count(), 2);
}

#[test]
fn every_secret_is_there_used_and_told_of() {
    let compose = compose();
    let mut offenders = Vec::new();
    let mut used = BTreeSet::new();
    for (name, service) in &compose.services {
        let said: Vec<&String> = service.environment.values().chain(&service.entrypoint).collect();
        for mount in &service.secrets {
            used.insert(mount.source());
            if !compose.secrets.contains_key(mount.source()) {
                offenders.push(format!("{name}: {} is not declared", mount.source()));
            }
            if !said.iter().any(|text| text.contains(&mount.path())) {
                offenders.push(format!("{name}: nothing names {}", mount.path()));
            }
        }
        let named = said.iter().filter(|text| text.starts_with("/run/secrets/"));
        let unseen = named.filter(|path| !service.secrets.iter().any(|it| it.path() == ***path));
        offenders.extend(unseen.map(|path| format!("{name}: {path} is not mounted")));
    }
    let guide = text_of("docs/compose.md");
    for (name, secret) in &compose.secrets {
        if !used.contains(name.as_str()) || !guide.contains(&format!("`{name}`")) {
            offenders.push(format!("{name}: no service uses it, or docs/compose.md is silent"));
        }
        assert_eq!(secret.file, std::path::Path::new("secrets").join(name));
    }
    assert_none("secrets:", &offenders);
}

#[test]
fn every_service_is_looked_after() {
    let compose = compose();
    for (name, service) in &compose.services {
        assert_eq!(service.restart, "unless-stopped", "{name}");
        assert!(!service.healthcheck.test.is_empty(), "{name}");
        for network in &service.networks {
            assert!(compose.networks.contains_key(network), "{name}: {network}");
        }
        let named = service.volumes.iter().filter_map(|volume| volume.split(':').next());
        for volume in named {
            assert!(compose.volumes.contains_key(volume), "{name}: {volume}");
        }
    }
    let data_dir = &image_environment()["ALDIS_DATA_DIR"];
    for (name, service) in compose.aldis() {
        assert!(service.read_only, "{name}");
        assert_eq!(service.healthcheck.test, ["CMD", "aldis", "healthy"], "{name}");
        let timeout = service.environment.get("ALDIS_STOP_TIMEOUT").map_or("300", String::as_str);
        let grace = service.stop_grace_period.as_deref().expect("an Aldis is given time to stop");
        assert!(duration(grace) > duration(&format!("{timeout}s")) + LAST_WORDS, "{name}");
        for volume in &service.volumes {
            assert!(volume.ends_with(&format!(":{data_dir}")), "{name}: {volume}");
        }
        for (other, dependency) in &service.depends_on {
            let waits = dependency.condition == "service_healthy";
            assert_eq!(waits, other != "rabbitmq", "{name} needs {other}");
        }
    }
}

/// Ample time for what is left to do when runs have ended.
const LAST_WORDS: Duration = Duration::from_secs(30);

#[test]
fn what_is_open_and_to_whom() {
    let compose = compose();
    let port = image_environment()["ALDIS_LISTEN"].replace("0.0.0.0", "");
    for (name, service) in &compose.services {
        let is_open = !service.ports.is_empty();
        assert_eq!(is_open, ["ingress", "web"].contains(&name.as_str()), "{name}");
        for open in &service.ports {
            assert!(open.starts_with("127.0.0.1:") && open.ends_with(&port), "{name}: {open}");
        }
    }
    for (name, service) in compose.aldis() {
        let is_loose = service.security_opt.iter().any(|option| option.ends_with("=unconfined"));
        assert_eq!(is_loose, service.command == ["runner"], "{name}");
        assert!(service.security_opt.contains(&"no-new-privileges=true".to_owned()), "{name}");
    }
    let networks = |name: &str| -> BTreeSet<&String> {
        let service: &Service = &compose.services[name];
        service.networks.iter().collect()
    };
    for server in ["postgres", "rabbitmq"] {
        assert!(networks(server).iter().all(|network| compose.networks[*network].internal));
        for runner in ["runner-1", "runner-2"] {
            assert!(networks(server).is_disjoint(&networks(runner)), "{runner} reaches {server}");
        }
    }
}

#[test]
fn the_image_is_built_from_all_it_needs_and_runs_as_nobody() {
    let file = text_of("Dockerfile");
    assert!(file.contains("cargo build --release --locked"), "{file}");
    let user = file.lines().find_map(|line| line.strip_prefix("USER ")).expect("a user");
    let number = user.split(':').next().and_then(|number| number.parse::<u32>().ok());
    let number = number.expect("the user's number, which owns the secrets");
    assert!(number > 0 && file.contains(&format!("--uid {number} ")));
    assert!(text_of("docs/compose.md").contains(&format!("chown {number} secrets/*")));
    let manifest = text_of("Cargo.toml");
    let ignore = text_of(".dockerignore");
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = ["));
    let members = members.expect("the workspace's members").trim_end_matches(']').split(", ");
    let folders = members.map(|member| member.trim_matches('"').split('/').next());
    for needed in folders.flatten().chain(["Cargo.toml", "Cargo.lock", "migrations"]) {
        assert!(ignore.lines().any(|line| line == format!("!{needed}")), ".dockerignore: {needed}");
    }
    let version = |text: &str, before: &str| -> Vec<u32> {
        let (_, after) = text.split_once(before).expect("a version of Rust");
        let end = after.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(after.len());
        after[..end].split('.').map(|part| part.parse().expect("a number")).collect()
    };
    let (image, least) = (version(&file, "FROM rust:"), version(&manifest, "rust-version = \""));
    assert!(image >= least, "{image:?} is older than {least:?}");
}
