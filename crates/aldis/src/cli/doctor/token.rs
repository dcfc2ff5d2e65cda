//! The API token: whose it is, what it may do, and until when.

use aldis_gitlab::{Error, GitLab, Token, User};
use jiff::civil::Date;

use super::report::Report;

const WANTED: &str = "a project or group access token with scope `api`";

/// What the token's scopes allow, whatever its user's role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rights {
    Write,
    /// Reading at most.
    NoWrite,
    /// GitLab did not tell.
    Unknown,
}

/// GitLab did not say whose the token is.
pub(super) fn refused(report: &mut Report, error: &Error) {
    match error {
        Error::Unauthorized(context) => report.fail(
            "token",
            format!("GitLab does not accept it: {}", context.message),
            format!("make {WANTED} and set GITLAB_TOKEN"),
        ),
        Error::Forbidden { scope: Some(_), .. } => report.fail(
            "token",
            "its scopes allow no API calls",
            format!("make {WANTED} and set GITLAB_TOKEN"),
        ),
        other => report.fail("token", other.context().to_string(), "try again later"),
    }
}

pub(super) async fn check(report: &mut Report, gitlab: &GitLab, user: &User) -> Rights {
    owner(report, user);
    match gitlab.token_self().await {
        Ok(token) => {
            let rights = scopes(report, &token);
            let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
            expiry(report, token.expires_at, today);
            rights
        }
        Err(error) => {
            report.warn(
                "token scopes",
                format!("GitLab tells neither scopes nor expiry: {}", error.context()),
                format!("see that it is {WANTED}"),
            );
            Rights::Unknown
        }
    }
}

fn owner(report: &mut Report, user: &User) {
    let name = &user.username;
    let kind = if numbered(name, "project_") {
        "of a project access token"
    } else if numbered(name, "group_") {
        "of a group access token"
    } else if name.starts_with("service_account") {
        "of a service account"
    } else {
        match user.bot {
            Some(true) => "a bot user",
            Some(false) => {
                return report.warn(
                    "token owner",
                    format!(
                        "{name} is a person: what the bot writes stands under this name, and \
                         ends with the account"
                    ),
                    "use a bot user: a project or group access token, or a service account",
                );
            }
            None => "of a kind that this GitLab does not tell",
        }
    };
    report.ok("token owner", format!("{name}, {kind}"));
}

/// `project_12_bot_…` and `group_12_bot_…`, as GitLab names such users.
fn numbered(name: &str, start: &str) -> bool {
    let rest = name.strip_prefix(start).and_then(|rest| rest.split_once('_'));
    rest.is_some_and(|(number, rest)| {
        rest.starts_with("bot") && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
    })
}

fn scopes(report: &mut Report, token: &Token) -> Rights {
    let has = |scope: &str| token.scopes.iter().any(|has| has == scope);
    let listed = if token.scopes.is_empty() { "none".to_owned() } else { token.scopes.join(", ") };
    if has("api") {
        report.ok("token scopes", listed);
        Rights::Write
    } else if has("granular") {
        report.warn(
            "token scopes",
            format!("{listed}: a fine-grained token, whose permissions GitLab does not list"),
            "see that it may write commit statuses, notes, environments and deployments, and read \
             projects, members, repositories and webhooks",
        );
        Rights::Unknown
    } else {
        report.fail(
            "token scopes",
            format!("{listed}: nothing can be written without `api`"),
            format!("make {WANTED} and set GITLAB_TOKEN"),
        );
        Rights::NoWrite
    }
}

fn expiry(report: &mut Report, ends: Option<Date>, today: Date) {
    const CHECK: &str = "token expiry";
    let Some(ends) = ends else { return report.ok(CHECK, "no date") };
    let days = today.until(ends).map_or(i32::MAX, |span| span.get_days());
    let found = match days {
        ..=0 => format!("{ends}: it has expired"),
        1 => format!("{ends}: it expires tomorrow"),
        _ => format!("{ends}: {days} days are left"),
    };
    match days {
        ..=0 => report.fail(CHECK, found, "rotate it now and set GITLAB_TOKEN"),
        1..=7 => report.warn(CHECK, found, "rotate it now: then the bot falls silent"),
        8..=14 => report.warn(CHECK, found, "rotate it this week and set GITLAB_TOKEN"),
        15..=30 => report.warn(
            CHECK,
            found,
            "rotate it soon; rotation keeps the bot's user, a new token does not",
        ),
        _ => report.ok(CHECK, found),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn the_end_comes_closer_in_steps() {
        let today = date(2026, 2, 1);
        let mut report = Report::default();
        for ends in [
            date(2027, 2, 1),
            date(2026, 3, 3),
            date(2026, 2, 15),
            date(2026, 2, 8),
            date(2026, 2, 2),
            today,
        ] {
            expiry(&mut report, Some(ends), today);
        }
        expiry(&mut report, None, today);
        insta::assert_snapshot!(report.text(false), @"
        ok    token expiry  2027-02-01: 365 days are left
        warn  token expiry  2026-03-03: 30 days are left
                            -> rotate it soon; rotation keeps the bot's user, a new token does not
        warn  token expiry  2026-02-15: 14 days are left
                            -> rotate it this week and set GITLAB_TOKEN
        warn  token expiry  2026-02-08: 7 days are left
                            -> rotate it now: then the bot falls silent
        warn  token expiry  2026-02-02: it expires tomorrow
                            -> rotate it now: then the bot falls silent
        FAIL  token expiry  2026-02-01: it has expired
                            -> rotate it now and set GITLAB_TOKEN
        ok    token expiry  no date

        2 ok, 4 to consider, 1 failed
        ");
    }

    #[test]
    fn users_are_told_apart_by_their_names() {
        let mut report = Report::default();
        for (username, bot) in [
            ("project_42_bot_0a1b", Some(true)),
            ("group_7_bot", Some(true)),
            ("service_account_0a1b", Some(true)),
            ("aldis", Some(true)),
            ("aldis", None),
            ("project_manager_bot", Some(false)),
        ] {
            owner(&mut report, &User { id: 1, username: username.to_owned(), bot });
        }
        insta::assert_snapshot!(report.text(false), @"
        ok    token owner  project_42_bot_0a1b, of a project access token
        ok    token owner  group_7_bot, of a group access token
        ok    token owner  service_account_0a1b, of a service account
        ok    token owner  aldis, a bot user
        ok    token owner  aldis, of a kind that this GitLab does not tell
        warn  token owner  project_manager_bot is a person: what the bot writes stands under this name, and ends with the account
                           -> use a bot user: a project or group access token, or a service account

        5 ok, 1 to consider, 0 failed
        ");
    }
}
