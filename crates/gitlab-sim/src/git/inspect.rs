//! Questions about a repository: commits, diffs, files, refs.

use super::Repo;
use crate::error::SimError;

/// One commit with the paths it touches against its first parent.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    pub(crate) sha: String,
    pub(crate) parents: Vec<String>,
    pub(crate) author: String,
    pub(crate) email: String,
    /// ISO 8601 with offset.
    pub(crate) at: String,
    pub(crate) message: String,
    pub(crate) added: Vec<String>,
    pub(crate) modified: Vec<String>,
    pub(crate) removed: Vec<String>,
}

impl Commit {
    pub(crate) fn title(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }
}

/// One changed file between two trees.
#[derive(Debug, Clone)]
pub(crate) struct DiffEntry {
    pub(crate) old_path: String,
    pub(crate) new_path: String,
    pub(crate) old_mode: String,
    pub(crate) new_mode: String,
    /// `A`, `M`, `D`, `R`, `T` or `C`.
    pub(crate) kind: char,
    /// The hunks, from the first `@@` on; empty for binary files and pure renames.
    pub(crate) patch: String,
}

impl Repo {
    /// The commit that `rev` (sha, short sha, branch, tag) names.
    pub(crate) fn resolve(&self, rev: &str) -> Option<String> {
        if rev.is_empty() || rev.starts_with('-') {
            return None;
        }
        if self.known().contains_key(rev) {
            return Some(rev.to_owned());
        }
        let peeled = || {
            let peeled = format!("{rev}^{{commit}}");
            self.git_text(&["rev-parse", "-q", "--verify", "--end-of-options", &peeled]).ok()
        };
        let sha = self.loose_ref(&format!("refs/heads/{rev}")).or_else(peeled)?;
        self.known().entry(sha.clone()).or_default();
        Some(sha)
    }

    /// What a full ref name points at: the tag object for annotated tags.
    pub(crate) fn ref_target(&self, name: &str) -> Option<String> {
        self.loose_ref(name).or_else(|| {
            self.git_text(&["rev-parse", "-q", "--verify", "--end-of-options", name]).ok()
        })
    }

    /// What a ref that has a file of its own points at, without a process.
    fn loose_ref(&self, name: &str) -> Option<String> {
        let plain = name.starts_with("refs/") && name.split('/').all(|part| !part.starts_with('.'));
        let text = std::fs::read_to_string(plain.then(|| self.dir().join(name))?).ok()?;
        let sha = text.trim_end();
        let is_sha = sha.len() == 40 && sha.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_sha.then(|| sha.to_owned())
    }

    /// Full names and targets of all branches and tags.
    pub(crate) fn refs(&self) -> Result<Vec<(String, String)>, SimError> {
        let format = "--format=%(refname) %(objectname)";
        let text = self.git_text(&["for-each-ref", format, "refs/heads", "refs/tags"])?;
        let pair =
            |line: &str| line.split_once(' ').map(|(name, sha)| (name.to_owned(), sha.to_owned()));
        Ok(text.lines().filter_map(pair).collect())
    }

