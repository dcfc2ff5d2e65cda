//! The token for cloning, which every run's machine gets to hold in memory.

use aldis_gitlab::Error;
use secrecy::ExposeSecret;

use super::report::Report;
use crate::connect;
use crate::settings::GitLabSettings;

const CHECK: &str = "clone token";
const WANTED: &str = "set GIT_AUTH_TOKEN to a token with scope `read_repository`";

pub(super) async fn check(report: &mut Report, settings: &GitLabSettings) {
    let Some(token) = &settings.git_token else {
        return report.warn(CHECK, "none of its own: runs are cloned with the API token", WANTED);
    };
    if token.expose_secret() == settings.token.expose_secret() {
        return report.warn(CHECK, "the same as the API token", WANTED);
    }
    let settings = GitLabSettings { token: token.clone(), ..settings.clone() };
    let Ok(gitlab) = connect::client(&settings, None) else {
        return report.fail(CHECK, "it holds a control character", WANTED);
    };
    match gitlab.token_self().await {
        Ok(token) => {
            let enough = ["read_repository", "write_repository", "api"];
            let scopes = token.scopes.join(", ");
            if token.scopes.iter().any(|scope| enough.contains(&scope.as_str())) {
                report.ok(CHECK, format!("of its own, scopes {scopes}"));
            } else {
                report.fail(CHECK, format!("its scopes do not allow cloning: {scopes}"), WANTED);
            }
        }
        // Deploy tokens are good for git only, and have user names of their own.
        Err(Error::Unauthorized(_)) if settings.git_user.is_some() => report
            .ok(CHECK, "of its own; the API does not know it, which is right for a deploy token"),
        Err(Error::Unauthorized(context)) => report.fail(
            CHECK,
            format!("GitLab does not accept it: {}", context.message),
            format!("{WANTED}; for a deploy token set GIT_AUTH_USER, too"),
        ),
        Err(error) => report.warn(
            CHECK,
            format!("of its own; GitLab does not tell its scopes: {}", error.context()),
            "see that it has `read_repository`",
        ),
    }
}
