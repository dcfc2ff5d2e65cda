//! Globs of the config file: their check at reading time and ordered lists of them.
//!
//! `*` and `?` stop at `/`, `**` does not, `[…]` and `{a,b}` choose, `\` takes a sign as it is, case
//! counts. A leading `!` takes away, and of all globs of a list that match, the last one decides.

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

/// Characters of one glob.
const LONGEST: usize = 500;

/// What a list is matched against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Files. A glob that ends in `/`, or whose last part has no wildcard, also matches everything
    /// below: `docs` and `docs/` match `docs/a/b.md`, while `docs/*` matches only `docs/a.md`.
    Path,
    /// Branches and tags, whole.
    Name,
}

/// A list of globs, ready to match.
#[derive(Debug)]
pub(super) struct Globs {
    set: GlobSet,
    /// For each glob of `set`, which glob of the list it stands for.
    origin: Vec<usize>,
    list: Vec<String>,
}

/// Whether a glob is written well; else in words why not.
pub(super) fn check(glob: &str) -> Result<(), String> {
    if glob.chars().count() > LONGEST {
        return Err(format!("longer than {LONGEST} characters"));
    }
    let bare = bare(glob);
    if bare.is_empty() {
        return Err("nothing is left to match".to_owned());
    }
    if bare.split('/').any(|part| part == "..") {
        return Err("`..` leads out of the repository".to_owned());
    }
    forms(bare, Kind::Path).iter().try_for_each(|form| compiled(form).map(drop))
}

fn compiled(form: &str) -> Result<Glob, String> {
    GlobBuilder::new(form)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .map_err(|error| error.kind().to_string())
}

/// A path as a glob that matches only itself.
pub(super) fn escaped(path: &str) -> String {
    path.chars().fold(String::new(), |mut glob, c| {
        if matches!(c, '*' | '?' | '[' | ']' | '{' | '}' | '\\' | '!') {
            glob.push('\\');
        }
        glob.push(c);
        glob
    })
}

/// A glob of a stack from the repository's root: `./` in front stands for the stack's directory.
pub(super) fn rooted(glob: &str, dir: &str) -> String {
    let (sign, bare) = glob.strip_prefix('!').map_or(("", glob), |bare| ("!", bare));
    match bare.strip_prefix("./") {
        Some(rest) if dir != "." => format!("{sign}{}/{rest}", escaped(dir)),
        Some(rest) => format!("{sign}{rest}"),
        None => format!("{sign}{}", bare.trim_start_matches('/')),
    }
}

fn bare(glob: &str) -> &str {
    let glob = glob.strip_prefix('!').unwrap_or(glob);
    glob.strip_prefix("./").unwrap_or(glob).trim_start_matches('/')
}

