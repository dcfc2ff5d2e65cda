//! The `/etc` that steps see: an allow-list of this machine's files, and a few of our own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::settings::User;

/// Small files that are copied, if they exist.
const FILES: [&str; 24] = [
    "bash.bashrc",
    "debian_version",
    "gai.conf",
    "host.conf",
    "inputrc",
    "ld.so.cache",
    "ld.so.conf",
    "locale.alias",
    "localtime",
    "login.defs",
    "lsb-release",
    "magic",
    "mime.types",
    "networks",
    "os-release",
    "profile",
    "protocols",
    "rpc",
    "services",
    "shells",
    "ssl/openssl.cnf",
    "timezone",
    "wgetrc",
    "xattr.conf",
];

/// Directories that are bound read-only, if they exist. None of them holds private keys.
const DIRS: [&str; 12] = [
    "alternatives",
    "ca-certificates",
    "crypto-policies",
    "fonts",
    "ld.so.conf.d",
    "maven",
    "perl",
    "pki/ca-trust",
    "pki/tls/certs",
    "ssl/certs",
    "terminfo",
    "xml",
];

/// Builds the directory `etc` anew. Answers the host's directories to be bound over it, by their
/// full path.
pub(super) fn build(etc: &Path, user: User, has_network: bool) -> io::Result<Vec<PathBuf>> {
    let User { uid, gid } = user;
    match fs::remove_dir_all(etc) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    make(etc)?;
    make(&etc.join("ssl"))?;
    make(&etc.join("pki"))?;
    make(&etc.join("pki/tls"))?;
    let host = Path::new("/etc");
    for name in FILES {
        if let Ok(bytes) = fs::read(host.join(name)) {
            put(&etc.join(name), &bytes)?;
        }
    }
    let mut bound = Vec::new();
    let java = fs::read_dir(host)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("java-") || name.starts_with("python3"));
    for name in DIRS.into_iter().map(str::to_owned).chain(java) {
        let source = host.join(&name);
        if source.is_dir() {
            make(&etc.join(&name))?;
            bound.push(source);
        }
    }
    let resolver = if has_network { super::network::NAME_SERVER } else { "" };
    let resolver =
        if resolver.is_empty() { String::new() } else { format!("nameserver {resolver}\n") };
    let own = [
        (
            "passwd",
            format!(
                "root:x:0:0:root:/root:/bin/sh\naldis:x:{uid}:{gid}:aldis:/home/aldis:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
            ),
        ),
        ("group", format!("root:x:0:\naldis:x:{gid}:\nnogroup:x:65534:\n")),
        ("hosts", "127.0.0.1 localhost aldis\n::1 localhost\n".to_owned()),
        ("hostname", "aldis\n".to_owned()),
        (
            "nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"
                .to_owned(),
        ),
        ("resolv.conf", resolver),
    ];
    for (name, text) in own {
        put(&etc.join(name), text.as_bytes())?;
    }
    Ok(bound)
}

fn make(dir: &Path) -> io::Result<()> {
    if dir.is_dir() { Ok(()) } else { crate::workspace::make_dir(dir, 0o755, None) }
}

fn put(file: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::write(file, bytes)?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o644))
}
