//! The commands of the `aldis` program.

mod doctor;
mod lint;
mod log;
mod place;
mod progress;
mod projections;
mod serve;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use url::Url;

use crate::roles::Role;

/// CI feedback for GitLab from an event log: statuses, a merge-request comment, deployments.
#[derive(Debug, Parser)]
#[command(name = "aldis", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the bot: webhooks, planning, jobs, feedback and pages in one process.
    Serve {
        /// Be only these parts of it, beside other processes on the same Postgres database.
        #[arg(long = "role", value_name = "ROLE", value_enum, value_delimiter = ',')]
        roles: Vec<Role>,
    },
    /// See it work: a simulated GitLab, a sample project, and the bot.
    #[cfg(feature = "demo")]
    Demo {
        /// End when all is shown; the exit code is 0 only if all of it arrived.
        #[arg(long)]
        once: bool,
    },
    /// Find out what keeps the bot from working, and what to do about it.
    ///
    /// Looks at the settings, this machine, GitLab, the token and projects. Reads only: nothing is
    /// written to GitLab or the database; the data directory is made if there is none. Works beside
    /// a running server. Exit code 1: something failed.
    Doctor {
        /// Look at this project, too; may be given several times. A path works once the project
        /// has sent a delivery. Without it: projects that have sent some.
        #[arg(long = "project", value_name = "ID_OR_PATH")]
        projects: Vec<String>,
        /// URL that the projects' webhooks should have, if not that below ALDIS_BASE_URL.
        #[arg(long, value_name = "URL", value_parser = web_url)]
        hook_url: Option<Url>,
        /// Print the checks as a JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Check a config file as the bot will, without GitLab or a server.
    ///
    /// Exit code 0: the file can be used, perhaps with warnings. 1: it cannot.
    Lint {
        /// The config file.
        #[arg(default_value = ".aldis.yml")]
        file: PathBuf,
        /// Print the findings as a JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Look at the event log.
    #[command(subcommand)]
    Log(LogCommand),
    /// Look after the documents that pages read.
    #[command(subcommand)]
    Projections(ProjectionsCommand),
}

#[derive(Debug, Subcommand)]
enum LogCommand {
    /// Check that no event was changed, removed or slipped in.
    ///
    /// Reads the whole log in the data directory and follows its chain of hashes. Works beside a
    /// running server and changes nothing. Exit code 1: the log is broken.
    Verify {
        /// Print the result as a JSON object.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum ProjectionsCommand {
    /// Drop the documents and make them anew from the log. Stop `aldis serve` first.
    Rebuild {
        /// Only this one: projects, deliveries, runs or changes.
        name: Option<String>,
    },
}

fn web_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or("write it as https://aldis.example.org/api/webhooks/gitlab")
}

impl Cli {
    /// Carries the command out; returns the exit code.
    pub async fn run(self) -> anyhow::Result<u8> {
        match self.command {
            Command::Serve { roles } => serve::run(roles).await,
            #[cfg(feature = "demo")]
            Command::Demo { once } => crate::demo::run(once).await,
            Command::Doctor { projects, hook_url, json } => {
                doctor::run(doctor::Asked { projects, hook_url, json }).await
            }
            Command::Lint { file, json } => lint::run(&file, json),
            Command::Log(LogCommand::Verify { json }) => log::verify(json).await,
            Command::Projections(ProjectionsCommand::Rebuild { name }) => {
                projections::rebuild(name.as_deref()).await
            }
        }
    }
}
