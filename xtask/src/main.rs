//! The developer's commands, one module each. Started by `cargo xtask <command>`.
//! It has no dependencies, so it builds in seconds on a machine that has nothing else yet, and it
//! never calls a shell.

mod bench;
mod chaos;
mod say;
mod step;
mod test;

use std::process::ExitCode;

const HELP: &str = "\
The developer's commands of Aldis.

Usage: cargo xtask <command>

Commands:
  test    everything that must pass before a change is merged
  bench   the bot beside the floors of this machine; `cargo xtask bench --help` tells more
  chaos   the bot in twelve processes while everything breaks; `cargo xtask chaos --help` tells more
  help    this text
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] | ["help" | "--help" | "-h"] => {
            say::out(HELP.trim_end());
            ExitCode::SUCCESS
        }
        ["test"] => test::main(),
        ["bench", words @ ..] => bench::main(words),
        ["chaos", words @ ..] => chaos::main(words),
        ["test", "--help" | "-h"] => {
            say::out(test::HELP.trim_end());
            ExitCode::SUCCESS
        }
        other => {
            say::err(&format!(
                "xtask does not know `{}`; `cargo xtask help` lists its commands",
                other.join(" ")
            ));
            ExitCode::from(2)
        }
    }
}
