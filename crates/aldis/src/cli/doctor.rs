//! `aldis doctor`: looks at settings, machine, GitLab and projects, and says what to do. Called by
//! hand, also beside a running server.
//!
//! Never here: a write to GitLab or to the database, or a secret in what is said.

mod clone_token;
mod config;
mod data;
mod gitlab;
mod hooks;
mod machine;
mod project;
mod report;
mod role;
mod token;

use std::io::{IsTerminal, Write, stdout};

use anyhow::Result;
use url::Url;

use super::place;
use crate::settings::{GitLabSettings, Settings, environment};
use data::{Data, Known};
use gitlab::Bot;
use hooks::Target;
use report::Report;

/// Projects that are looked at without being named.
const UNNAMED: usize = 20;

/// What is asked for.
#[derive(Debug)]
pub(super) struct Asked {
    /// Numeric ids or paths; none for those that the log knows.
    pub(super) projects: Vec<String>,
    pub(super) hook_url: Option<Url>,
    pub(super) json: bool,
}

pub(super) async fn run(asked: Asked) -> Result<u8> {
    let mut report = Report::default();
    examine(&asked, &mut report).await;
    let mut out = stdout().lock();
    if asked.json {
        writeln!(out, "{}", report.json())?;
    } else {
        let colour = out.is_terminal();
        out.write_all(report.text(colour).as_bytes())?;
    }
    Ok(u8::from(report.failed()))
}

async fn examine(asked: &Asked, report: &mut Report) {
    let whole = Settings::read(&environment);
    match &whole {
        Ok(_) => report.ok("settings", "all can be read"),
        Err(error) => report.fail(
            "settings",
            format!("{error:#}"),
            "correct this variable; `aldis serve` does not start before",
        ),
    }
    let local = place::local(&environment);
    let mut known = Known::default();
    if let Ok(local) = &local {
        let data = data::check(report, local).await;
        if data != Data::Unusable {
            machine::check(report, local).await;
        }
        if data == Data::Log
            && let Ok(gitlab) = GitLabSettings::read(&environment)
        {
            known = Known::read(local, &gitlab.url).await;
        }
    }
    let Ok(settings) = GitLabSettings::read(&environment) else { return };
    let Some(bot) = gitlab::check(report, &settings).await else { return };
    let secrets = whole.as_ref().ok().map(|settings| &settings.hooks);
    let target = Target::new(report, asked.hook_url.as_ref(), local.as_ref().ok());
    projects(asked, report, &bot, &known, &hooks::Wanted { target, secrets }).await;
}

async fn projects(
    asked: &Asked,
    report: &mut Report,
    bot: &Bot,
    known: &Known,
    wanted: &hooks::Wanted<'_>,
) {
    let mut names = asked.projects.clone();
    if names.is_empty() {
        names = known.ids().take(UNNAMED).map(|id| id.to_string()).collect();
        let left = known.ids().count() - names.len();
        if names.is_empty() {
            report.warn(
                "projects",
                "none was looked at: none is named and none has sent anything yet",
                "name those that are to use Aldis: `aldis doctor --project ID`",
            );
        } else if left > 0 {
            let found = format!("{left} more have sent deliveries and were not looked at");
            report.warn("projects", found, "name them with --project");
        }
    }
    for name in &names {
        report.about(name);
        project::check(report, bot, known, wanted, name).await;
    }
}
