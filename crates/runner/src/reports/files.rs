//! Finds and opens files below the work tree without ever leaving it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

/// Bytes of a report file at most.
const LARGEST: u64 = 20 << 20;
/// Directory entries looked at for one kind of report.
const ENTRIES: usize = 50_000;
const DEPTH: usize = 32;
/// Files of one kind of report.
const FILES: usize = 200;

/// The stack's directory, held open.
pub(super) struct Place {
    dir: OwnedFd,
    path: PathBuf,
}

impl Place {
    pub(super) fn open(tree: &Path, dir: &str) -> Option<Self> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(tree, flags | OFlags::NOFOLLOW, Mode::empty()).ok()?;
        let dir_fd = openat2(&root, dir, flags, Mode::empty(), ResolveFlags::BENEATH).ok()?;
        // For listing only: names found through a link are opened beneath `dir_fd` all the same.
        let path = tree.join(dir).canonicalize().ok()?;
        path.starts_with(tree.canonicalize().ok()?).then_some(Self { dir: dir_fd, path })
    }

    /// Names of files that match, relative to the stack's directory, sorted.
    pub(super) fn matching(&self, globs: &[String], remarks: &mut Vec<String>) -> Vec<String> {
        let mut names = BTreeSet::new();
        let mut patterns: Vec<GlobMatcher> = Vec::new();
        for glob in globs {
            let glob = glob.strip_prefix("./").unwrap_or(glob);
            if !glob.contains(['*', '?', '[', '{']) {
                names.insert(glob.to_owned());
                continue;
            }
            match GlobBuilder::new(glob).literal_separator(true).build() {
                Ok(built) => patterns.push(built.compile_matcher()),
                Err(error) => remarks.push(format!("the report glob `{glob}` is wrong: {error}")),
            }
        }
        if !patterns.is_empty() && !self.walk(&patterns, &mut names) {
            remarks.push(format!("only the first {ENTRIES} files were searched for reports"));
        }
        if names.len() > FILES {
            remarks.push(format!("only {FILES} of {} report files were read", names.len()));
        }
        names.into_iter().take(FILES).collect()
    }

    /// Answers whether everything was looked at.
    fn walk(&self, patterns: &[GlobMatcher], names: &mut BTreeSet<String>) -> bool {
        let mut left = ENTRIES;
        let mut waiting = vec![(self.path.clone(), String::new(), 0)];
        while let Some((dir, prefix, depth)) = waiting.pop() {
            for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
                if left == 0 {
                    return false;
                }
                left -= 1;
                let Ok(name) = entry.file_name().into_string() else { continue };
                let Ok(kind) = entry.file_type() else { continue };
                let path =
                    if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
                if kind.is_dir() {
                    if name != ".git" && depth < DEPTH {
                        waiting.push((entry.path(), path, depth + 1));
                    }
                } else if kind.is_file() && patterns.iter().any(|pattern| pattern.is_match(&path)) {
                    names.insert(path);
                }
            }
        }
        true
    }

    /// The file's bytes; a remark if there are none to be had.
    pub(super) fn read(&self, name: &str, remarks: &mut Vec<String>) -> Option<Vec<u8>> {
        match self.try_read(name) {
            Ok(bytes) => Some(bytes),
            Err(why) => {
                remarks.push(format!("{name}: {why}"));
                None
            }
        }
    }

    fn try_read(&self, name: &str) -> Result<Vec<u8>, String> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let fd =
            openat2(&self.dir, name, flags, Mode::empty(), resolve).map_err(
                |error| match error {
                    rustix::io::Errno::NOENT => "no such report file".to_owned(),
                    rustix::io::Errno::LOOP | rustix::io::Errno::XDEV => {
                        "links are not followed for reports".to_owned()
                    }
                    other => format!("cannot be read: {}", std::io::Error::from(other)),
                },
            )?;
        let file = File::from(fd);
        let meta = file.metadata().map_err(|error| format!("cannot be read: {error}"))?;
        if !meta.is_file() {
            return Err("no regular file".to_owned());
        }
        let too_large = || format!("larger than {} MiB", LARGEST >> 20);
        if meta.len() > LARGEST {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        file.take(LARGEST + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| format!("cannot be read: {error}"))?;
        if bytes.len() as u64 > LARGEST { Err(too_large()) } else { Ok(bytes) }
    }
}
