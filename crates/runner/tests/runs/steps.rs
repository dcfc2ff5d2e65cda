//! Order, conditions, environment and results of steps.

use aldis_domain::config::{Executor, Step, When};
use aldis_domain::report::{Outcome, Report, StepResult};

use crate::support::{Bench, Repo, assignment, is_running, stack, step};

fn results(report: &Report) -> Vec<(&str, StepResult, Option<i32>)> {
    report.steps.iter().map(|s| (s.name.as_str(), s.result, s.exit)).collect()
}

#[tokio::test]
async fn a_commit_is_checked_out_and_its_steps_run_in_order() {
    let repo =
        Repo::new(&[("svc/run.sh", "echo from the repository; cat note\n"), ("svc/note", "n\n")]);
    let mut bench = Bench::new().await;
    let mut wanted = stack(vec![
        step("first", "sh run.sh; echo kept >$HOME/file; echo also >/tmp/file"),
        step(
            "second",
            "cat $HOME/file /tmp/file; echo oops >&2; git log --format=%s; git status --short",
        ),
    ]);
    wanted.dir = "svc".to_owned();
    let (outcome, report) = bench.run(assignment(&repo, wanted)).await;
    assert_eq!(outcome, Outcome::Passed, "{report:?}");
    insta::assert_snapshot!(bench.queue.step_output(0), @r"
    $ first
    from the repository
    n
    ");
    insta::assert_snapshot!(bench.queue.step_output(1), @r"
    $ second
    kept
    also
    oops
    a change
    ");
    assert!(report.tail.ends_with("oops\na change"), "{}", report.tail);
    assert_eq!(bench.run_dirs(), 0);
}

#[tokio::test]
async fn conditions_choose_what_runs_after_a_failure() {
    let with = |name: &str, script: &str, when: When| Step { when, ..step(name, script) };
    let allowed = Step { allow_failure: true, ..step("allowed", "exit 3") };
    let repo = Repo::new(&[]);
    let mut bench = Bench::new().await;
    let steps = vec![
        allowed,
        step("fails", "echo before\nfalse\necho after"),
        step("skipped", "true"),
        with("cleans", "true", When::OnFailure),
        with("always", "kill -9 $$", When::Always),
    ];
    let (outcome, report) = bench.run(assignment(&repo, stack(steps))).await;
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(
        results(&report),
        [
            ("allowed", StepResult::AllowedFailure, Some(3)),
            ("fails", StepResult::Failed, Some(1)),
            ("skipped", StepResult::Skipped, None),
            ("cleans", StepResult::Passed, Some(0)),
            ("always", StepResult::Failed, Some(137)),
        ]
    );
    assert!(!bench.queue.output().contains("after"));
}

#[tokio::test]
async fn a_step_that_never_ends_is_timed_out_and_always_steps_still_run() {
    let repo = Repo::new(&[]);
    let mut bench = Bench::new().await;
    let endless = Step {
        timeout: Some(std::time::Duration::from_millis(300)),
        ..step("endless", "trap '' TERM; echo on; while :; do sleep 30.125; done")
    };
    let after = Step { when: When::Always, ..step("after", "echo cleaned") };
    let (outcome, report) = bench.run(assignment(&repo, stack(vec![endless, after]))).await;
    assert_eq!(outcome, Outcome::TimedOut);
    assert_eq!(report.steps[0].result, StepResult::TimedOut);
    assert!(bench.queue.step_output(1).contains("cleaned"));
    assert!(!is_running("30.125"));
}

#[tokio::test]
async fn a_polite_signal_comes_first() {
    let repo = Repo::new(&[]);
    let mut bench =
        Bench::with(|settings| settings.grace = std::time::Duration::from_secs(20)).await;
    let polite = Step {
        timeout: Some(std::time::Duration::from_millis(300)),
        ..step("polite", "trap 'echo goodbye; exit 9' TERM; while :; do sleep 0.05; done")
    };
    let (outcome, _) = bench.run(assignment(&repo, stack(vec![polite]))).await;
    assert_eq!(outcome, Outcome::TimedOut);
    assert!(bench.queue.output().contains("goodbye"), "{}", bench.queue.output());
}

#[tokio::test]
async fn environments_are_clean_and_later_ones_win() {
    let repo = Repo::new(&[]);
    let mut bench = Bench::new().await;
    let mut shown = step("env", "env | sort | grep -v '^PWD='");
    shown.env.insert("B".to_owned(), "step $HOME\n'x'".to_owned());
    let mut wanted = stack(vec![shown]);
    wanted.env.insert("A".to_owned(), "stack".to_owned());
    wanted.env.insert("B".to_owned(), "stack".to_owned());
    bench.run(assignment(&repo, wanted)).await;
    insta::assert_snapshot!(bench.queue.step_output(0), @r"
    $ env
    'x'
    A=stack
    ALDIS_STACK=ci
    B=step $HOME
    CI=true
    HOME=/home/aldis
    LANG=C.UTF-8
    LOGNAME=aldis
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    USER=aldis
    ");
}

#[tokio::test]
async fn an_environment_cannot_smuggle_sandbox_options() {
    let repo = Repo::new(&[]);
    let mut bench = Bench::new().await;
    let mut wanted = stack(vec![step("x", "ls /root")]);
    wanted.env.insert("A".to_owned(), "x\0--bind\0/\0/mnt".to_owned());
    let (outcome, report) = bench.run(assignment(&repo, wanted)).await;
    assert_eq!(outcome, Outcome::Failed);
    insta::assert_snapshot!(report.trouble.unwrap(), @"the environment variable `A` cannot be set: no `=` or NUL in names, no NUL in values");
}

#[tokio::test]
async fn a_missing_directory_fails_the_run_in_words() {
    let repo = Repo::new(&[]);
    let mut bench = Bench::new().await;
    let mut wanted = stack(vec![step("x", "true")]);
    wanted.dir = "gone".to_owned();
    let (outcome, report) = bench.run(assignment(&repo, wanted)).await;
    assert_eq!(outcome, Outcome::Failed);
    insta::assert_snapshot!(report.trouble.unwrap(), @"the stack's directory `gone` does not exist in this commit");
}

#[tokio::test]
async fn reports_come_home_from_a_failed_run() {
    let xml = "<testsuite><testcase name=\"t\"><failure message=\"m\"/></testcase></testsuite>";
    let repo = Repo::new(&[("r.xml", xml)]);
    let mut bench = Bench::new().await;
    let mut wanted =
        stack(vec![step("x", "mkdir out; cp r.xml out/a.xml; echo junk >out/b.xml; exit 1")]);
    wanted.reports.junit = vec!["out/*.xml".to_owned()];
    let (outcome, report) = bench.run(assignment(&repo, wanted)).await;
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(report.tests.unwrap().failed, 1);
    assert!(report.remarks.iter().any(|r| r.starts_with("out/b.xml: not a readable JUnit file")));
    assert!(report.machine.iter().any(|r| r.starts_with("limits held by")));
}

#[tokio::test]
async fn the_shell_executor_must_be_allowed_and_never_serves_strangers() {
    let repo = Repo::new(&[]);
    let mut bench = Bench::new().await;
    let mut wanted = stack(vec![step("x", "true")]);
    wanted.executor = Some(Executor::Shell);
    let (outcome, report) = bench.run(assignment(&repo, wanted.clone())).await;
    assert_eq!(outcome, Outcome::Broken);
    insta::assert_snapshot!(report.trouble.unwrap(), @"this runner does not allow the shell executor; set `executor: bubblewrap`");

    let mut bench = Bench::with(|settings| settings.allow_shell = true).await;
    let mut foreign = assignment(&repo, wanted);
    foreign.untrusted = true;
    let (outcome, report) = bench.run(foreign).await;
    assert_eq!(outcome, Outcome::Broken);
    insta::assert_snapshot!(report.trouble.unwrap(), @"the shell executor is refused for untrusted code");
}

#[tokio::test]
async fn the_shell_executor_leaves_nothing_behind() {
    let repo = Repo::new(&[("f", "x\n")]);
    let mut bench = Bench::with(|settings| settings.allow_shell = true).await;
    let script =
        "setsid sleep 30.375 & sleep 30.375 & git log --format=%s; cat f; echo $ALDIS_STACK";
    let mut wanted = stack(vec![step("x", script)]);
    wanted.executor = Some(Executor::Shell);
    let (outcome, report) = bench.run(assignment(&repo, wanted)).await;
    assert_eq!(outcome, Outcome::Passed, "{report:?} {}", bench.queue.output());
    insta::assert_snapshot!(bench.queue.step_output(0), @r"
    $ x
    a change
    x
    ci
    ");
    if bench.limits.starts_with("cgroup") {
        assert!(!is_running("30.375"));
    }
}
