//! Every key that a config file may have, place by place, and the search for the nearest one.

/// The keys of one map: those that work, and those that the format reserves for later.
pub(super) struct Words {
    pub(super) known: &'static [&'static str],
    pub(super) later: &'static [&'static str],
}

pub(super) const TOP: Words = Words {
    known: &["version", "defaults", "variables", "stacks", "skip_ci", "status"],
    later: &["include", "comment", "fork_policy", "rollout"],
};

/// Also the keys of `defaults`.
pub(super) const STACK: Words = Words {
    known: &[
        "description",
        "dir",
        "steps",
        "on",
        "paths",
        "paths_ignore",
        "env",
        "timeout",
        "needs",
        "reports",
        "environment",
        "concurrency",
        "executor",
        "network",
    ],
    later: &[
        "image",
        "runner",
        "resources",
        "services",
        "clone",
        "on_empty",
        "skipped_status",
        "secrets",
        "retry",
        "outputs",
        "matrix",
        "artifacts",
        "comment",
        "status",
        "approvals",
        "windows",
    ],
};

pub(super) const STEP: Words = Words {
    known: &["name", "run", "env", "timeout", "allow_failure", "when"],
    later: &["image", "dir"],
};

pub(super) const ON: Words =
    Words { known: &["push", "tag", "merge_request"], later: &["schedule", "comment", "manual"] };

pub(super) const PUSH: Words = Words { known: &["branches", "branches_ignore"], later: &[] };

pub(super) const TAG: Words = Words { known: &["tags"], later: &[] };

pub(super) const MERGE_REQUEST: Words =
    Words { known: &["target_branches", "actions", "draft"], later: &["labels", "labels_ignore"] };

pub(super) const NEED: Words =
    Words { known: &["stack"], later: &["optional", "outputs", "reuse"] };

pub(super) const REPORTS: Words =
    Words { known: &["junit", "terraform_plan"], later: &["coverage", "sarif"] };

pub(super) const ENVIRONMENT: Words = Words {
    known: &["name", "url", "tier", "tracked_branch"],
    later: &["on_stop", "report_drift"],
};

pub(super) const CONCURRENCY: Words =
    Words { known: &["cancel_superseded"], later: &["group", "limit", "lock"] };

pub(super) const STATUS: Words = Words { known: &["prefix", "aggregate"], later: &[] };

/// The candidate that `word` is most likely a slip of, if one is near enough: a third of its
/// letters may differ.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(80).collect();
    let near = word.len().div_ceil(3);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.chars().collect::<Vec<_>>()), candidate))
        .filter(|(distance, _)| *distance <= near)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Letters to put in, leave out, change or swap with their neighbour.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let differ = usize::from(a[i - 1] != b[j - 1]);
            let mut least =
                (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + differ);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_a_stranger_finds_none() {
        let near = |word| nearest(word, STACK.known.iter().copied());
        assert_eq!(near("step"), Some("steps"));
        assert_eq!(near("dri"), Some("dir"));
        assert_eq!(near("path_ignore"), Some("paths_ignore"));
        assert_eq!(near("zebra"), None);
        assert_eq!(near(""), None);
    }
}
