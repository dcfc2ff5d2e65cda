//! What the operator decides about a runner.

use std::path::PathBuf;
use std::time::Duration;

use aldis_domain::config::Executor;

/// A runner's settings. Every value has a default but the name and the data directory.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Shown on the run page, together with the slot's number.
    pub name: String,
    /// Home of mirrors and run directories. Started as root it must be reachable (`x`) for the
    /// slots' users; if it is not, `/var/tmp/aldis-runner-<digest>` is used instead.
    pub data_dir: PathBuf,
    /// How many runs go on at once; at least 1.
    pub slots: u16,
    /// For stacks that do not choose.
    pub executor: Executor,
    /// Whether a stack may choose the shell executor.
    pub allow_shell: bool,
    pub limits: Limits,
    /// Between the polite signal and the killing one.
    pub grace: Duration,
    /// Started as root, slot `n` (from 0) works as user `first_uid + n`, all in group `first_uid`,
    /// which alone may enter the work directory.
    pub first_uid: u32,
    /// How long an idle slot waits for a hint before it looks by itself; jittered by a quarter.
    pub poll: Duration,
    /// Before the first repetition of a fetch that met network trouble; then three times as long.
    pub fetch_pause: Duration,
    /// Directories that steps may read besides the system's, at the same path; toolchains mostly.
    pub expose: Vec<PathBuf>,
}

impl Settings {
    /// The defaults: bubblewrap, 2 slots, users from 61000, 10 s of grace, a look every 5 s.
    pub fn new(name: impl Into<String>, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            data_dir: data_dir.into(),
            slots: 2,
            executor: Executor::Bubblewrap,
            allow_shell: false,
            limits: Limits::default(),
            grace: Duration::from_secs(10),
            first_uid: 61_000,
            poll: Duration::from_secs(5),
            fetch_pause: Duration::from_secs(1),
            expose: Vec::new(),
        }
    }
}

/// Whom a slot's processes belong to, where the runner was started as root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct User {
    /// The slot's own.
    pub(crate) uid: u32,
    /// The same for all slots: it may read the mirrors.
    pub(crate) gid: u32,
}

/// What one run may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory; without cgroups bytes of private memory per process.
    pub memory: u64,
    /// Processes and threads at a time.
    pub processes: u64,
    /// Bytes that the run directory may hold (work tree, home and `/tmp`), and any single file.
    pub disk: u64,
    /// Bytes of output that are kept.
    pub output: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: 4 << 30, processes: 512, disk: 10 << 30, output: 20 << 20 }
    }
}
