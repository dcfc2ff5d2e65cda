//! The commands of the `aldis` program.

mod archive;
mod doctor;
mod export;
mod healthy;
mod import;
mod lint;
mod log;
mod place;
mod progress;
mod projections;
mod runner;
mod runners;
mod serve;

use std::path::PathBuf;

use aldis_dispatch::DEFAULT_POOL;
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
    /// Execute runs of a server on another machine. Needs neither its database nor GitLab's API.
    ///
    /// ALDIS_SERVER_URL and ALDIS_RUNNER_TOKEN say where they come from.
    Runner,
    /// Say who may execute runs on other machines.
    #[command(subcommand)]
    Runners(RunnersCommand),
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
    /// Ask whether the process that has these settings is ready, as health checks do.
    ///
    /// `aldis serve` is asked at ALDIS_LISTEN. `aldis runner` listens nowhere; its server is asked.
    /// Exit code 0: it is ready.
    Healthy,
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
    /// Write the whole bot into one file, to keep it or to move it to another database.
    ///
    /// Works beside a running server, and the file holds one moment. To move, stop the server
    /// first. The file holds webhooks, job output, and secrets as they are sealed: the key that
    /// opens them is not in it.
    Export {
        /// The file, which must not be there yet; `-` for the output.
        file: PathBuf,
        /// Print the result as a JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Read what `aldis export` wrote into an empty database, all of it or nothing.
    ///
    /// The database is that of the settings, SQLite or Postgres, and is made if there is none. At
    /// the end the log is checked as by `aldis log verify`.
    Import {
        /// The file; `-` for the input.
        file: PathBuf,
        /// Print the result as a JSON object.
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

#[derive(Debug, Subcommand)]
enum RunnersCommand {
    /// Let a runner in. Prints its token, which is kept nowhere.
    Add {
        /// What it is called on run pages.
        name: String,
        /// Give it runs of this pool; may be given several times.
        #[arg(long = "pool", value_name = "POOL", default_value = DEFAULT_POOL)]
        pools: Vec<String>,
    },
    /// List all runners and when they were last heard of.
    List {
        /// Print them as a JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Let a runner in no more. What it is executing goes to others when its lease ends.
    Rm { name: String },
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
            Command::Runner => runner::run().await,
            Command::Runners(RunnersCommand::Add { name, pools }) => {
                runners::add(&name, &pools).await
            }
            Command::Runners(RunnersCommand::List { json }) => runners::list(json).await,
            Command::Runners(RunnersCommand::Rm { name }) => runners::remove(&name).await,
            #[cfg(feature = "demo")]
            Command::Demo { once } => crate::demo::run(once).await,
            Command::Doctor { projects, hook_url, json } => {
                doctor::run(doctor::Asked { projects, hook_url, json }).await
            }
            Command::Healthy => healthy::run().await,
            Command::Lint { file, json } => lint::run(&file, json),
            Command::Export { file, json } => export::run(&file, json).await,
            Command::Import { file, json } => import::run(&file, json).await,
            Command::Log(LogCommand::Verify { json }) => log::verify(json).await,
            Command::Projections(ProjectionsCommand::Rebuild { name }) => {
                projections::rebuild(name.as_deref()).await
            }
        }
    }
}
