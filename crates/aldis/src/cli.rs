//! The commands of the `aldis` program.

mod serve;

use clap::{Parser, Subcommand};

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
    Serve,
    /// See it work: a simulated GitLab, a sample project, and the bot.
    #[cfg(feature = "demo")]
    Demo {
        /// End when all is shown; the exit code is 0 only if all of it arrived.
        #[arg(long)]
        once: bool,
    },
}

impl Cli {
    /// Carries the command out; returns the exit code.
    pub async fn run(self) -> anyhow::Result<u8> {
        match self.command {
            Command::Serve => serve::run().await,
            #[cfg(feature = "demo")]
            Command::Demo { once } => crate::demo::run(once).await,
        }
    }
}
