//! The bubblewrap executor: every step in namespaces of its own, with a read-only system.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::launcher::{Launcher, STEP};
use super::network::Network;
use super::{Running, StartError, StepSpec, base_env, etc, stack_dir};
use crate::limits::Cage;
use crate::programs::Programs;
use crate::settings::User;
use crate::workspace::{RunDir, give};

/// Where the work tree is seen inside.
const WORK: &str = "/work";
const HOME: &str = "/home/aldis";
/// Where the mirror's objects are seen inside.
pub(crate) const OBJECTS: &str = "/run/aldis/objects";

/// What of the system is shown besides `/usr` and `/etc`: a link where the host has a link.
const SYSTEM: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// Always: own namespaces, no capability, no way back.
pub(crate) const ISOLATION: [&str; 11] = [
    "--unshare-user",
    "--unshare-pid",
    "--unshare-ipc",
    "--unshare-uts",
    "--unshare-cgroup-try",
    "--die-with-parent",
    "--new-session",
    "--cap-drop",
    "ALL",
    "--hostname",
    "aldis",
];

/// Sandboxes of one slot.
pub(crate) struct Bubblewrap {
    programs: Programs,
    bwrap: PathBuf,
    user: Option<User>,
    cage: Cage,
    wants_network: bool,
    network: Option<Network>,
    ready: Option<Launcher>,
    /// The options that never change.
    fixed: Vec<OsString>,
    resolver_free: PathBuf,
}

/// What the executor of a slot is made of.
pub(crate) struct Parts<'a> {
    pub(crate) programs: &'a Programs,
    pub(crate) bwrap: &'a Path,
    /// A directory of the slot's own, existing.
    pub(crate) dir: &'a Path,
    pub(crate) user: Option<User>,
    pub(crate) cage: Cage,
    pub(crate) has_network: bool,
    pub(crate) can_disable_userns: bool,
    pub(crate) expose: &'a [PathBuf],
}

impl Bubblewrap {
    /// Prepares the slot's `/etc` and options. Nothing is started yet.
    pub(crate) fn new(parts: Parts<'_>) -> std::io::Result<Self> {
        let shown = parts.user.unwrap_or_else(|| User {
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
        });
        let etc_dir = parts.dir.join("etc");
        let bound = etc::build(&etc_dir, shown, parts.has_network)?;
        let resolver_free = parts.dir.join("resolv.none");
        fs::write(&resolver_free, "")?;
        let mut fixed: Vec<OsString> = ISOLATION.iter().map(OsString::from).collect();
        if parts.can_disable_userns {
            fixed.push("--disable-userns".into());
        }
        push(&mut fixed, &["--ro-bind", "/usr", "/usr"]);
        for name in SYSTEM {
            let path = Path::new("/").join(name);
            match fs::read_link(&path) {
                Ok(target) => push(
                    &mut fixed,
                    &[OsStr::new("--symlink"), target.as_os_str(), path.as_os_str()],
                ),
                Err(_) if path.is_dir() => bind(&mut fixed, "--ro-bind", &path, &path),
                Err(_) => {}
            }
        }
        bind(&mut fixed, "--ro-bind", &etc_dir, Path::new("/etc"));
        for dir in bound.iter().chain(parts.expose) {
            bind(&mut fixed, "--ro-bind", dir, dir);
        }
        push(
            &mut fixed,
            &["--proc", "/proc", "--dev", "/dev", "--size", "67108864", "--tmpfs", "/dev/shm"],
        );
        Ok(Self {
            programs: parts.programs.clone(),
            bwrap: parts.bwrap.to_owned(),
            user: parts.user,
            cage: parts.cage,
            wants_network: parts.has_network,
            network: None,
            ready: None,
            fixed,
            resolver_free,
        })
    }

    /// Starts what the next step will need. Called when the slot has time; a step that finds
    /// nothing prepared prepares it itself.
    pub(crate) async fn prepare(&mut self) -> std::io::Result<()> {
        if self.wants_network && !self.network.as_mut().is_some_and(Network::is_alive) {
            self.ready = None;
            self.network = None;
            match Network::start(&self.programs, self.user).await {
                Ok(network) => self.network = Some(network),
                // The step then has no network, and the report says so.
                Err(error) => tracing::warn!(%error, "a slot is without network"),
            }
        }
        if !self.ready.as_mut().is_some_and(Launcher::is_alive) {
            self.ready = Some(Launcher::start(
                &self.programs,
                &self.bwrap,
                self.user,
                &self.cage,
                self.network.as_ref(),
            )?);
        }
        Ok(())
    }

    /// Whether steps that may use the network have one.
    pub(crate) fn has_network(&self) -> bool {
        self.network.is_some()
    }

    /// Starts a step.
    pub(crate) async fn start(&mut self, spec: &StepSpec<'_>) -> Result<Running, StartError> {
        stack_dir(&spec.run_dir.tree, spec.dir)?;
        self.prepare().await?;
        let Some(launcher) = self.ready.take() else {
            return Err(std::io::Error::other("the sandbox could not be prepared").into());
        };
        let root = &spec.run_dir.root;
        let script = root.join(format!("step-{}", spec.number));
        write(&script, spec.script.as_bytes(), self.user)?;
        let options = root.join(format!("options-{}", spec.number));
        let mut bytes = Vec::with_capacity(8 << 10);
        for option in self.options(spec, &script) {
            bytes.extend_from_slice(option.as_bytes());
            bytes.push(0);
        }
        write(&options, &bytes, self.user)?;
        Ok(launcher.go(&options).await?)
    }

    fn options(&self, spec: &StepSpec<'_>, script: &Path) -> Vec<OsString> {
        let RunDir { tree, home, tmp, objects, .. } = spec.run_dir;
        let mut options = self.fixed.clone();
        if !(spec.network && self.has_network()) {
            push(&mut options, &["--unshare-net"]);
            bind(&mut options, "--ro-bind", &self.resolver_free, Path::new("/etc/resolv.conf"));
        }
        bind(&mut options, "--bind", tree, Path::new(WORK));
        bind(&mut options, "--bind", home, Path::new(HOME));
        bind(&mut options, "--bind", tmp, Path::new("/tmp"));
        bind(&mut options, "--ro-bind", objects, Path::new(OBJECTS));
        bind(&mut options, "--ro-bind", script, Path::new(STEP));
        push(&mut options, &["--remount-ro", "/dev", "--remount-ro", "/", "--clearenv"]);
        let base = base_env(HOME);
        let base = base.iter().map(|(name, value)| (*name, value.as_str()));
        let own = spec.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in base.chain(own) {
            push(&mut options, &["--setenv", name, value]);
        }
        push(&mut options, &["--chdir"]);
        options.push(Path::new(WORK).join(spec.dir).into_os_string());
        options
    }
}

fn push<S: AsRef<OsStr> + ?Sized>(options: &mut Vec<OsString>, more: &[&S]) {
    options.extend(more.iter().map(|text| text.as_ref().to_owned()));
}

fn bind(options: &mut Vec<OsString>, how: &str, from: &Path, to: &Path) {
    push(options, &[OsStr::new(how), from.as_os_str(), to.as_os_str()]);
}

/// For the slot's user only: the options hold the environment.
fn write(path: &Path, bytes: &[u8], user: Option<User>) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    give(path, user)
}
