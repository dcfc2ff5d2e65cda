//! Settings: environment variables, each also readable from the file that `<NAME>_FILE` names.

mod gitlab;
mod runner;
mod table;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::Duration;

use aldis_bus::Broker;
use aldis_domain::config::Executor;
use aldis_gitlab::hook::{Secrets, SigningKey};
use aldis_store::Failpoint;
use anyhow::{Context, Result, bail};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::roles::Roles;
pub use gitlab::GitLabSettings;
pub use runner::RunnerSettings;
pub use table::{Setting, TABLE};

/// How many runs may go on at once.
const SLOTS: RangeInclusive<u16> = 1..=1000;
/// MiB that the spool may take: up to a TiB. With none, deliveries are refused without a database.
const SPOOL: RangeInclusive<u64> = 0..=1 << 20;
/// In seconds.
const STOP_DELAY: RangeInclusive<u64> = 0..=300;

/// Everything an operator decides.
#[derive(Debug, Clone)]
pub struct Settings {
    pub gitlab: GitLabSettings,
    /// Secrets of GitLab's webhooks.
    pub hooks: Secrets,
    /// What this process is to be; the command line says so.
    pub roles: Roles,
    pub listen: SocketAddr,
    /// Where people and GitLab reach this server; `None`: the listener's own address.
    pub base_url: Option<Url>,
    pub data_dir: PathBuf,
    /// The URL of a Postgres database; `None`: SQLite, in the data directory.
    pub postgres: Option<SecretString>,
    /// The URL of a broker; `None`: hints stay in this process.
    pub amqp: Option<Broker>,
    /// Bytes that deliveries may take which wait for the database.
    pub spool_limit: u64,
    pub key_file: Option<PathBuf>,
    pub executor: Executor,
    pub slots: u16,
    /// How long deliveries are still taken after the process was asked to stop.
    pub stop_delay: Duration,
    /// How long runs may go on after the process was asked to stop.
    pub stop_timeout: Duration,
    /// Opens the pages; `None`: made at the first start and kept, sealed.
    pub bootstrap_token: Option<SecretString>,
    /// For tests of what survives a kill; `ALDIS_FAILPOINT`, not in the table.
    pub failpoint: Option<Failpoint>,
}

/// Where values come from: the environment, or a map in a test.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The process's environment, and below it the file `.env` of the working directory.
pub fn environment(name: &str) -> Option<String> {
    static FILE: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
        std::fs::read_to_string(".env").map(|text| dot_env(&text)).unwrap_or_default()
    });
    std::env::var(name).ok().or_else(|| FILE.get(name).cloned())
}

/// Lines of `NAME=value`, perhaps with `export` before or quotes around; `#` begins a comment line.
fn dot_env(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let pairs =
        lines.filter_map(|line| line.strip_prefix("export ").unwrap_or(line).split_once('='));
    let unquoted = |value: &str| {
        let value = value.trim();
        let quoted = ['"', '\''].iter().find_map(|q| value.strip_prefix(*q)?.strip_suffix(*q));
        quoted.unwrap_or(value).to_owned()
    };
    pairs.map(|(name, value)| (name.trim().to_owned(), unquoted(value))).collect()
}

impl Settings {
    /// Reads all settings; the error names the variable and what would be right.
    pub fn read(lookup: Lookup<'_>) -> Result<Self> {
        let get = |name: &str| value(lookup, name);
        let gitlab = GitLabSettings::read(lookup)?;
        let (sqlite, postgres) = database(lookup)?;
        let data_dir = match sqlite {
            Some(dir) => dir,
            None => get("ALDIS_DATA_DIR")?.unwrap_or_else(|| "./aldis-data".to_owned()),
        };
        Ok(Self {
            gitlab,
            hooks: hook_secrets(lookup)?,
            roles: Roles::default(),
            listen: parsed(lookup, "ALDIS_LISTEN", "an address and port such as 127.0.0.1:8080")?
                .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080))),
            base_url: parsed(lookup, "ALDIS_BASE_URL", "a URL such as https://aldis.example.org")?,
            data_dir: data_dir.into(),
            postgres,
            amqp: broker(lookup)?,
            spool_limit: within(lookup, "ALDIS_SPOOL_LIMIT", SPOOL)?.unwrap_or(1024) << 20,
            key_file: get("ALDIS_SECRET_KEY_FILE")?.map(PathBuf::from),
            executor: executor(lookup)?,
            slots: slots(lookup)?,
            stop_delay: Duration::from_secs(
                within(lookup, "ALDIS_STOP_DELAY", STOP_DELAY)?.unwrap_or(0),
            ),
            stop_timeout: stop_timeout(lookup)?,
            bootstrap_token: get("ALDIS_BOOTSTRAP_TOKEN")?.map(SecretString::from),
            failpoint: match get("ALDIS_FAILPOINT")? {
                Some(text) => {
                    Some(text.parse().map_err(|e| anyhow::anyhow!("ALDIS_FAILPOINT: {e}"))?)
                }
                None => None,
            },
        })
    }
}

