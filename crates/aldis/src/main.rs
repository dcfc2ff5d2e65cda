//! The `aldis` program.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use aldis::cli::Cli;
use aldis::settings::environment;
use clap::Parser;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    log();
    match cli.run().await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // Nothing can be done about an error stream that is closed.
            let _ = writeln!(std::io::stderr(), "aldis: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn log() {
    let filter = environment("ALDIS_LOG").unwrap_or_else(|| "info".to_owned());
    let filter = EnvFilter::try_new(&filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if environment("ALDIS_LOG_FORMAT").is_some_and(|format| format == "json") {
        log.json().init();
    } else {
        log.with_ansi(std::io::stderr().is_terminal()).init();
    }
}