    /// Branches that contain `sha`, in alphabetical order.
    pub(crate) fn branches_containing(&self, sha: &str) -> Vec<String> {
        let contains = format!("--contains={sha}");
        let args = ["for-each-ref", "--format=%(refname:lstrip=2)", &contains, "refs/heads"];
        let text = self.git_text(&args).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn merge_base(&self, one: &str, other: &str) -> Option<String> {
        if self.commit_at(other).is_ok_and(|commit| commit.parents == [one]) {
            return Some(one.to_owned());
        }
        self.git_text(&["merge-base", one, other]).ok()
    }

    pub(crate) fn is_ancestor(&self, older: &str, newer: &str) -> bool {
        self.git(&["merge-base", "--is-ancestor", older, newer]).is_ok()
    }

    /// Number of commits reachable from `to` but not from `from`.
    pub(crate) fn count(&self, from: Option<&str>, to: &str) -> usize {
        let exclude = from.map(|from| format!("^{from}"));
        let mut args = vec!["rev-list", "--count", to];
        args.extend(exclude.as_deref());
        self.git_text(&args).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Newest first, at most `limit` commits reachable from `to` but not from `from`.
    pub(crate) fn log(
        &self,
        from: Option<&str>,
        to: &str,
        limit: usize,
    ) -> Result<Vec<Commit>, SimError> {
        if let Some(from) = from
            && let Ok(commit) = self.commit_at(to)
            && commit.parents == [from]
        {
            return Ok(vec![commit]);
        }
        let exclude = from.map(|from| format!("^{from}"));
        let limit = format!("-n{limit}");
        let format = "--format=%x01%H%x02%P%x02%an%x02%ae%x02%aI%x02%B%x03";
        let mut args = vec!["log", "-z", "--name-status", "--no-renames", format, &limit, to];
        args.extend(exclude.as_deref());
        let output = self.git(&args)?;
        let text = String::from_utf8_lossy(&output);
        Ok(text.split('\u{1}').filter_map(parse_commit).collect())
    }

    pub(crate) fn commit_at(&self, sha: &str) -> Result<Commit, SimError> {
        if let Some(Some(commit)) = self.known().get(sha) {
            return Ok(commit.clone());
        }
        let unknown = || SimError::unknown(format!("commit {sha}"));
        let sha = self.resolve(sha).ok_or_else(unknown)?;
        let told = self.conversations.commit(self.dir(), &sha).map_err(|error| failed(&error))?;
        let text = String::from_utf8_lossy(&told);
        let commit = text.split('\u{1}').find_map(parse_commit).ok_or_else(unknown)?;
        self.known().insert(commit.sha.clone(), Some(commit.clone()));
        Ok(commit)
    }

    /// Number of files that differ between two commits, renames detected.
    pub(crate) fn count_changed(&self, from: &str, to: &str) -> Result<usize, SimError> {
        let raw = self.git(&["diff", "--raw", "-z", "-M", "--no-abbrev", from, to])?;
        Ok(parse_raw(&String::from_utf8_lossy(&raw)).len())
    }

    /// Changed files between two commits, renames detected.
    pub(crate) fn diff(&self, from: &str, to: &str) -> Result<Vec<DiffEntry>, SimError> {
        let both = self.conversations.diff(self.dir(), from, to).map_err(|error| failed(&error))?;
        let both = String::from_utf8_lossy(&both);
        // An empty word stands between the raw entries and the patch.
        let (raw, patch) = both.split_once("\0\0").unwrap_or((&both, ""));
        let mut entries = parse_raw(raw);
        // Git prints one section per raw entry, in the same order; content lines never start
        // with `diff --git`.
        let marked = format!("\n{patch}");
        let mut sections = marked.split("\ndiff --git ").skip(1);
        for entry in &mut entries {
            let Some(section) = sections.next() else { break };
            if entry.kind == 'T' {
                // A changed type is printed as a deletion and an addition.
                sections.next();
            }
            entry.patch = match section.find("\n@@ ") {
                Some(at) => format!("{}\n", section[at + 1..].trim_end_matches('\n')),
                None => String::new(),
            };
        }
        Ok(entries)
    }

    /// Message of an annotated tag object; `None` for a light tag.
    pub(crate) fn tag_message(&self, object: &str) -> Option<String> {
        let text = self.git_text(&["cat-file", "tag", object]).ok()?;
        text.split_once("\n\n").map(|(_, message)| message.to_owned())
    }

    /// Content of a file, or `None` if the commit has no such file.
    pub(crate) fn file(&self, rev: &str, path: &str) -> Option<Vec<u8>> {
        let spec = format!("{rev}:{path}");
        self.conversations.file(self.dir(), &spec).ok().flatten()
    }
}

fn failed(error: &std::io::Error) -> SimError {
    SimError::Git { command: "a git process that stays".to_owned(), detail: error.to_string() }
}

fn parse_commit(record: &str) -> Option<Commit> {
    let (head, files) = record.split_once('\u{3}')?;
    let mut fields = head.split('\u{2}').map(str::to_owned);
    let mut commit = Commit {
        sha: fields.next()?,
        parents: fields.next()?.split_whitespace().map(str::to_owned).collect(),
        author: fields.next()?,
        email: fields.next()?,
        at: fields.next()?,
        message: fields.next()?,
        added: Vec::new(),
        modified: Vec::new(),
        removed: Vec::new(),
    };
    let mut words = files.split('\0').map(|word| word.trim_start_matches('\n'));
    let mut words = words.by_ref().filter(|word| !word.is_empty());
    while let (Some(kind), Some(path)) = (words.next(), words.next()) {
        let list = match kind {
            "A" => &mut commit.added,
            "D" => &mut commit.removed,
            _ => &mut commit.modified,
        };
        list.push(path.to_owned());
    }
    Some(commit)
}

fn parse_raw(raw: &str) -> Vec<DiffEntry> {
    let mut entries = Vec::new();
    let mut words = raw.split('\0');
    while let Some(meta) = words.next().and_then(|word| word.strip_prefix(':')) {
        let fields: Vec<&str> = meta.split(' ').collect();
        let [old_mode, new_mode, _, _, status] = fields[..] else { break };
        let Some(old_path) = words.next() else { break };
        let kind = status.chars().next().unwrap_or('M');
        let new_path = if matches!(kind, 'R' | 'C') { words.next() } else { Some(old_path) };
        entries.push(DiffEntry {
            old_path: old_path.to_owned(),
            new_path: new_path.unwrap_or(old_path).to_owned(),
            old_mode: old_mode.to_owned(),
            new_mode: new_mode.to_owned(),
            kind,
            patch: String::new(),
        });
    }
    entries
}