impl Settings {
    /// Where the store is.
    pub fn store(&self) -> aldis_store::Settings {
        aldis_store::Settings {
            postgres: self.postgres.clone(),
            key_file: self.key_file.clone(),
            failpoint: self.failpoint.clone(),
            ..aldis_store::Settings::in_dir(&self.data_dir)
        }
    }

    /// What weakens security, in words for people.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.gitlab.verify_tls {
            warnings.push(
                "GIT_SSL_VERIFY=false: anybody on the way to GitLab can read the token and change \
                 answers; set GITLAB_CA_FILE instead"
                    .to_owned(),
            );
        }
        if self.executor == Executor::Shell {
            warnings.push(
                "ALDIS_EXECUTOR=shell: jobs run without any isolation and can read everything that \
                 this server can"
                    .to_owned(),
            );
        }
        warnings
    }
}

fn hook_secrets(lookup: Lookup<'_>) -> Result<Secrets> {
    let mut secrets = Secrets::default();
    for name in ["GITLAB_WEBHOOK_SECRET", "GITLAB_WEBHOOK_SECRET_PREVIOUS"] {
        // GitLab sends it as a header's value.
        if value(lookup, name)?.is_some_and(|secret| !secret.bytes().all(|b| b.is_ascii_graphic()))
        {
            bail!("{name} should hold only letters, digits and signs of ASCII, without spaces");
        }
        secrets.tokens.extend(value(lookup, name)?.map(SecretString::from));
    }
    for name in ["GITLAB_WEBHOOK_SIGNING_TOKEN", "GITLAB_WEBHOOK_SIGNING_TOKEN_PREVIOUS"] {
        if let Some(text) = value(lookup, name)?.map(SecretString::from) {
            secrets
                .signing
                .push(SigningKey::parse(text.expose_secret()).with_context(|| name.to_owned())?);
        }
    }
    if secrets.tokens.is_empty() && secrets.signing.is_empty() {
        bail!(
            "GITLAB_WEBHOOK_SECRET is not set; deliveries could not be told from forgeries. \
             Make one with `openssl rand -hex 32`, or set GITLAB_WEBHOOK_SIGNING_TOKEN"
        );
    }
    Ok(secrets)
}

/// The directory of an SQLite database, or the URL of a Postgres database. The text is not repeated
/// in an error: it may hold a password.
fn database(lookup: Lookup<'_>) -> Result<(Option<String>, Option<SecretString>)> {
    let Some(url) = value(lookup, "ALDIS_DATABASE_URL")? else { return Ok((None, None)) };
    if let Some(dir) = url.strip_prefix("sqlite:") {
        let dir = dir.trim_start_matches("//").to_owned();
        return Ok((Some(dir).filter(|dir| !dir.is_empty()), None));
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok((None, Some(url.into())));
    }
    bail!(
        "ALDIS_DATABASE_URL should be sqlite:DIRECTORY or \
         postgres://user:password@host:5432/database"
    );
}

fn broker(lookup: Lookup<'_>) -> Result<Option<Broker>> {
    let url = value(lookup, "ALDIS_AMQP_URL")?;
    url.map(|url| Broker::at(url.into())).transpose().context("ALDIS_AMQP_URL")
}

fn executor(lookup: Lookup<'_>) -> Result<Executor> {
    match value(lookup, "ALDIS_EXECUTOR")?.as_deref() {
        None | Some("bubblewrap") => Ok(Executor::Bubblewrap),
        Some("shell") => Ok(Executor::Shell),
        Some(other) => bail!("ALDIS_EXECUTOR: `{other}` should be bubblewrap or shell"),
    }
}

/// Without a slot nothing would ever run, and nobody would be told why.
fn slots(lookup: Lookup<'_>) -> Result<u16> {
    Ok(within(lookup, "ALDIS_SLOTS", SLOTS)?.unwrap_or(2))
}

fn stop_timeout(lookup: Lookup<'_>) -> Result<Duration> {
    let seconds = parsed(lookup, "ALDIS_STOP_TIMEOUT", "a number of seconds")?;
    Ok(Duration::from_secs(seconds.unwrap_or(300)))
}

