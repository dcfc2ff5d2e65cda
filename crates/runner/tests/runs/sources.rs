//! Where commits come from.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use aldis_domain::report::Outcome;
use aldis_runner::{Runner, Settings, Stop, preflight};
use tokio::sync::{Notify, watch};

use crate::support::{Bench, PATIENCE, Queue, Repo, assignment, stack, step};

#[tokio::test]
async fn a_commit_that_is_gone_breaks_the_run_in_words() {
    let repo = Repo::new(&[]);
    let mut bench = Bench::new().await;
    let mut job = assignment(&repo, stack(vec![step("x", "true")]));
    job.sha = "0123456789012345678901234567890123456789".parse().unwrap();
    let (outcome, report) = bench.run(job).await;
    assert_eq!(outcome, Outcome::Broken);
    insta::assert_snapshot!(report.trouble.unwrap(), @"commit 01234567 is no longer in the repository");
    assert_eq!(bench.run_dirs(), 0);
}

#[tokio::test]
async fn a_server_that_is_away_breaks_the_run_after_some_attempts() {
    let repo = Repo::new(&[]);
    let mut bench = Bench::new().await;
    let mut job = assignment(&repo, stack(vec![step("x", "true")]));
    job.source.url = "http://127.0.0.1:1/p.git".to_owned();
    let (outcome, report) = bench.run(job).await;
    assert_eq!(outcome, Outcome::Broken);
    let trouble = report.trouble.unwrap();
    assert!(
        trouble.starts_with("git could not fetch the commit: fatal: unable to access"),
        "{trouble}"
    );
}

#[tokio::test]
async fn mirrors_keep_no_ref_per_commit_and_fetch_only_what_is_new() {
    let repo = Repo::new(&[("a", "1\n")]);
    let mut bench = Bench::new().await;
    for number in 0..12 {
        repo.commit(&[("a", &format!("{number}\n"))]);
        let job = assignment(&repo, stack(vec![step("x", &format!("grep -x {number} a"))]));
        let (outcome, _) = bench.run(job).await;
        assert_eq!(outcome, Outcome::Passed);
    }
    let mirror = bench.work_dir.join("mirrors/1.42.git");
    let refs = std::fs::read_dir(mirror.join("refs/aldis")).unwrap().count();
    assert_eq!(refs, 8);
    // What is there needs no server.
    let mut job = assignment(&repo, stack(vec![step("x", "cat a")]));
    job.source.url = "http://127.0.0.1:1/p.git".to_owned();
    assert_eq!(bench.run(job).await.0, Outcome::Passed);
}

#[tokio::test]
async fn a_damaged_mirror_is_cloned_anew() {
    let repo = Repo::new(&[("a", "1\n")]);
    let mut bench = Bench::new().await;
    let job = assignment(&repo, stack(vec![step("x", "cat a")]));
    assert_eq!(bench.run(job.clone()).await.0, Outcome::Passed);
    let objects = bench.work_dir.join("mirrors/1.42.git/objects");
    for fan in std::fs::read_dir(&objects).unwrap().flatten() {
        for file in std::fs::read_dir(fan.path()).unwrap().flatten() {
            let _ = std::fs::remove_file(file.path());
            if fan.file_name().len() == 2 {
                std::fs::write(file.path(), "junk").unwrap();
            }
        }
    }
    let (outcome, report) = bench.run(job).await;
    assert_eq!(outcome, Outcome::Passed, "{report:?}");
}

/// Serves HTTP: 401 until basic credentials come, then 404. Keeps what it was asked; ends with the
/// test's process.
fn guarded_server() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&asked);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = String::new();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            while lines.read_line(&mut head).unwrap() > 2 {}
            let is_known = head.to_lowercase().contains("authorization: basic");
            seen.lock().unwrap().push(head);
            let status = if is_known { "404 Not Found" } else { "401 Unauthorized" };
            let answer = format!(
                "HTTP/1.1 {status}\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\
                 Content-Length: 0\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (port, asked)
}

#[tokio::test]
async fn credentials_travel_only_in_the_header() {
    let repo = Repo::new(&[]);
    let mut bench = Bench::new().await;
    let (port, asked) = guarded_server();
    let mut job = assignment(&repo, stack(vec![step("x", "true")]));
    job.source.url = format!("http://127.0.0.1:{port}/group/p.git");
    let (outcome, report) = bench.run(job).await;
    let asked = asked.lock().unwrap().clone();
    // Git before 2.46 waits to be asked for them.
    assert!((1..=2).contains(&asked.len()), "{asked:?}");
    assert!(asked[0].starts_with("GET /group/p.git/info/refs?service=git-upload-pack"));
    // oauth2:glpat-0123456789abcdef
    assert!(
        asked[asked.len() - 1]
            .contains("Authorization: Basic b2F1dGgyOmdscGF0LTAxMjM0NTY3ODlhYmNkZWY=")
    );
    assert!(!asked.concat().contains("glpat-"));
    assert_eq!(outcome, Outcome::Broken);
    let trouble = report.trouble.unwrap();
    assert!(trouble.starts_with("there is no repository at the project's URL"), "{trouble}");
    let mut places = vec![bench.work_dir.clone()];
    while let Some(place) = places.pop() {
        for entry in std::fs::read_dir(place).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                places.push(entry.path());
            } else {
                let bytes = std::fs::read(entry.path()).unwrap_or_default();
                let is_kept = String::from_utf8_lossy(&bytes).contains("glpat-0123");
                assert!(!is_kept, "{}", entry.path().display());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_was_announced_is_there_before_its_run() {
    let repo = Repo::new(&[("a", "1\n")]);
    let dir = tempfile::tempdir().unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
    std::fs::set_permissions(dir.path(), open).unwrap();
    let mut settings = Settings::new("ahead", dir.path());
    settings.slots = 1;
    settings.first_uid = 76_000;
    let capabilities = preflight(&settings).await.unwrap();
    let object = {
        let sha = repo.head().to_string();
        let objects = capabilities.work_dir.join("mirrors/1.42.git/objects");
        objects.join(&sha[..2]).join(&sha[2..])
    };
    let (queue, wake) = (Queue::default(), Arc::new(Notify::new()));
    let mut job = assignment(&repo, stack(vec![step("x", "cat a")]));
    queue.announce(&job);
    let runner = Runner::new(queue.clone(), Arc::clone(&wake), settings, capabilities).unwrap();
    let (stop, seen) = watch::channel(Stop::No);
    let running = tokio::spawn(runner.run(seen));
    let begun = std::time::Instant::now();
    while !object.exists() {
        assert!(begun.elapsed() < PATIENCE, "the commit was not fetched ahead");
        tokio::task::yield_now().await;
    }
    // What is there needs no server.
    job.source.url = "http://127.0.0.1:1/p.git".to_owned();
    queue.add(job);
    wake.notify_waiters();
    queue.says("$ x").await;
    stop.send_replace(Stop::Drain);
    tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap().unwrap();
    assert_eq!(queue.finished()[0].outcome, Outcome::Passed);
}
