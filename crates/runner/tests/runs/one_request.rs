//! Few new commits come in one request, and by git itself whenever that does not work.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use aldis_domain::report::Outcome;
use aldis_protocol::Assignment;

use crate::support::{Bench, Repo, assignment, stack, step};

/// What the server does with a direct request, which comes without a question before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direct {
    Answered,
    Refused,
    /// The answer ends in the middle.
    Cut,
    /// As from a proxy that wants people to sign in.
    Page,
}

/// Serves a repository over HTTP, as `git http-backend` does; keeps the beginnings of requests. Ends
/// with the test's process.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(repo: &Repo, direct: Direct) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/.git", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (seen, root) = (Arc::clone(&asked), repo.dir.path().to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, root) = (Arc::clone(&seen), root.clone());
                std::thread::spawn(move || serve(stream, root, &seen, direct));
            }
        });
        Self { url, asked }
    }

    /// Methods and the ends of paths since it was asked last.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn serve(mut stream: TcpStream, root: PathBuf, seen: &Mutex<Vec<String>>, direct: Direct) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while reader.read_line(&mut head).unwrap() > 2 {}
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        let mut values = lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v);
        values.next().unwrap_or_default().to_owned()
    };
    let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let is_direct = header("user-agent").starts_with("aldis");
    let by = if is_direct { "" } else { "git: " };
    seen.lock().unwrap().push(format!("{by}{method} {path}"));
    if is_direct && direct == Direct::Refused {
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").unwrap();
        return;
    }
    if is_direct && direct == Direct::Page {
        let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>";
        stream.write_all(page.as_bytes()).unwrap();
        return;
    }
    let mut backend = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .envs([("REQUEST_METHOD", method), ("PATH_INFO", path), ("QUERY_STRING", query)])
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    backend.stdin.take().unwrap().write_all(&body).unwrap();
    let mut answer = backend.wait_with_output().unwrap().stdout;
    if is_direct && direct == Direct::Cut {
        answer.truncate(answer.len() - 30);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n").unwrap();
    stream.write_all(&answer).unwrap();
}

/// A run that looks whether `a` holds the newest text.
fn job(repo: &Repo, server: &Server, text: &str) -> Assignment {
    repo.commit(&[("a", &format!("{text}\n")), (&format!("dir/{text}"), text)]);
    let script = format!("grep -x {text} a && cat dir/{text}");
    let mut job = assignment(repo, stack(vec![step("x", &script)]));
    job.source.url.clone_from(&server.url);
    job
}

const BY_GIT: [&str; 2] = ["git: GET /.git/info/refs", "git: POST /.git/git-upload-pack"];
const DIRECT: &str = "POST /.git/git-upload-pack";

#[tokio::test]
async fn after_the_first_fetch_new_commits_come_in_one_request() {
    let repo = Repo::new(&[("big", &"text\n".repeat(10_000))]);
    let server = Server::start(&repo, Direct::Answered);
    let mut bench = Bench::new().await;
    let (outcome, report) = bench.run(job(&repo, &server, "first")).await;
    assert_eq!(outcome, Outcome::Passed, "{report:?}");
    assert_eq!(server.asked(), BY_GIT);
    for text in ["second", "third"] {
        let (outcome, report) = bench.run(job(&repo, &server, text)).await;
        assert_eq!(outcome, Outcome::Passed, "{report:?}");
        assert_eq!(server.asked(), [DIRECT], "{text}");
    }
    // More than a hundred objects are kept as a pack.
    let many: Vec<(String, String)> = (0..150).map(|n| (format!("f{n}"), n.to_string())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
    repo.commit(&many);
    let (outcome, report) = bench.run(job(&repo, &server, "many")).await;
    assert_eq!(outcome, Outcome::Passed, "{report:?}");
    assert_eq!(server.asked(), [DIRECT]);
    let fsck = Command::new("git")
        .arg("--git-dir")
        .arg(bench.work_dir.join("mirrors/1.42.git"))
        .args(["fsck", "--full", "--connectivity-only"])
        .output()
        .unwrap();
    assert!(fsck.status.success(), "{}", String::from_utf8_lossy(&fsck.stderr));
}

#[tokio::test]
async fn what_does_not_work_directly_is_fetched_by_git_and_soon_not_tried_any_more() {
    for direct in [Direct::Refused, Direct::Cut, Direct::Page] {
        let repo = Repo::new(&[]);
        let server = Server::start(&repo, direct);
        let mut bench = Bench::new().await;
        for number in 0..6 {
            let (outcome, report) = bench.run(job(&repo, &server, &number.to_string())).await;
            assert_eq!(outcome, Outcome::Passed, "{direct:?}: {report:?}");
            let asked = server.asked();
            let (tried, by_git) = asked.split_at(asked.len() - 2);
            assert_eq!(by_git, BY_GIT);
            let expected: &[&str] = if (1..=3).contains(&number) { &[DIRECT] } else { &[] };
            assert_eq!(tried, expected, "{direct:?} {number}");
        }
    }
}

#[tokio::test]
async fn a_server_that_was_away_is_asked_directly_again() {
    let repo = Repo::new(&[]);
    let server = Server::start(&repo, Direct::Answered);
    let mut bench = Bench::new().await;
    assert_eq!(bench.run(job(&repo, &server, "first")).await.0, Outcome::Passed);
    for number in 0..4 {
        let mut away = job(&repo, &server, &number.to_string());
        away.source.url = "http://127.0.0.1:1/p.git".to_owned();
        assert_eq!(bench.run(away).await.0, Outcome::Broken);
    }
    server.asked();
    let (outcome, report) = bench.run(job(&repo, &server, "back")).await;
    assert_eq!(outcome, Outcome::Passed, "{report:?}");
    assert_eq!(server.asked(), [DIRECT]);
}

#[tokio::test]
async fn a_commit_that_is_gone_is_told_as_ever() {
    let repo = Repo::new(&[]);
    let server = Server::start(&repo, Direct::Answered);
    let mut bench = Bench::new().await;
    assert_eq!(bench.run(job(&repo, &server, "first")).await.0, Outcome::Passed);
    let mut gone = job(&repo, &server, "second");
    gone.sha = "0123456789012345678901234567890123456789".parse().unwrap();
    let (outcome, report) = bench.run(gone).await;
    assert_eq!(outcome, Outcome::Broken);
    insta::assert_snapshot!(report.trouble.unwrap(), @"commit 01234567 is no longer in the repository");
}
