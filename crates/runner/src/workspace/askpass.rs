//! How git learns the token: it runs a script that prints it from git's own environment.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Environment variable of the git process that the script reads.
pub(crate) const TOKEN: &str = "ALDIS_GIT_TOKEN";

/// Holds no secret itself. Git knows the user, so it asks only `Password for '…': `.
const SCRIPT: &str = "#!/bin/sh
printf '%s\\n' \"$ALDIS_GIT_TOKEN\"
";

/// Writes the script into `dir`, for the runner's own user only.
pub(crate) fn install(dir: &Path) -> std::io::Result<PathBuf> {
    let path = dir.join("askpass");
    let _ = std::fs::remove_file(&path);
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o700).open(&path)?;
    file.write_all(SCRIPT.as_bytes())?;
    Ok(path)
}
