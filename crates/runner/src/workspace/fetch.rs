//! One `git fetch` into a mirror, and what its failure means.

use std::path::Path;
use std::time::Duration;

use aldis_domain::id::Sha;
use aldis_protocol::Source;

use super::WorkspaceError;
use super::git::{Git, GitFailure, run};

/// A fetch that takes longer is given up; a stalled one ends after a minute by itself.
const LONGEST: Duration = Duration::from_mins(30);

/// Fetches `what` (commits by sha, or one ref) without keeping a ref.
pub(crate) async fn fetch(
    git: &Git,
    mirror: &Path,
    source: &Source,
    what: &[&str],
) -> Result<(), WorkspaceError> {
    let mut command = git.remote_command(source)?;
    command.arg("--git-dir").arg(mirror).args([
        "fetch",
        "--quiet",
        "--no-tags",
        "--no-write-fetch-head",
        "--no-auto-maintenance",
        "--no-recurse-submodules",
        "--end-of-options",
        &source.url,
    ]);
    command.args(what);
    match tokio::time::timeout(LONGEST, run(command)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(failure)) => Err(meaning(&failure)),
        Err(_) => Err(WorkspaceError::Network("the fetch took longer than 30 minutes".to_owned())),
    }
}

/// Whether the mirror has the commit itself; its tree may still be missing.
pub(crate) async fn has_commit(git: &Git, mirror: &Path, sha: &Sha) -> bool {
    let mut command = git.command();
    command.arg("--git-dir").arg(mirror);
    command.args(["cat-file", "-e", &format!("{sha}^{{commit}}")]);
    run(command).await.is_ok()
}

/// Sorts git's words by what the caller can do about it.
pub(crate) fn meaning(failure: &GitFailure) -> WorkspaceError {
    let words = failure.words.to_lowercase();
    let says = |any: &[&str]| any.iter().any(|text| words.contains(text));
    let line = failure.last_line();
    // Whatever else git says of a disk that is full: no mirror is damaged by it.
    if let Some(told) = failure.no_room() {
        return WorkspaceError::NoRoom(format!("git could not write what it fetched: {told}"));
    }
    if says(&[
        "not our ref",
        "unadvertised object",
        "couldn't find remote ref",
        "no such remote ref",
    ]) {
        return WorkspaceError::Gone;
    }
    if says(&[
        "authentication failed",
        "could not read username",
        "could not read password",
        "access denied",
        "error: 401",
        "error: 403",
    ]) {
        return WorkspaceError::Refused(
            "GitLab refused the git token for this project; check GIT_AUTH_TOKEN or GITLAB_TOKEN"
                .to_owned(),
        );
    }
    if says(&["error: 429", "error: 5"]) {
        return WorkspaceError::Network(format!("GitLab did not hand out the commit: {line}"));
    }
    if says(&["error: 30", "redirect", "not found", "does not appear to be a git repository"])
        && !words.contains("could not resolve")
    {
        return WorkspaceError::Refused(format!(
            "there is no repository at the project's URL: {line}"
        ));
    }
    if says(&[
        "corrupt",
        "not a git repository",
        "bad object",
        "loose object",
        "unable to read",
        "inflate",
        "packfile",
        "missing blob",
        "missing tree",
        "unresolved deltas",
        "did not receive expected object",
        "bad config",
    ]) && !says(&["early eof", "hung up", "rpc failed", "timed out"])
    {
        return WorkspaceError::Corrupt(format!("the mirror is damaged: {line}"));
    }
    if says(&["ssl certificate", "certificate verif", "server certificate"]) {
        return WorkspaceError::Refused(format!(
            "git does not trust GitLab's certificate: {line}; check GITLAB_CA_FILE"
        ));
    }
    WorkspaceError::Network(format!("git could not fetch the commit: {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_git_become_retry_or_fail() {
        let kind = |words: &str| match meaning(&GitFailure { words: words.to_owned() }) {
            WorkspaceError::Gone => "gone",
            WorkspaceError::Refused(_) => "refused",
            WorkspaceError::Network(_) => "network",
            WorkspaceError::Corrupt(_) => "corrupt",
            WorkspaceError::NoRoom(_) => "no room",
            WorkspaceError::Local(_) => "local",
        };
        for (words, expected) in [
            ("fatal: remote error: upload-pack: not our ref 0123", "gone"),
            ("error: Server does not allow request for unadvertised object 01", "gone"),
            ("fatal: Authentication failed for 'https://git.example.org/a.git/'", "refused"),
            ("remote: HTTP Basic: Access denied", "refused"),
            ("fatal: repository 'https://git.example.org/a.git/' not found", "refused"),
            (
                "fatal: unable to access 'https://x/': The requested URL returned error: 502",
                "network",
            ),
            (
                "fatal: unable to access 'https://x/': The requested URL returned error: 429",
                "network",
            ),
            ("fatal: unable to access 'https://x/': Could not resolve host: x", "network"),
            (
                "error: RPC failed; curl 18\nfatal: early EOF\nfatal: packfile is incomplete",
                "network",
            ),
            ("fatal: loose object 12 (stored in objects/12/3) is corrupt", "corrupt"),
            ("fatal: not a git repository: '/x'", "corrupt"),
            (
                "fatal: write error: No space left on device\nfatal: fetch-pack: invalid \
                 index-pack output\nerror: packfile is corrupt",
                "no room",
            ),
            ("remote: fatal: No space left on device\nfatal: the remote end hung up", "network"),
        ] {
            assert_eq!(kind(words), expected, "{words}");
        }
    }
}
