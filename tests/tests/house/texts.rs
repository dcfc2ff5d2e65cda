//! The text files of the workspace, as the rules of `sources` read them.

use std::fs;
use std::path::{Path, PathBuf};

/// One file: its path from the root of the workspace, with `/`, and what is in it.
pub(crate) struct Text {
    pub(crate) path: String,
    pub(crate) body: String,
}

const FOLDERS: [&str; 6] = ["crates", "docs", "migrations", "tests", "xtask", ".ci"];
const KINDS: [&str; 10] = ["rs", "toml", "md", "sql", "html", "css", "js", "yml", "yaml", "sh"];

/// Everything that people wrote: the folders above and the files beside them.
pub(crate) fn all() -> Vec<Text> {
    let root = super::root();
    let mut paths = Vec::new();
    for folder in FOLDERS.map(|folder| root.join(folder)).iter().filter(|it| it.is_dir()) {
        collect(folder, &mut paths);
    }
    paths.extend(entries(&root).into_iter().filter(|path| path.is_file()));
    let mut texts: Vec<Text> =
        paths.iter().filter(|path| is_text(path)).filter_map(|path| read(&root, path)).collect();
    texts.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(texts.len() > 100, "only {} files found: is this the workspace?", texts.len());
    texts
}

/// All of them that are Rust.
pub(crate) fn rust() -> Vec<Text> {
    all().into_iter().filter(|text| text.is_a("rs")).collect()
}

impl Text {
    /// Does its name end so?
    pub(crate) fn is_a(&self, kind: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == kind)
    }

    /// Part of a package's `src`, and not one of its test modules.
    pub(crate) fn is_shipped(&self) -> bool {
        let is_test = self.path.ends_with("/tests.rs")
            || self.path.ends_with("_tests.rs")
            || self.path.contains("/tests/");
        self.path.contains("/src/") && !is_test
    }

    /// `path:line: text` for every line that breaks a rule.
    pub(crate) fn lines_that(&self, break_it: impl Fn(&str) -> bool) -> Vec<String> {
        let lines = self.body.lines().zip(1..).filter(|(line, _)| break_it(line));
        lines.map(|(line, number)| format!("{}:{number}: {}", self.path, line.trim())).collect()
    }
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for path in entries(folder) {
        match path.is_dir() {
            true if path.file_name().is_some_and(|name| name == "target") => {}
            true => collect(&path, paths),
            false => paths.push(path),
        }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of the workspace can be listed");
    entries.map(|entry| entry.expect("an entry can be read").path()).collect()
}

/// By its ending, or a script without one.
fn is_text(path: &Path) -> bool {
    match path.extension() {
        Some(extension) => KINDS.iter().any(|kind| extension == *kind),
        None => path.parent().and_then(Path::file_name).is_some_and(|folder| folder == ".ci"),
    }
}

/// `None` for a file that went away meanwhile, as editors' and tests' own files do.
fn read(root: &Path, path: &Path) -> Option<Text> {
    let body = fs::read(path).ok()?;
    let body = String::from_utf8(body).expect("text files are UTF-8");
    let path = path.strip_prefix(root).expect("listed below the root");
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    Some(Text { path: parts.join("/"), body })
}
