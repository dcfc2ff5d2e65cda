//! Starts one step and ends it; the set of ways to isolate a step is closed.
//!
//! Called by the job. Never here: a step that shares the host's network namespace (the shell
//! executor apart, which an operator must ask for), a secret in an environment.

mod bubblewrap;
mod etc;
mod launcher;
mod network;
mod running;
mod shell;

use std::path::{Path, PathBuf};

pub(crate) use bubblewrap::{Bubblewrap, ISOLATION, OBJECTS, Parts};
pub(crate) use network::Network;
pub(crate) use running::{Ended, Running};
pub(crate) use shell::Shell;

use crate::workspace::RunDir;

/// How the steps of a run are isolated.
pub(crate) enum Executor<'a> {
    Bubblewrap(&'a mut Bubblewrap),
    Shell(&'a Shell),
}

/// What a step needs to start.
pub(crate) struct StepSpec<'a> {
    /// Number of the step, from 0.
    pub(crate) number: u32,
    /// Lines for `sh -e`.
    pub(crate) script: String,
    /// Names and values, later ones win; checked here.
    pub(crate) env: Vec<(String, String)>,
    /// From the repository's root.
    pub(crate) dir: &'a str,
    pub(crate) run_dir: &'a RunDir,
    /// Whether the step may reach more than its own loopback.
    pub(crate) network: bool,
}

/// Why a step could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(
        "the environment variable `{0}` cannot be set: no `=` or NUL in names, no NUL in values"
    )]
    Env(String),
    #[error("the stack's directory `{0}` does not exist in this commit")]
    Dir(String),
    #[error("the step could not be started: {0}")]
    Io(#[from] std::io::Error),
}

impl Executor<'_> {
    /// Starts a step.
    pub(crate) async fn start(&mut self, spec: &StepSpec<'_>) -> Result<Running, StartError> {
        check_env(&spec.env)?;
        match self {
            Self::Bubblewrap(bubblewrap) => bubblewrap.start(spec).await,
            Self::Shell(shell) => shell.start(spec).await,
        }
    }
}

/// A NUL would end an argument of the sandbox and begin another.
fn check_env(env: &[(String, String)]) -> Result<(), StartError> {
    let bad = |(name, value): &&(String, String)| {
        name.is_empty() || name.contains(['=', '\0']) || value.contains('\0')
    };
    match env.iter().find(bad) {
        Some((name, _)) => Err(StartError::Env(name.replace('\0', "\u{fffd}"))),
        None => Ok(()),
    }
}

/// What every step finds, below the variables of run, stack and step.
fn base_env(home: &str) -> [(&'static str, String); 6] {
    [
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
        ("HOME", home.to_owned()),
        ("USER", "aldis".to_owned()),
        ("LOGNAME", "aldis".to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("CI", "true".to_owned()),
    ]
}

/// The stack's directory on this machine, links resolved, inside the work tree.
pub(crate) fn stack_dir(tree: &Path, dir: &str) -> Result<PathBuf, StartError> {
    let missing = || StartError::Dir(dir.to_owned());
    if dir.contains('\0') {
        return Err(missing());
    }
    let tree = tree.canonicalize()?;
    let found = tree.join(dir).canonicalize().map_err(|_| missing())?;
    if found.starts_with(&tree) && found.is_dir() { Ok(found) } else { Err(missing()) }
}
