//! The kernel's cgroup files, version 2 where it is delegated, else version 1.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::Pid;

use super::Felt;
use crate::settings::Limits;

const ROOT: &str = "/sys/fs/cgroup";

/// How this machine limits memory and processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mechanism {
    /// The runner's own cgroup, delegated to it, with both controllers handed down.
    V2 { parent: PathBuf },
    /// The runner's own groups in the two hierarchies.
    V1 { memory: PathBuf, pids: PathBuf },
    /// Only `setrlimit`.
    Rlimits,
}

/// One directory of a hierarchy.
#[derive(Debug)]
pub(crate) struct Cgroup {
    dir: PathBuf,
    has_memory: bool,
    has_pids: bool,
    v2: bool,
}

impl Mechanism {
    /// Looks what is there and writable. With version 2 the runner's own processes move to a
    /// `runner` group first, as the kernel wants.
    pub(crate) fn find() -> Self {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        v2(&own).or_else(|| v1(&own)).unwrap_or(Self::Rlimits)
    }

    /// In words, for the run page and `doctor`.
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Self::V2 { .. } => "cgroup v2",
            Self::V1 { .. } => "cgroup v1",
            Self::Rlimits => "rlimits (memory is limited per process)",
        }
    }

    /// Makes the groups of a slot and sets their limits.
    pub(crate) fn slot_groups(&self, slot: u16, limits: &Limits) -> io::Result<Vec<Cgroup>> {
        // Several runners may live in one process; their groups must not be the same.
        static MADE: AtomicU32 = AtomicU32::new(0);
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("aldis-{}-{made}-{slot}", std::process::id());
        match self {
            Self::V2 { parent } => sweep(parent),
            Self::V1 { memory, pids } => [memory, pids].into_iter().for_each(|dir| sweep(dir)),
            Self::Rlimits => {}
        }
        let group = |parent: &Path, has_memory, has_pids, v2| {
            let group = Cgroup { dir: parent.join(&name), has_memory, has_pids, v2 };
            match fs::create_dir(&group.dir) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            group.set(limits)?;
            Ok(group)
        };
        Ok(match self {
            Self::V2 { parent } => vec![group(parent, true, true, true)?],
            Self::V1 { memory, pids } => {
                vec![group(memory, true, false, false)?, group(pids, false, true, false)?]
            }
            Self::Rlimits => Vec::new(),
        })
    }
}

fn v2(own: &str) -> Option<Mechanism> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let parent = Path::new(ROOT).join(path.trim_start_matches('/'));
    let controllers = fs::read_to_string(parent.join("cgroup.controllers")).ok()?;
    let has = |name: &str| controllers.split_whitespace().any(|c| c == name);
    // The root group belongs to the machine; a delegated one is writable and not the root.
    if path == "/" || !has("memory") || !has("pids") {
        return None;
    }
    // A group that others share, a login session's perhaps, is not ours to rearrange.
    let own_pid = std::process::id().to_string();
    let inside = fs::read_to_string(parent.join("cgroup.procs")).ok()?;
    if inside.lines().any(|pid| pid != own_pid) {
        return None;
    }
    let leaf = parent.join("runner");
    if !leaf.exists() {
        fs::create_dir(&leaf).ok()?;
    }
    fs::write(leaf.join("cgroup.procs"), &own_pid).ok()?;
    fs::write(parent.join("cgroup.subtree_control"), "+memory +pids").ok()?;
    is_usable(&parent).then_some(Mechanism::V2 { parent })
}

fn v1(own: &str) -> Option<Mechanism> {
    let find = |controller: &str| {
        let path = own.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let controllers = parts.next()?;
            controllers.split(',').any(|c| c == controller).then(|| parts.next()).flatten()
        })?;
        let dir = Path::new(ROOT).join(controller).join(path.trim_start_matches('/'));
        is_usable(&dir).then_some(dir)
    };
    Some(Mechanism::V1 { memory: find("memory")?, pids: find("pids")? })
}

/// Deletes empty groups of runners that are gone.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let pid = name.strip_prefix("aldis-").and_then(|rest| rest.split('-').next());
        let is_stale = pid.is_some_and(|pid| {
            pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists()
        });
        if is_stale {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// Whether groups can be made there.
fn is_usable(dir: &Path) -> bool {
    let probe = dir.join(format!("aldis-probe-{}", std::process::id()));
    let made = fs::create_dir(&probe).is_ok();
    made && fs::remove_dir(&probe).is_ok()
}

impl Cgroup {
    fn write(&self, file: &str, value: &str) -> io::Result<()> {
        fs::write(self.dir.join(file), value)
    }

    fn set(&self, limits: &Limits) -> io::Result<()> {
        let memory = limits.memory.to_string();
        if self.has_memory && self.v2 {
            self.write("memory.max", &memory)?;
            // Without swap accounting the file does not exist.
            let _ = self.write("memory.swap.max", "0");
        } else if self.has_memory {
            self.write("memory.limit_in_bytes", &memory)?;
            let _ = self.write("memory.memsw.limit_in_bytes", &memory);
        }
        if self.has_pids {
            self.write("pids.max", &limits.processes.to_string())?;
        }
        Ok(())
    }

    pub(super) fn add(&self, pid: Pid) -> io::Result<()> {
        self.write("cgroup.procs", &pid.as_raw_nonzero().to_string())
    }

    pub(super) fn processes(&self) -> Vec<Pid> {
        fs::read_to_string(self.dir.join("cgroup.procs"))
            .unwrap_or_default()
            .lines()
            .filter_map(|line| Pid::from_raw(line.parse().ok()?))
            .collect()
    }

    pub(super) fn forbid_forks(&self) {
        if self.has_pids {
            let _ = self.write("pids.max", "0");
        }
    }

    pub(super) fn allow_forks(&self, limits: &Limits) {
        if self.has_pids {
            let _ = self.write("pids.max", &limits.processes.to_string());
        }
    }

    pub(super) fn felt(&self) -> Felt {
        let count = |file: &str, key: &str| {
            let text = fs::read_to_string(self.dir.join(file)).unwrap_or_default();
            text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok()).unwrap_or(0)
        };
        let memory = match (self.has_memory, self.v2) {
            (false, _) => 0,
            (true, true) => count("memory.events", "oom_kill "),
            (true, false) => count("memory.oom_control", "oom_kill "),
        };
        let processes = if self.has_pids { count("pids.events", "max ") } else { 0 };
        Felt { memory, processes }
    }

    /// The kernel refuses while something lives inside.
    pub(super) fn remove(&self) {
        let _ = fs::remove_dir(&self.dir);
    }
}
