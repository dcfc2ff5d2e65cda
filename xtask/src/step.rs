//! Starts one program for a step and says how it ended. Used by every command.
//! Output is inherited, never captured: who watches sees it as it comes.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Why a step failed, and what the developer does next: two halves of one line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) what: String,
    pub(crate) advice: String,
}

impl Failure {
    pub(crate) fn new(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what: what.into(), advice: advice.into() }
    }
}

/// The root of the workspace, whatever directory `cargo xtask` was started in.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// The cargo that started us, so that a toolchain chosen by the caller stays chosen.
pub(crate) fn cargo(words: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.args(words).current_dir(root()).stdin(Stdio::null());
    command
}

/// Is there an executable file of this name on the search path?
pub(crate) fn is_installed(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| is_on(&path, program))
}

fn is_on(path: &OsStr, program: &str) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::env::split_paths(path).any(|folder| {
        std::fs::metadata(folder.join(program))
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    })
}

/// Runs to the end.
pub(crate) fn run(command: &mut Command, advice: &str) -> Result<(), Failure> {
    let status = command.status().map_err(|error| not_started(command, &error))?;
    judge(command, status, advice)
}

/// Runs to the end or kills the program when the time is up.
pub(crate) fn run_within(
    command: &mut Command,
    limit: Duration,
    advice: &str,
) -> Result<(), Failure> {
    let mut child = command.spawn().map_err(|error| not_started(command, &error))?;
    match wait_until(&mut child, Instant::now() + limit) {
        Ok(Some(status)) => judge(command, status, advice),
        Ok(None) => Err(Failure::new(
            format!("`{}` did not end within {} s", words(command), limit.as_secs()),
            advice,
        )),
        Err(error) => Err(Failure::new(format!("`{}`: {error}", words(command)), advice)),
    }
}

/// `None` when the time was up; the child is dead and reaped then.
fn wait_until(child: &mut Child, deadline: Instant) -> std::io::Result<Option<ExitStatus>> {
    const LOOK_EVERY: Duration = Duration::from_millis(50);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(LOOK_EVERY);
    }
}

fn judge(command: &Command, status: ExitStatus, advice: &str) -> Result<(), Failure> {
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!("`{}` ended with {status}", words(command)), advice))
}

fn not_started(command: &Command, error: &std::io::Error) -> Failure {
    let program = command.get_program().to_string_lossy().into_owned();
    Failure::new(
        format!("`{program}` could not be started: {error}"),
        format!("install {program} and see that it is on PATH"),
    )
}

/// As a developer would type it: the file name of the program and its arguments.
fn words(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy();
    std::iter::once(name)
        .chain(command.get_args().map(OsStr::to_string_lossy))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn a_failing_program_is_named_as_it_would_be_typed() {
        let failure = run(cargo(&["no-such-command"]).stderr(Stdio::null()), "read the manual");
        assert_eq!(
            failure,
            Err(Failure::new(
                "`cargo no-such-command` ended with exit status: 101",
                "read the manual"
            ))
        );
    }

    #[test]
    fn a_program_that_is_not_there_is_asked_for() {
        let failure = run(&mut Command::new("no-such-program-here"), "").unwrap_err();
        assert_eq!(failure.advice, "install no-such-program-here and see that it is on PATH");
    }

    #[test]
    fn a_program_that_hangs_is_killed_and_reaped() {
        let mut hanging = Command::new("sleep");
        let limit = Duration::from_millis(1);
        let failure = run_within(hanging.arg("600"), limit, "look at it").unwrap_err();
        assert_eq!(failure, Failure::new("`sleep 600` did not end within 0 s", "look at it"));
    }

    #[test]
    fn a_program_that_ends_in_time_is_judged_by_its_status() {
        assert_eq!(run_within(&mut Command::new("true"), LONG, ""), Ok(()));
        assert!(run_within(&mut Command::new("false"), LONG, "").is_err());
    }

    #[test]
    fn only_executable_files_count_as_installed() {
        let src = root().join("xtask/src");
        assert!(src.join("main.rs").is_file());
        assert!(!is_on(src.as_os_str(), "main.rs"), "a file without the x bit");
        assert!(!is_on(root().as_os_str(), "xtask"), "a directory");
        assert!(is_installed("true") && !is_installed("no-such-program-here"));
    }
}
