//! Git processes that stay and answer one question after the other, as a real GitLab's do: to start
//! one costs more than most answers.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::{Mutex, PoisonError};

use super::command;

/// `diff-tree` repeats a line that names no object, when all answers before it are out.
const END: &[u8] = b"== the answer ends here ==\n";
/// What [`parse_commit`](super::inspect) reads.
const COMMIT: &str = "--format=%x01%H%x02%P%x02%an%x02%ae%x02%aI%x02%B%x03";

/// The processes of one repository. Each is started when it is asked first.
#[derive(Debug, Default)]
pub(super) struct Conversations {
    files: Mutex<Option<Conversation>>,
    diffs: Mutex<Option<Conversation>>,
    commits: Mutex<Option<Conversation>>,
}

#[derive(Debug)]
struct Conversation {
    git: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Conversations {
    /// The content of the file that `spec` (`commit:path`) names; `None` if there is none.
    pub(super) fn file(&self, dir: &Path, spec: &str) -> io::Result<Option<Vec<u8>>> {
        if spec.contains('\n') {
            return Ok(None);
        }
        ask(&self.files, dir, &["cat-file", "--batch"], |git| git.object(spec))
    }

    /// What differs between two commits, renames detected: raw entries and patch, as `-z` writes.
    pub(super) fn diff(&self, dir: &Path, from: &str, to: &str) -> io::Result<Vec<u8>> {
        let options = [
            "diff-tree",
            "--stdin",
            "-r",
            "--raw",
            "-p",
            "-z",
            "-M",
            "--no-abbrev",
            "--no-commit-id",
        ];
        // A commit with whatever is to count as its parent.
        ask(&self.diffs, dir, &options, |git| git.until_end(&format!("{to} {from}")))
    }

    /// A commit and the paths it touches against its first parent.
    pub(super) fn commit(&self, dir: &Path, sha: &str) -> io::Result<Vec<u8>> {
        let options = ["diff-tree", "--stdin", "-r", "--root", "--always", "-z", "--name-status"];
        let options: Vec<&str> = options.into_iter().chain(["--no-renames", COMMIT]).collect();
        ask(&self.commits, dir, &options, |git| git.until_end(sha))
    }
}

/// A process that failed is not asked again: the next question starts another one.
fn ask<T>(
    kept: &Mutex<Option<Conversation>>,
    dir: &Path,
    args: &[&str],
    question: impl FnOnce(&mut Conversation) -> io::Result<T>,
) -> io::Result<T> {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let mut git = match kept.take() {
        Some(git) => git,
        None => Conversation::start(dir, args)?,
    };
    let answer = question(&mut git)?;
    *kept = Some(git);
    Ok(answer)
}

impl Conversation {
    fn start(dir: &Path, args: &[&str]) -> io::Result<Self> {
        let mut command = command(dir, args);
        let mut git = command.stderr(Stdio::null()).spawn()?;
        let questions = git.stdin.take();
        let answers = git.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self { git, questions, answers: BufReader::new(answers) })
    }

    fn say(&mut self, text: &[u8]) -> io::Result<()> {
        let questions = self.questions.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        questions.write_all(text)
    }

    /// Answers of `cat-file --batch` are `object type size`, a line break, the content, a line
    /// break; or `… missing`.
    fn object(&mut self, spec: &str) -> io::Result<Option<Vec<u8>>> {
        self.say(format!("{spec}\n").as_bytes())?;
        let mut head = String::new();
        if self.answers.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some((object, size)) = head.trim_end().rsplit_once(' ') else { return Ok(None) };
        let Ok(size) = size.parse::<usize>() else { return Ok(None) };
        let mut content = vec![0; size + 1];
        self.answers.read_exact(&mut content)?;
        content.truncate(size);
        Ok(object.ends_with(" blob").then_some(content))
    }

    fn until_end(&mut self, question: &str) -> io::Result<Vec<u8>> {
        self.say(&[question.as_bytes(), b"\n", END].concat())?;
        let mut answer = Vec::new();
        while !answer.ends_with(END) {
            if self.answers.read_until(b'\n', &mut answer)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        answer.truncate(answer.len() - END.len());
        Ok(answer)
    }
}

impl Drop for Conversation {
    /// Nobody asks any more: the process ends by itself.
    fn drop(&mut self) {
        drop(self.questions.take());
        // One that cannot be waited for has gone already.
        let _ = self.git.wait();
    }
}
