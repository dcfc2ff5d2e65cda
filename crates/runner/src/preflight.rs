//! Looks, before the first claim, whether this machine can run anything, and how well.
//!
//! Called by the binary at start and by `doctor`. Never here: a silent fallback to less isolation.

mod place;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use aldis_domain::config::Executor;
use tokio::process::Command;

use crate::executor::{self, Network};
use crate::limits::Mechanism;
use crate::programs::{Programs, command_as};
use crate::settings::{Settings, User};

/// What this machine offers. The texts are for `doctor` and the run page.
#[derive(Debug, Clone)]
pub struct Capabilities {
    /// `git version 2.47.3`
    pub git: String,
    /// `bubblewrap 0.8.0, as user 61000 and following`
    pub sandbox: String,
    /// `slirp4netns`, or why steps have no network.
    pub network: String,
    /// Which mechanism limits memory and processes.
    pub limits: String,
    /// Where mirrors and run directories are.
    pub work_dir: PathBuf,
    /// What an operator should know and may improve; also told in every run's report.
    pub remarks: Vec<String>,
    pub(crate) programs: Programs,
    pub(crate) git_program: PathBuf,
    pub(crate) bwrap: Option<PathBuf>,
    pub(crate) can_disable_userns: bool,
    pub(crate) has_network: bool,
    pub(crate) mechanism: Mechanism,
    /// Slots drop to users of their own.
    pub(crate) drops_user: bool,
}

/// Why this machine cannot run anything; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    #[error("git is not installed: `apt-get install git`")]
    NoGit,
    #[error("bubblewrap is not installed: `apt-get install bubblewrap slirp4netns`")]
    NoBubblewrap,
    #[error(
        "the sandbox does not start ({0}): allow unprivileged user namespaces \
         (`sysctl kernel.unprivileged_userns_clone=1`, `sysctl user.max_user_namespaces=15000`, on \
         Ubuntu `sysctl kernel.apparmor_restrict_unprivileged_userns=0`) or see that \
         `apt-get install bubblewrap` has been run"
    )]
    NoSandbox(String),
    #[error("the data directory {path} cannot be used: {reason}")]
    DataDir { path: PathBuf, reason: String },
    #[error("the runner needs at least one slot; set ALDIS_SLOTS to 1 or more")]
    NoSlots,
}

/// Checks programs, sandbox, network and limits, by trying them out. Makes the work directory.
pub async fn preflight(settings: &Settings) -> Result<Capabilities, PreflightError> {
    if settings.slots == 0 {
        return Err(PreflightError::NoSlots);
    }
    let programs = Programs::find(std::env::var_os("PATH").as_deref());
    let git_program = programs.git.clone().ok_or(PreflightError::NoGit)?;
    let git = first_line(&git_program, "--version").await.ok_or(PreflightError::NoGit)?;
    let drops_user = rustix::process::geteuid().is_root();
    let user = drops_user.then_some(User { uid: settings.first_uid, gid: settings.first_uid });
    let mut remarks = Vec::new();
    let work_dir = place::find(settings, drops_user, &mut remarks)?;

    let isolation = match settings.executor {
        Executor::Bubblewrap => try_isolation(&programs, user, &mut remarks).await?,
        Executor::Shell => Isolation::none(),
    };
    let strays = inherited_files();
    if !strays.is_empty() {
        remarks.push(format!(
            "the runner inherited open files (numbers {}), and so does every step; start it without",
            strays.join(", ")
        ));
    }
    let mechanism = Mechanism::find();
    if mechanism == Mechanism::Rlimits {
        remarks.push(
            "no cgroup is writable: memory is limited per process by rlimits, not for the run"
                .to_owned(),
        );
    }
    Ok(Capabilities {
        git,
        sandbox: isolation.sandbox,
        network: isolation.network,
        limits: mechanism.words().to_owned(),
        work_dir,
        remarks,
        programs,
        git_program,
        bwrap: isolation.bwrap,
        can_disable_userns: isolation.can_disable_userns,
        has_network: isolation.has_network,
        mechanism,
        drops_user,
    })
}

