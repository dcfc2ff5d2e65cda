//! Measures the bot beside the floors of the same machine, in one run. `cargo xtask bench` builds
//! it together with `aldis`, as a release, and starts it. See `docs/benchmarks.md`.
//!
//! Never here: a time as a threshold of a test. It exits 0 unless it could not measure.

mod bot;
mod delivery;
mod floor;
mod load;
mod log;
mod measure;
mod place;
mod report;
mod world;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};

use measure::Plan;
use place::Place;
use report::Row;

const HELP: &str = "\
Measures the bot beside the floors of this machine, in one run.

Usage: cargo xtask bench [--quick] [--json] [--only GROUP]

  --quick        a short run: fewer rounds, wider spread
  --json         one JSON object instead of the table
  --only GROUP   only this group of rows:
                   disk        what the disk can do
                   ingest      from a POST to its durable answer
                   path        from a delivery to its first and its final status
                   memory      what the bot keeps resident
                   log         the store alone
                   postgres    the four above on Postgres, and claims
                   broker      hints through RabbitMQ, and a bot in four processes
                   crowds      200 and 500 deliveries at once, everywhere; not with --quick unless named
                   openloop    200 deliveries a second beside a rebuild and 20 runs
                   rebuild     a million events followed, and folded anew to the same bytes
                   scale, scale-postgres
                               what must not grow; each takes a quarter of an hour and 15 GB,
                               and runs only when it is named

Postgres and RabbitMQ are started from the installed programs, for each group anew.
";

/// The groups of rows, in the order in which they are measured.
const GROUPS: [&str; 12] = [
    "disk",
    "ingest",
    "path",
    "memory",
    "log",
    "postgres",
    "broker",
    "crowds",
    "openloop",
    "rebuild",
    "scale",
    "scale-postgres",
];
/// They run only when they are named,
const LONG: [&str; 2] = ["scale", "scale-postgres"];
/// and in a short run this one too.
const NOT_QUICK: &str = "crowds";

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish {
    quick: bool,
    json: bool,
    help: bool,
    only: Option<String>,
}

impl Wish {
    fn read(words: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut wish = Self::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--quick" => wish.quick = true,
                "--json" => wish.json = true,
                "--help" | "-h" => wish.help = true,
                "--only" => match words.next() {
                    Some(group) if GROUPS.contains(&group.as_str()) => wish.only = Some(group),
                    _ => bail!("--only needs one of {}", GROUPS.join(", ")),
                },
                other => bail!("`{other}` is not known; `cargo xtask bench --help` tells more"),
            }
        }
        Ok(wish)
    }

    fn includes(&self, group: &str) -> bool {
        match self.only.as_deref() {
            Some(only) => only == group,
            None => !(LONG.contains(&group) || self.quick && group == NOT_QUICK),
        }
    }
}

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let result = match words.first().map(String::as_str) {
        Some(floor::COMMAND) => floor::serve(Path::new(&words.pop().unwrap_or_default())),
        Some(floor::BACK) => floor::work(Path::new(&words.pop().unwrap_or_default())),
        _ => Wish::read(words).and_then(|wish| measure_all(&wish)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing can be done about an error stream that is closed.
            let _ = writeln!(std::io::stderr(), "bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure_all(wish: &Wish) -> Result<()> {
    let mut out = std::io::stdout();
    if wish.help {
        return Ok(out.write_all(HELP.as_bytes())?);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let rows = runtime.block_on(rows(wish))?;
    let text = if wish.json { report::json(&rows) } else { report::table(&rows) };
    Ok(writeln!(out, "{text}")?)
}

async fn rows(wish: &Wish) -> Result<Vec<Row>> {
    let plan = Plan::new(wish.quick);
    let mut rows = Vec::new();
    for group in GROUPS.into_iter().filter(|group| wish.includes(group)) {
        writeln!(std::io::stderr(), "measuring {group}")?;
        rows.extend(match group {
            "disk" => measure::disk::rows(&plan)?,
            "ingest" => measure::ingest::rows(&plan, Place::Sqlite).await?,
            "path" => measure::path::rows(&plan, Place::Sqlite).await?,
            "memory" => measure::memory::rows(&plan, Place::Sqlite).await?,
            "log" => measure::log::rows(&plan, Place::Sqlite).await?,
            "postgres" => measure::postgres::rows(&plan).await?,
            "broker" => measure::broker::rows(&plan).await?,
            "crowds" => measure::crowds::rows().await?,
            "openloop" => measure::open_loop::rows(&plan).await?,
            "rebuild" => measure::rebuild::rows(&plan).await?,
            "scale" => measure::scale::rows(&plan, Place::Sqlite).await?,
            _ => measure::postgres::scale(&plan).await?,
        });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Wish> {
        Wish::read(words.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn the_command_line_is_read_or_refused() {
        let wish = read(&["--quick", "--only", "log"]).unwrap();
        assert!(wish.quick && !wish.json && wish.includes("log") && !wish.includes("path"));
        assert!(read(&[]).unwrap().includes(NOT_QUICK));
        assert!(!read(&["--quick"]).unwrap().includes(NOT_QUICK));
        assert!(LONG.into_iter().all(|group| !read(&[]).unwrap().includes(group)));
        assert!(read(&["--only", "scale"]).unwrap().includes("scale"));
        assert!(read(&["--only", "all"]).unwrap_err().to_string().contains("disk, ingest"));
        assert!(read(&["--fast"]).is_err());
    }
}
