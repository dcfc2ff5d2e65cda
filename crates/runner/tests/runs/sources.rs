//! Where commits come from.

use aldis_domain::report::Outcome;

use crate::support::{Bench, Repo, assignment, stack, step};

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
    assert!(trouble.starts_with("git could not fetch the commit: fatal: unable to access"), "{trouble}");
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