fn within<T>(lookup: Lookup<'_>, name: &str, range: RangeInclusive<T>) -> Result<Option<T>>
where
    T: FromStr + PartialOrd + Display,
{
    let right = format!("a number from {} to {}", range.start(), range.end());
    match parsed(lookup, name, &right)? {
        Some(number) if !range.contains(&number) => bail!("{name}: `{number}` should be {right}"),
        number => Ok(number),
    }
}

fn parsed<T: FromStr>(lookup: Lookup<'_>, name: &str, right: &str) -> Result<Option<T>> {
    let Some(text) = value(lookup, name)? else { return Ok(None) };
    let value = text.parse().ok().with_context(|| format!("{name}: `{text}` should be {right}"))?;
    Ok(Some(value))
}

/// A value, or the content of the file that `<name>_FILE` names. Empty counts as not set.
fn value(lookup: Lookup<'_>, name: &str) -> Result<Option<String>> {
    let file = lookup(&format!("{name}_FILE")).filter(|path| !path.is_empty());
    let text = match file {
        // `GITLAB_CA_FILE` and `ALDIS_SECRET_KEY_FILE` are settings of their own.
        Some(path) if !matches!(name, "GITLAB_CA" | "ALDIS_SECRET_KEY") => Some(
            std::fs::read_to_string(&path)
                .with_context(|| format!("{name}_FILE: cannot read {path}"))?,
        ),
        _ => lookup(name),
    };
    Ok(text.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[(&str, &str)]) -> Result<Settings> {
        let lookup = |name: &str| {
            values.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        Settings::read(&lookup)
    }

    const LEAST: [(&str, &str); 3] = [
        ("GITLAB_URL", "https://git.example.org/gitlab/"),
        ("GITLAB_TOKEN", "t"),
        ("GITLAB_WEBHOOK_SECRET", "s"),
    ];

    #[test]
    fn three_values_are_enough() {
        let settings = read(&LEAST).unwrap();
        assert_eq!(settings.gitlab.url, "https://git.example.org/gitlab");
        assert_eq!((settings.slots, settings.listen.port()), (2, 8080));
        assert_eq!(settings.spool_limit, 1 << 30);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |name: &'static str, text: &'static str| {
            let mut values = LEAST.to_vec();
            values.insert(0, (name, text));
            format!("{:#}", read(&values).unwrap_err())
        };
        assert_eq!(
            wrong("GITLAB_URL", "gitlab"),
            "GITLAB_URL should be a URL such as https://gitlab.example.org, without user and password"
        );
        assert_eq!(
            wrong("ALDIS_LISTEN", "8080"),
            "ALDIS_LISTEN: `8080` should be an address and port such as 127.0.0.1:8080"
        );
        assert_eq!(
            wrong("ALDIS_EXECUTOR", "docker"),
            "ALDIS_EXECUTOR: `docker` should be bubblewrap or shell"
        );
        for slots in ["0", "1001", "70000", "-1", "two"] {
            let said = wrong("ALDIS_SLOTS", slots);
            assert_eq!(said, format!("ALDIS_SLOTS: `{slots}` should be a number from 1 to 1000"));
        }
        assert_eq!(
            wrong("ALDIS_SPOOL_LIMIT", "1 GiB"),
            "ALDIS_SPOOL_LIMIT: `1 GiB` should be a number from 0 to 1048576"
        );
        assert!(
            wrong("GITLAB_WEBHOOK_SIGNING_TOKEN", "abc")
                .starts_with("GITLAB_WEBHOOK_SIGNING_TOKEN: ")
        );
        assert!(wrong("GITLAB_WEBHOOK_SECRET", "schlüssel").contains("of ASCII"));
        assert!(wrong("GITLAB_TOKEN", " ").starts_with("GITLAB_TOKEN is not set"));
    }

    #[test]
    fn the_url_chooses_the_database() {
        let with = |url: &'static str| {
            let mut values = LEAST.to_vec();
            values.push(("ALDIS_DATABASE_URL", url));
            read(&values)
        };
        let dir = |url| with(url).unwrap().data_dir.display().to_string();
        assert_eq!(
            (dir("sqlite:/srv/aldis"), dir("sqlite:///srv/a")),
            ("/srv/aldis".to_owned(), "/srv/a".to_owned())
        );
        assert_eq!(
            (dir("sqlite:"), dir("")),
            ("./aldis-data".to_owned(), "./aldis-data".to_owned())
        );
        let postgres = with("postgres://u:secret@h/d").unwrap();
        assert!(postgres.postgres.is_some() && !format!("{postgres:?}").contains("secret"));
        let said = format!("{:#}", with("mysql://u:secret@h/d").unwrap_err());
        assert!(said.starts_with("ALDIS_DATABASE_URL should be sqlite:"), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }

    #[test]
    fn an_env_file_is_read_as_shells_read_it() {
        let file =
            dot_env("# bot\nGITLAB_URL=https://git.example.org\n\nexport A = 'b c'\nC=\"d=e\"\n");
        let pairs: Vec<_> = file.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(pairs, [("A", "b c"), ("C", "d=e"), ("GITLAB_URL", "https://git.example.org")]);
    }

    #[test]
    fn a_value_can_stand_in_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "from-file\n").unwrap();
        let mut values = LEAST.to_vec();
        let path = file.path().to_str().unwrap().to_owned();
        let path: &'static str = Box::leak(path.into_boxed_str());
        values.push(("GITLAB_TOKEN_FILE", path));
        assert_eq!(read(&values).unwrap().gitlab.token.expose_secret(), "from-file");
    }
}
