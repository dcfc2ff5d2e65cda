//! Commits, refs and merges: how the simulated people change a repository.

use std::fmt::Write as _;

use super::Repo;
use crate::error::SimError;

/// A path and its new content; `None` deletes the file.
pub(super) type FileChange<'a> = (&'a str, Option<&'a [u8]>);

/// Author and committer of a commit.
#[derive(Debug, Clone)]
pub(crate) struct Signature {
    pub(crate) name: String,
    pub(crate) email: String,
    /// Seconds since 1970.
    pub(crate) at: i64,
}

impl Signature {
    fn line(&self) -> String {
        format!("{} <{}> {} +0000", self.name, self.email, self.at)
    }
}

impl Repo {
    /// Writes one commit on top of `parent` and returns its sha. No branch moves.
    /// A file whose content starts with `#!` becomes executable.
    pub(crate) fn commit(
        &self,
        parent: Option<&str>,
        files: &[FileChange<'_>],
        message: &str,
        by: &Signature,
    ) -> Result<String, SimError> {
        let mut input = Vec::new();
        let mut text =
            String::from("reset refs/simulator/commit\n\ncommit refs/simulator/commit\n");
        let line = by.line();
        let _ = writeln!(text, "mark :1\nauthor {line}\ncommitter {line}\ndata {}", message.len());
        text.push_str(message);
        text.push('\n');
        if let Some(parent) = parent {
            let _ = writeln!(text, "from {parent}");
        }
        input.extend_from_slice(text.as_bytes());
        for (path, content) in files {
            let path = quoted(path);
            match content {
                None => input.extend_from_slice(format!("D {path}\n").as_bytes()),
                Some(bytes) => {
                    let mode = if bytes.starts_with(b"#!") { "100755" } else { "100644" };
                    let head = format!("M {mode} inline {path}\ndata {}\n", bytes.len());
                    input.extend_from_slice(head.as_bytes());
                    input.extend_from_slice(bytes);
                    input.push(b'\n');
                }
            }
        }
        input.extend_from_slice(b"get-mark :1\ndone\n");
        let output =
            self.git_with_input(&["fast-import", "--quiet", "--force", "--done"], &input)?;
        Ok(String::from_utf8_lossy(&output).trim().to_owned())
    }

    pub(crate) fn set_ref(&self, name: &str, sha: &str) -> Result<(), SimError> {
        self.git(&["update-ref", name, sha]).map(drop)
    }

    pub(crate) fn delete_ref(&self, name: &str) -> Result<(), SimError> {
        self.git(&["update-ref", "-d", name]).map(drop)
    }

    /// Makes an annotated tag object for `sha` and returns the object's own sha.
    pub(crate) fn tag_object(
        &self,
        name: &str,
        sha: &str,
        message: &str,
        by: &Signature,
    ) -> Result<String, SimError> {
        let text =
            format!("object {sha}\ntype commit\ntag {name}\ntagger {}\n\n{message}\n", by.line());
        let output = self.git_with_input(&["mktag"], text.as_bytes())?;
        Ok(String::from_utf8_lossy(&output).trim().to_owned())
    }

    /// Copies the commit `sha` out of another repository and names it `name` here.
    pub(crate) fn take_from(&self, from: &Self, sha: &str, name: &str) -> Result<(), SimError> {
        let source = from.dir().display().to_string();
        let refspec = format!("+{sha}:{name}");
        self.git(&["fetch", "-q", "--no-tags", "--no-write-fetch-head", &source, &refspec])
            .map(drop)
    }

    /// Merges `theirs` into `ours`. Fails when files conflict.
    pub(crate) fn merge(
        &self,
        ours: &str,
        theirs: &str,
        message: &str,
        by: &Signature,
    ) -> Result<String, SimError> {
        let tree = self
            .git_text(&["merge-tree", "--write-tree", ours, theirs])
            .map_err(|_| SimError::refused("the branches conflict; rebase the source branch"))?;
        let tree = tree.lines().next().unwrap_or_default().to_owned();
        let line = by.line();
        let text = format!(
            "tree {tree}\nparent {ours}\nparent {theirs}\nauthor {line}\ncommitter {line}\n\n\
             {message}\n"
        );
        let output = self
            .git_with_input(&["hash-object", "-t", "commit", "-w", "--stdin"], text.as_bytes())?;
        Ok(String::from_utf8_lossy(&output).trim().to_owned())
    }
}

/// fast-import takes a path as it is unless it starts with a quote or holds a line feed.
fn quoted(path: &str) -> String {
    if path.starts_with('"') || path.contains('\n') {
        let inner = path.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        return format!("\"{inner}\"");
    }
    path.to_owned()
}
