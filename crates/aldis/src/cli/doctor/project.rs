//! One project: whether the bot sees it, what it may do there, and how the project is set up.

use aldis_gitlab::{Error, Project, ProjectInfo};

use super::config;
use super::data::Known;
use super::gitlab::Bot;
use super::hooks::{self, Wanted};
use super::report::Report;
use super::role::{self, DEVELOPER, MAINTAINER};
use super::token::Rights;

pub(super) async fn check(
    report: &mut Report,
    bot: &Bot,
    known: &Known,
    wanted: &Wanted<'_>,
    name: &str,
) {
    let id = match name.parse() {
        Ok(id) => id,
        Err(_) => match bot.gitlab.project_by_path(name).await {
            Ok(info) => info.id,
            // It may have had this path when it last sent something.
            Err(error) => match known.by_path(name) {
                Some(id) => id,
                None => return invisible(report, bot, &error),
            },
        },
    };
    let project = bot.gitlab.project(id);
    let info = match project.get().await {
        Ok(info) => info,
        Err(error) => return invisible(report, bot, &error),
    };
    let named = format!("{}, number {}", info.path_with_namespace, info.id);
    if info.archived {
        report.fail(
            "project",
            format!("{named}: archived, so nothing can be written"),
            "unarchive it",
        );
    } else {
        report.ok("project", named);
    }
    let level = membership(report, bot, project).await;
    if let Some(level) = level {
        writes(report, bot.rights, level);
    }
    match &info.default_branch {
        None => {
            report.warn("config", "the repository is empty", "push a commit with an `.aldis.yml`");
        }
        Some(branch) => {
            protection(report, project, branch, level).await;
            config::check(report, project, branch).await;
        }
    }
    hooks::check(report, project, wanted, known.contains(id)).await;
    renamed(report, name, &info);
}

fn invisible(report: &mut Report, bot: &Bot, error: &Error) {
    let user = &bot.user.username;
    match error {
        Error::NotFound(_) => report.fail(
            "project",
            format!("there is none, or {user} may not see it"),
            format!("check its number or path, or invite {user} as Developer"),
        ),
        Error::Forbidden { .. } => report.fail(
            "project",
            "the token may not read projects",
            "make a token with scope `api`",
        ),
        other => report.fail("project", other.context().to_string(), "try again later"),
    }
}

/// The path that was asked for may have gone to another project since.
fn renamed(report: &mut Report, name: &str, info: &ProjectInfo) {
    if name.parse::<u64>().is_err() && name != info.path_with_namespace {
        report.warn(
            "project",
            format!("it was called {name} when it last sent something"),
            "give its number if you mean this one",
        );
    }
}

/// The bot's level; `None`: GitLab did not tell.
async fn membership(report: &mut Report, bot: &Bot, project: Project<'_>) -> Option<u32> {
    let user = &bot.user.username;
    match project.member(bot.user.id).await {
        Ok(Some(member)) => {
            report.ok("role", format!("{user} is {}", role::words(member.access_level)));
            Some(member.access_level)
        }
        Ok(None) => {
            report.fail(
                "role",
                format!("{user} is no member of the project or its groups"),
                format!("invite {user} as Developer, or Maintainer if branches are protected"),
            );
            None
        }
        Err(error) => {
            report.warn(
                "role",
                format!("GitLab does not tell {user}'s role: {}", error.context()),
                "see that it is Developer or higher",
            );
            None
        }
    }
}

/// Nothing is tried out: what may be written follows from role and scope
/// (`app/policies/project_policy.rb`).
fn writes(report: &mut Report, rights: Rights, level: u32) {
    const CHECK: &str = "writing";
    const WHAT: &str = "statuses, notes and deployments";
    let role = role::words(level);
    if level < DEVELOPER {
        return report.fail(
            CHECK,
            format!("{WHAT} will be refused: {role} is too low"),
            "raise the bot's role to Developer",
        );
    }
    match rights {
        Rights::Write => report.ok(
            CHECK,
            format!("{WHAT} are allowed, by {role} and scope `api`; nothing was written to see it"),
        ),
        Rights::NoWrite => report.fail(
            CHECK,
            format!("{WHAT} will be refused: {role} is enough, but the token lacks scope `api`"),
            "make a token with scope `api`",
        ),
        Rights::Unknown => report.warn(
            CHECK,
            format!("{role} is enough for {WHAT}; whether the token is, GitLab does not tell"),
            "look at the first push's statuses",
        ),
    }
}

async fn protection(report: &mut Report, project: Project<'_>, branch: &str, level: Option<u32>) {
    const CHECK: &str = "default branch";
    match project.branch(branch).await {
        Ok(Some(found)) if !found.protected => {
            report.ok(CHECK, format!("{branch} is not protected"));
        }
        Ok(Some(_)) if level.is_some_and(|level| level >= MAINTAINER) => {
            report.ok(CHECK, format!("{branch} is protected, and the bot is Maintainer"));
        }
        Ok(Some(_)) => report.warn(
            CHECK,
            format!(
                "{branch} is protected: statuses on protected branches will be refused (403), \
                 unless the bot may push there"
            ),
            "raise the bot's role to Maintainer, or let it push to the protected branch",
        ),
        Ok(None) => report.warn(CHECK, format!("{branch} does not exist"), "push it"),
        Err(error) => report.warn(
            CHECK,
            format!("GitLab does not show {branch}: {}", error.context()),
            "see that the bot may read the repository (Reporter or higher)",
        ),
    }
}