impl Globs {
    /// Compiles a list; the error says in words which glob cannot be used and why.
    pub(super) fn new(list: &[String], kind: Kind) -> Result<Self, String> {
        let mut builder = GlobSetBuilder::new();
        let mut origin = Vec::new();
        for (n, glob) in list.iter().enumerate() {
            for form in forms(bare(glob), kind) {
                builder.add(compiled(&form)?);
                origin.push(n);
            }
        }
        let set = builder.build().map_err(|error| error.kind().to_string())?;
        Ok(Self { set, origin, list: list.to_vec() })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn list(&self) -> &[String] {
        &self.list
    }

    /// The glob by which `text` belongs to the list. `room` is scratch space.
    pub(super) fn find(&self, text: &str, room: &mut Vec<usize>) -> Option<&str> {
        self.set.matches_into(text, room);
        let last = room.iter().filter_map(|n| self.origin.get(*n)).max()?;
        let glob = self.list.get(*last)?;
        (!glob.starts_with('!')).then_some(glob.as_str())
    }
}

/// The library's globs that stand for one of ours.
fn forms(glob: &str, kind: Kind) -> Vec<String> {
    if kind == Kind::Name {
        return vec![glob.to_owned()];
    }
    if let Some(directory) = glob.strip_suffix('/') {
        return vec![format!("{directory}/**")];
    }
    let last = glob.rsplit('/').next().unwrap_or(glob);
    if last.contains(['*', '?', '[', '{']) {
        vec![glob.to_owned()]
    } else {
        vec![glob.to_owned(), format!("{glob}/**")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(list: &[&str], kind: Kind, texts: &[&str]) -> String {
        let list: Vec<String> = list.iter().map(|g| (*g).to_owned()).collect();
        let globs = Globs::new(&list, kind).unwrap();
        let lines = texts
            .iter()
            .map(|text| format!("{text}: {}", globs.find(text, &mut Vec::new()).unwrap_or("-")));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn paths_follow_their_globs() {
        let list = ["docs", "src/*", "lib/**", "**/Cargo.toml", "a b/[xy]?", "{x,y}.md", "\\!odd"];
        let texts = [
            "docs",
            "docs/a/b.md",
            "Docs/a",
            "mydocs",
            "src/a.rs",
            "src/a/b.rs",
            "lib/a/b",
            "lib",
            "Cargo.toml",
            "a/b/Cargo.toml",
            "a b/x1",
            "y.md",
            "!odd",
            "sub/docs/a",
        ];
        insta::assert_snapshot!(found(&list, Kind::Path, &texts), @r#"
        docs: docs
        docs/a/b.md: docs
        Docs/a: -
        mydocs: -
        src/a.rs: src/*
        src/a/b.rs: -
        lib/a/b: lib/**
        lib: -
        Cargo.toml: **/Cargo.toml
        a/b/Cargo.toml: **/Cargo.toml
        a b/x1: a b/[xy]?
        y.md: {x,y}.md
        !odd: \!odd
        sub/docs/a: -
        "#);
    }

    #[test]
    fn the_last_glob_that_matches_decides() {
        let list = ["**", "!docs/", "docs/build.rs", "!**/*.md"];
        let texts = ["a.rs", "docs/a.rs", "docs/build.rs", "docs/x/build.rs", "README.md"];
        insta::assert_snapshot!(found(&list, Kind::Path, &texts), @r#"
        a.rs: **
        docs/a.rs: -
        docs/build.rs: docs/build.rs
        docs/x/build.rs: -
        README.md: -
        "#);
    }

    #[test]
    fn names_match_whole() {
        let list = ["main", "release/*", "!release/old", "user/**"];
        let texts = ["main", "main/x", "release/1", "release/1/2", "release/old", "user/a/b"];
        insta::assert_snapshot!(found(&list, Kind::Name, &texts), @r#"
        main: main
        main/x: -
        release/1: release/*
        release/1/2: -
        release/old: -
        user/a/b: user/**
        "#);
    }

    #[test]
    fn a_directorys_own_glob_matches_its_odd_name() {
        let glob = rooted("./**", "a[1]/{b}!");
        insta::assert_snapshot!(glob, @r#"a\[1\]/\{b\}\!/**"#);
        insta::assert_snapshot!(found(&[&glob], Kind::Path, &["a[1]/{b}!/c", "a1/b!/c"]), @r#"
        a[1]/{b}!/c: a\[1\]/\{b\}\!/**
        a1/b!/c: -
        "#);
    }

    #[test]
    fn what_is_no_glob_is_refused_with_a_reason() {
        let long = "x".repeat(501);
        let texts = ["[a", "{a", "a\\", "!", "./", "../x", "a/../b", long.as_str()];
        let lines = texts.map(|t| check(t).unwrap_err());
        insta::assert_snapshot!(lines.join("\n"), @r#"
        unclosed character class; missing ']'
        unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)
        dangling '\'
        nothing is left to match
        nothing is left to match
        `..` leads out of the repository
        `..` leads out of the repository
        longer than 500 characters
        "#);
    }
}
