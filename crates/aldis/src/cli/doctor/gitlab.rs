//! Whether GitLab can be reached, and who the bot is there.

use aldis_gitlab::{Error, GitLab};
use url::Url;

use super::clone_token;
use super::report::Report;
use super::token::{self, Rights};
use crate::connect;
use crate::settings::GitLabSettings;

/// The bot as GitLab knows it.
pub(super) struct Bot {
    pub(super) gitlab: GitLab,
    pub(super) user: aldis_gitlab::User,
    pub(super) rights: Rights,
}

/// `None`: nothing more can be asked.
pub(super) async fn check(report: &mut Report, settings: &GitLabSettings) -> Option<Bot> {
    let gitlab = match connect::client(settings, None) {
        Ok(gitlab) => gitlab,
        Err(error) => {
            report.fail("GitLab", format!("{error:#}"), "correct the settings");
            return None;
        }
    };
    tls(report, settings);
    if !reachable(report, settings, &gitlab).await {
        return None;
    }
    let user = match gitlab.user().await {
        Ok(user) => user,
        Err(error) => {
            token::refused(report, &error);
            return None;
        }
    };
    let rights = token::check(report, &gitlab, &user).await;
    clone_token::check(report, settings).await;
    Some(Bot { gitlab, user, rights })
}

fn tls(report: &mut Report, settings: &GitLabSettings) {
    let Ok(url) = Url::parse(&settings.url) else { return };
    if url.scheme() == "https" && !settings.verify_tls {
        report.warn(
            "TLS",
            "NOT VERIFIED: with GIT_SSL_VERIFY=false anybody on the way can read the token and \
             change answers and code",
            "unset GIT_SSL_VERIFY; name your own certificate authority in GITLAB_CA_FILE",
        );
    } else if url.scheme() == "https" {
        report.ok("TLS", "GitLab's certificate is verified");
    } else if url.host_str().is_some_and(is_loopback) {
        report.ok("TLS", "none, and none is needed on this machine");
    } else {
        report.warn(
            "TLS",
            "NONE: anybody on the way can read the token and change answers and code",
            "use https:// in GITLAB_URL",
        );
    }
}

pub(super) fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

async fn reachable(report: &mut Report, settings: &GitLabSettings, gitlab: &GitLab) -> bool {
    let url = &settings.url;
    let error = match gitlab.version().await {
        Ok(version) => {
            report.ok("GitLab", format!("{} at {url}", version.version));
            return true;
        }
        // It answered as GitLab does; what it says of the token comes next.
        Err(Error::Unauthorized(_) | Error::Forbidden { .. }) => {
            report.ok("GitLab", format!("answers at {url}"));
            return true;
        }
        Err(error) => error,
    };
    let found = format!("{url}: {}", error.context());
    let advice = match error {
        Error::NotSent(_) => {
            "check the host in GITLAB_URL, the network, and GITLAB_CA_FILE if GitLab has a \
             certificate of its own"
        }
        Error::RateLimited { .. } | Error::Server { .. } => "GitLab has a problem; try again later",
        _ => "no GitLab is there; GITLAB_URL is its base URL, with its sub-path if it has one",
    };
    report.fail("GitLab", found, advice);
    false
}
