//! Settings of a runner that has a machine to itself.

use std::path::PathBuf;

use aldis_domain::config::Executor;
use aldis_runner::Server;
use anyhow::{Context, Result, bail};
use secrecy::SecretString;
use url::Url;

use super::{Lookup, executor, slots, stop_timeout, value};

/// Everything that the operator of such a runner decides.
#[derive(Debug, Clone)]
pub struct RunnerSettings {
    /// Where its runs come from.
    pub server: Server,
    /// Home of mirrors and run directories.
    pub data_dir: PathBuf,
    pub executor: Executor,
    pub slots: u16,
    /// How long runs may go on after it was asked to stop.
    pub stop_timeout: std::time::Duration,
}

impl RunnerSettings {
    /// Reads them; the error names the variable and what would be right.
    pub fn read(lookup: Lookup<'_>) -> Result<Self> {
        Self::find(lookup)?.context(
            "ALDIS_SERVER_URL is not set; it is the URL of an `aldis serve`, such as \
             https://aldis.example.org",
        )
    }

    /// The same where a process may be a runner or not: `None` without `ALDIS_SERVER_URL`.
    pub fn find(lookup: Lookup<'_>) -> Result<Option<Self>> {
        let get = |name: &str| value(lookup, name);
        let Some(url) = get("ALDIS_SERVER_URL")? else { return Ok(None) };
        let token = get("ALDIS_RUNNER_TOKEN")?.context(
            "ALDIS_RUNNER_TOKEN is not set; `aldis runners add NAME` makes one where the server \
             runs",
        )?;
        Ok(Some(Self {
            server: Server {
                url: server_url(&url)?,
                token: SecretString::from(token),
                ca_file: get("ALDIS_SERVER_CA_FILE")?.map(PathBuf::from),
            },
            data_dir: get("ALDIS_DATA_DIR")?.unwrap_or_else(|| "./aldis-data".to_owned()).into(),
            executor: executor(lookup)?,
            slots: slots(lookup)?,
            stop_timeout: stop_timeout(lookup)?,
        }))
    }

    /// For the runner itself, under the name that the server knows it by.
    pub(crate) fn runner(&self, name: &str) -> aldis_runner::Settings {
        crate::sandbox::runner(name, &self.data_dir, self.executor, self.slots)
    }

    /// What an operator should know.
    pub fn warnings(&self) -> Vec<String> {
        let url = &self.server.url;
        let is_near =
            url.host_str().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
        if url.scheme() == "http" && !is_near {
            return vec![
                "ALDIS_SERVER_URL: over http:// anybody on the way can read the runner's token and \
                 the token for cloning"
                    .to_owned(),
            ];
        }
        Vec::new()
    }
}

/// The text is not repeated in an error: it may hold a password.
fn server_url(text: &str) -> Result<Url> {
    let url = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    match url {
        Some(url) => Ok(url),
        None => bail!(
            "ALDIS_SERVER_URL should be a URL such as https://aldis.example.org, without user and \
             password"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[(&str, &str)]) -> Result<RunnerSettings> {
        RunnerSettings::read(&|name: &str| {
            values.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn it_needs_a_server_and_a_token_and_nothing_of_gitlab() {
        let said = |values: &[(&str, &str)]| format!("{:#}", read(values).unwrap_err());
        assert!(said(&[]).starts_with("ALDIS_SERVER_URL is not set"));
        let server = ("ALDIS_SERVER_URL", "https://aldis.example.org/ci");
        assert!(said(&[server]).starts_with("ALDIS_RUNNER_TOKEN is not set"));
        for wrong in ["aldis", "amqp://aldis", "https://u:sesame@aldis.example", "http://a/?b=c"] {
            let said = said(&[("ALDIS_SERVER_URL", wrong), ("ALDIS_RUNNER_TOKEN", "t")]);
            assert!(said.starts_with("ALDIS_SERVER_URL should be"), "{said}");
            assert!(!said.contains("sesame"));
        }
        let settings = read(&[server, ("ALDIS_RUNNER_TOKEN", "sesame")]).unwrap();
        assert_eq!((settings.slots, settings.executor), (2, Executor::Bubblewrap));
        assert!(!format!("{settings:?}").contains("sesame"));
    }

    #[test]
    fn a_token_in_the_clear_is_warned_of() {
        let warnings = |url| {
            read(&[("ALDIS_SERVER_URL", url), ("ALDIS_RUNNER_TOKEN", "t")])
                .unwrap()
                .warnings()
                .len()
        };
        assert_eq!(warnings("http://aldis.example.org"), 1);
        assert_eq!(warnings("https://aldis.example.org"), 0);
        assert_eq!(warnings("http://127.0.0.1:8080"), 0);
    }
}
