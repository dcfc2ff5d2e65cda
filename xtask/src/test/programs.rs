//! The first step: the programs and the device that the tests use, and the parts of the Rust
//! toolchain they need.
//! What is missing is installed where that needs no question: as root on a Debian system. Anywhere
//! else one line says what to install; nothing is ever fetched from outside the package manager.

use crate::say;
use crate::step::{Failure, cargo, is_installed, root, run};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::{Command, Stdio};

/// (program, Debian package)
const NEEDED: [(&str, &str); 7] = [
    ("cc", "gcc libc6-dev"),
    ("git", "git"),
    ("openssl", "openssl"),
    ("bwrap", "bubblewrap"),
    ("slirp4netns", "slirp4netns"),
    ("initdb", "postgresql"),
    ("rabbitmq-server", "rabbitmq-server"),
];

/// (subcommand of cargo, component of the Rust toolchain)
const COMPONENTS: [(&str, &str); 2] = [("fmt", "rustfmt"), ("clippy", "clippy")];

pub(crate) fn see_to_them() -> Result<(), Failure> {
    debian_packages()?;
    network_device()?;
    rust_components()
}

/// Where sandboxes get their network from.
const TUN: &str = "/dev/net/tun";
/// As the kernel and udev make it.
const OPEN_TO_ALL: u32 = 0o666;

/// The sandboxes' users open it. In some containers it is root's only.
fn network_device() -> Result<(), Failure> {
    let advice =
        format!("as root: mkdir -p /dev/net; mknod -m 666 {TUN} c 10 200; chmod 666 {TUN}");
    let Ok(meta) = std::fs::metadata(TUN) else {
        return Err(Failure::new(
            format!("there is no {TUN}, which a network for steps needs"),
            advice,
        ));
    };
    if meta.mode() & OPEN_TO_ALL == OPEN_TO_ALL {
        return Ok(());
    }
    if !is_root() {
        return Err(Failure::new(format!("{TUN} is not open to all"), advice));
    }
    say::out(&format!("opening {TUN} to all, as it is by default"));
    std::fs::set_permissions(TUN, std::fs::Permissions::from_mode(OPEN_TO_ALL))
        .map_err(|error| Failure::new(format!("{TUN} cannot be opened to all: {error}"), advice))
}

fn debian_packages() -> Result<(), Failure> {
    let missing = missing(&NEEDED, is_there);
    if missing.is_empty() {
        return Ok(());
    }
    if !(is_installed("apt-get") && is_root()) {
        return Err(please_install(&missing));
    }
    say::out(&format!("installing {}", missing.join(" ")));
    let advice = "install them by hand, then start again";
    run(&mut apt_get(&["update", "--quiet"]), advice)?;
    let words = ["install", "--yes", "--quiet", "--no-install-recommends"];
    run(apt_get(&words).args(&missing), advice)
}

/// Debian keeps a server's programs where no `PATH` leads.
fn is_there(program: &str) -> bool {
    let servers = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let servers = servers.map(|version| version.path().join("bin"));
    let mut beside = servers.chain(["/usr/sbin".into()]).map(|dir| dir.join(program));
    is_installed(program) || beside.any(|file| file.is_file())
}

fn rust_components() -> Result<(), Failure> {
    let missing = missing(&COMPONENTS, answers);
    if missing.is_empty() {
        return Ok(());
    }
    if !is_installed("rustup") {
        return Err(Failure::new(
            format!("the Rust toolchain lacks {}", missing.join(" and ")),
            "install them from where this Rust came from",
        ));
    }
    let mut add = Command::new("rustup");
    add.args(["component", "add"]).args(missing).current_dir(root()).stdin(Stdio::null());
    run(&mut add, "see that rustup reaches its server")
}

/// Asks the program itself: behind rustup there is one on the path even without the component.
fn answers(subcommand: &str) -> bool {
    let mut asked = cargo(&[subcommand, "--version"]);
    asked.stdout(Stdio::null()).stderr(Stdio::null());
    asked.status().is_ok_and(|status| status.success())
}

/// What to install, in the order of the table.
fn missing(table: &[(&str, &'static str)], is_there: impl Fn(&str) -> bool) -> Vec<&'static str> {
    table
        .iter()
        .filter(|(program, _)| !is_there(program))
        .flat_map(|(_, package)| package.split(' '))
        .collect()
}

fn please_install(packages: &[&str]) -> Failure {
    Failure::new(
        "programs that the tests start are missing",
        format!("as root: apt-get install {}", packages.join(" ")),
    )
}

fn apt_get(words: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.args(words).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    // What is installed for tests is not to be started as a service: tests start their own.
    command.env("RUNLEVEL", "1");
    command
}

/// Our own entry in /proc belongs to our effective user.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_missing_package_is_named_once_in_one_line() {
        let packages = missing(&NEEDED, |program| program == "git");
        assert_eq!(
            packages,
            [
                "gcc",
                "libc6-dev",
                "openssl",
                "bubblewrap",
                "slirp4netns",
                "postgresql",
                "rabbitmq-server",
            ]
        );
        let sandbox = missing(&NEEDED, |program| {
            ["cc", "git", "openssl", "initdb", "rabbitmq-server"].contains(&program)
        });
        assert_eq!(
            please_install(&sandbox).advice,
            "as root: apt-get install bubblewrap slirp4netns"
        );
    }

    #[test]
    fn a_subcommand_that_cargo_lacks_does_not_answer() {
        assert!(answers("tree") && !answers("no-such-command"));
    }

    #[test]
    fn nothing_is_asked_for_where_all_is_there() {
        assert_eq!(missing(&NEEDED, |_| true), Vec::<&str>::new());
    }
}