/// What trying out the sandbox has shown.
struct Isolation {
    sandbox: String,
    network: String,
    bwrap: Option<PathBuf>,
    can_disable_userns: bool,
    has_network: bool,
}

impl Isolation {
    fn none() -> Self {
        Self {
            sandbox: "none: the shell executor does not isolate".to_owned(),
            network: "the machine's own: the shell executor does not isolate".to_owned(),
            bwrap: None,
            can_disable_userns: false,
            has_network: false,
        }
    }
}

async fn try_isolation(
    programs: &Programs,
    user: Option<User>,
    remarks: &mut Vec<String>,
) -> Result<Isolation, PreflightError> {
    let program = programs.bwrap.as_deref().ok_or(PreflightError::NoBubblewrap)?;
    let can_disable_userns = try_sandbox(program, user).await?;
    let version = first_line(program, "--version").await.unwrap_or_default();
    let sandbox = match user {
        Some(user) => format!("{version}, as user {} and following", user.uid),
        None => format!("{version}, as the runner's own user"),
    };
    let (has_network, network) = try_network(programs, user).await;
    if !has_network {
        remarks.push(format!("steps have no network: {network}"));
    }
    let bwrap = Some(program.to_owned());
    Ok(Isolation { sandbox, network, bwrap, can_disable_userns, has_network })
}

impl Capabilities {
    /// The user of a slot, if the runner was started as root.
    pub(crate) fn slot_user(&self, settings: &Settings, slot: u16) -> Option<User> {
        let gid = settings.first_uid;
        self.drops_user.then(|| User { uid: gid + u32::from(slot), gid })
    }
}

/// Open files that children get and that we did not open: all of ours are close-on-exec.
fn inherited_files() -> Vec<String> {
    const CLOSE_ON_EXEC: u32 = 0o2_000_000;
    let is_stray = |path: &Path| {
        let info = std::fs::read_to_string(path).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        flags
            .and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok())
            .is_some_and(|flags| flags & CLOSE_ON_EXEC == 0)
    };
    let entries = std::fs::read_dir("/proc/self/fdinfo").into_iter().flatten().flatten();
    let names = entries.filter(|entry| is_stray(&entry.path())).map(|entry| entry.file_name());
    names
        .filter_map(|name| name.into_string().ok())
        .filter(|n| !["0", "1", "2"].contains(&n.as_str()))
        .collect()
}

async fn first_line(program: &Path, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).stdin(Stdio::null()).output().await.ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Some(text.lines().next()?.trim().to_owned())
}

/// Starts the smallest sandbox; answers whether user namespaces inside can be forbidden, which
/// bubblewrap does since 0.8.
async fn try_sandbox(bwrap: &Path, user: Option<User>) -> Result<bool, PreflightError> {
    let mut last = String::new();
    for with in [true, false] {
        let mut command = command_as(user, bwrap);
        command.args(executor::ISOLATION).arg("--unshare-net");
        if with {
            command.arg("--disable-userns");
        }
        command.args([
            "--ro-bind",
            "/",
            "/",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "--",
            "/bin/true",
        ]);
        command.current_dir("/").stdin(Stdio::null()).kill_on_drop(true);
        match command.output().await {
            Ok(output) if output.status.success() => return Ok(with),
            Ok(output) => {
                let words = String::from_utf8_lossy(&output.stderr);
                last.clear();
                last.push_str(words.lines().next().unwrap_or("it said nothing"));
            }
            Err(error) => last = error.to_string(),
        }
    }
    Err(PreflightError::NoSandbox(last))
}

async fn try_network(programs: &Programs, user: Option<User>) -> (bool, String) {
    if programs.slirp4netns.is_none() {
        return (false, "slirp4netns is not installed: `apt-get install slirp4netns`".to_owned());
    }
    if programs.unshare.is_none() || programs.nsenter.is_none() {
        return (false, "unshare and nsenter are missing: `apt-get install util-linux`".to_owned());
    }
    match Network::start(programs, user).await {
        Ok(_) => (true, "slirp4netns, without the host's loopback".to_owned()),
        Err(error) => (false, format!("{error}; is /dev/net/tun there and open to all?")),
    }
}
