//! Limits on memory and processes of a slot, by the best means this machine has.
//!
//! A slot's cgroup is made once and used by run after run: making one, and moving the first
//! process into it, costs milliseconds. Never here: a limit that is claimed but not set.

mod cgroup;

use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process};

use cgroup::Cgroup;
pub(crate) use cgroup::Mechanism;

use crate::settings::Limits;

/// What holds one slot's processes.
#[derive(Debug, Clone)]
pub(crate) struct Cage {
    groups: Arc<Vec<Cgroup>>,
    limits: Limits,
}

/// How often a limit was felt, since the cgroup exists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Felt {
    pub(crate) memory: u64,
    pub(crate) processes: u64,
}

impl Cage {
    /// The cage of slot `slot`; anything that a former life left in it is killed.
    pub(crate) fn new(mechanism: &Mechanism, slot: u16, limits: Limits) -> std::io::Result<Self> {
        let groups = mechanism.slot_groups(slot, &limits)?;
        let cage = Self { groups: Arc::new(groups), limits };
        cage.kill_all();
        Ok(cage)
    }

    /// Puts a process in, before it starts anything.
    pub(crate) fn hold(&self, pid: Pid) -> std::io::Result<()> {
        for group in self.groups.iter() {
            group.add(pid)?;
        }
        Ok(())
    }

    /// Shell commands that limit the shell itself and what it starts. The runner could set these from
    /// outside only with a capability that containers lack. Address space would be too strict where
    /// no cgroup counts memory: many runtimes reserve much more than they use.
    pub(crate) fn shell_limits(&self) -> String {
        // Blocks of 512 bytes, says POSIX; `-d` counts in KiB in every shell that has it.
        let mut commands = format!("ulimit -c 0; ulimit -f {};", (self.limits.disk / 512).max(1));
        if self.groups.is_empty() {
            commands += &format!(" ulimit -d {};", (self.limits.memory >> 10).max(1));
        }
        commands
    }

    /// A shell command that limits the number of processes, for inside the sandbox: there they are
    /// counted per user namespace, so the operator's own do not count. Shells differ in the
    /// option's letter. Empty if a cgroup counts.
    pub(crate) fn process_limit(&self) -> String {
        if !self.groups.is_empty() {
            return String::new();
        }
        let most = self.limits.processes;
        format!("ulimit -u {most} 2>/dev/null || ulimit -p {most};")
    }

    /// Kills whatever is inside, until nothing is.
    pub(crate) fn kill_all(&self) {
        for group in self.groups.iter() {
            group.forbid_forks();
        }
        for _ in 0..100 {
            let inside: Vec<Pid> = self.groups.iter().flat_map(Cgroup::processes).collect();
            if inside.is_empty() {
                break;
            }
            for pid in inside {
                let _ = kill_process(pid, Signal::KILL);
            }
            std::thread::yield_now();
        }
        for group in self.groups.iter() {
            group.allow_forks(&self.limits);
        }
    }

    /// The counters, to be compared with earlier ones.
    pub(crate) fn felt(&self) -> Felt {
        self.groups.iter().map(Cgroup::felt).fold(Felt::default(), |sum, felt| Felt {
            memory: sum.memory + felt.memory,
            processes: sum.processes + felt.processes,
        })
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        if Arc::strong_count(&self.groups) == 1 {
            self.kill_all();
            for group in self.groups.iter() {
                group.remove();
            }
        }
    }
}
