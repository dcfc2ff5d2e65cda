//! Settings about GitLab's API and git. Whoever only looks at GitLab reads these alone.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use secrecy::SecretString;
use url::Url;

use super::{Lookup, parsed, value};

/// How GitLab is reached.
#[derive(Debug, Clone)]
pub struct GitLabSettings {
    pub url: String,
    pub token: SecretString,
    /// For cloning; without it the API's token does that too.
    pub git_user: Option<String>,
    pub git_token: Option<SecretString>,
    pub ca_file: Option<PathBuf>,
    pub verify_tls: bool,
    /// API calls per minute, at most.
    pub budget: u32,
}

impl GitLabSettings {
    /// The part that `doctor` needs, too.
    pub fn read(lookup: Lookup<'_>) -> Result<Self> {
        let get = |name: &str| value(lookup, name);
        let needed = |name: &'static str| {
            get(name)?.with_context(|| format!("{name} is not set; it is needed"))
        };
        let url = needed("GITLAB_URL")?;
        let parsed_url = Url::parse(&url).ok().filter(|u| matches!(u.scheme(), "http" | "https"));
        // The text is not repeated: it may hold a password.
        if parsed_url.is_none_or(|u| !u.username().is_empty() || u.password().is_some()) {
            bail!(
                "GITLAB_URL should be a URL such as https://gitlab.example.org, without user and \
                 password"
            );
        }
        let verify = get("GIT_SSL_VERIFY")?;
        let verify_tls = match verify.as_deref() {
            None | Some("true" | "1" | "yes") => true,
            Some("false" | "0" | "no") => false,
            Some(other) => bail!("GIT_SSL_VERIFY: `{other}` should be true or false"),
        };
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            token: needed("GITLAB_TOKEN")?.into(),
            git_user: get("GIT_AUTH_USER")?,
            git_token: get("GIT_AUTH_TOKEN")?.map(SecretString::from),
            ca_file: get("GITLAB_CA_FILE")?.map(PathBuf::from),
            verify_tls,
            budget: parsed(lookup, "GITLAB_API_BUDGET", "a number of calls per minute")?
                .unwrap_or(600),
        })
    }
}
